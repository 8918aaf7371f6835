"""What the library says, in the words of the command line."""

from __future__ import annotations

__all__ = ["as_options", "warn_of"]

import re
from typing import Any

import typer

import softkmeans as sk

# Parameters that are options of the same name: where no other word, name of a file or of a column can be meant; and
# where an error begins with them.
SURE = (
    r"(?<![\w./'\"(-])(n_clusters|n_init|max_iter|local_search|k_range|n_temperatures|max_clusters|n_samples|n_features|"
    r"cluster_std)(?![\w./'\"])(=?)"
)
AT_FIRST = (
    r"^(tol|temperature|solver|init|distance|objective|scale|criterion|cv|priors|fuzzifier|noise_distance|"
    r"device|timeout)(=)"
)
# What is said otherwise.
OTHERS = {
    r"^perplexity=": "--temperature perplexity:",
    r"^the multiple of the critical temperature=": "--temperature critical:",
    r"^(?=the schedule |a temperature of the schedule=)": "--temperatures: ",
    r"(?<= is left out by )cv=": "--cv ",
    r"(?<= is left out by )path=False": "--no-path",
    r"\bresume=True\b": "--resume",
    r"^every=": "--checkpoint-every ",
    r"(?<=choose )'calibrated'$": "--temperature calibrated",
}


def as_options(text: str) -> str:
    """Call parameters as the command line does."""
    for found, option in OTHERS.items():
        text = re.sub(found, option, text)
    return re.sub(SURE, _as_option, re.sub(AT_FIRST, _as_option, text))


def _as_option(match: re.Match[str]) -> str:
    return f"--{match[1].replace('_', '-')}{' ' if match[2] else ''}"


def warn_of(estimator: Any, stability: Any = None) -> None:
    """Say on standard error, where warnings belong, what speaks against trusting a fit."""
    for doubt in sk.selection.diagnose(estimator, stability):
        typer.echo(f"warning: {as_options(doubt)}", err=True)
