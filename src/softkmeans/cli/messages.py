"""Messages of the library, with parameters rewritten as command-line options."""

from __future__ import annotations

__all__ = ["as_options", "print_warnings"]

import re
from typing import Any

import typer

import softkmeans as sk

# Parameters that are options of the same name. These are rewritten anywhere in a message, unless they may be part of
# another word or the name of a file or column:
ANYWHERE = (
    r"(?<![\w./'\"(-])(n_clusters|n_init|max_iter|local_search|k_range|n_temperatures|max_clusters|n_samples|n_features|"
    r"cluster_std)(?![\w./'\"])(=?)"
)
# ... and these only at the start of a message, as they are ordinary words:
AT_START = (
    r"^(tol|temperature|solver|init|distance|objective|scale|criterion|cv|priors|fuzzifier|noise_distance|"
    r"device|timeout)(=)"
)
# Messages that name a parameter differently from its option.
REPLACEMENTS = {
    r"^perplexity=": "--temperature perplexity:",
    r"^the multiple of the critical temperature=": "--temperature critical:",
    r"^(?=the schedule |a temperature of the schedule=)": "--temperatures: ",
    r"(?<= is not supported with )cv=": "--cv ",
    r"(?<= is not supported with )path=False": "--no-path",
    r"\bresume=True\b": "--resume",
    r"(?<=set )checkpoint(?= to )": "--checkpoint",
    r"^every=": "--checkpoint-every ",
    r"(?<=choose )'calibrated'$": "--temperature calibrated",
}


def as_options(text: str) -> str:
    """Rewrite ``name=value`` as ``--name value``, and names of parameters as names of options."""
    for pattern, option in REPLACEMENTS.items():
        text = re.sub(pattern, option, text)
    return re.sub(ANYWHERE, _as_option, re.sub(AT_START, _as_option, text))


def _as_option(match: re.Match[str]) -> str:
    return f"--{match[1].replace('_', '-')}{' ' if match[2] else ''}"


def print_warnings(estimator: Any, stability: Any = None) -> None:
    """Print the warnings of `selection.diagnose` on standard error."""
    for warning in sk.selection.diagnose(estimator, stability):
        typer.echo(f"warning: {as_options(warning)}", err=True)
