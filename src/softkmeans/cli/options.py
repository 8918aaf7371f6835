"""Options shared by several commands, their help texts, and functions that parse their values.

Options that are parameters of a fit have no help text here: `Command` describes them.
"""

from __future__ import annotations

__all__ = [
    "OPTIONS_BY_PARAMETER",
    "Centers",
    "Clusters",
    "Data",
    "DataFiles",
    "ModelFile",
    "Out",
    "Scale",
    "Seed",
    "Stream",
    "Verbose",
    "describe_option",
    "number_or_name",
    "output_option",
    "with_suffixes",
]

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .._utils.registry import one_of
from ..data.files.formats.lookup import suffixes
from ..registries import CRITERIA
from ..settings import describe
from .outputs import MODELS, TABLES, OutputKind


def output_option(text: str, kind: OutputKind) -> Any:
    """Return the option of a file to write, described by a text and the endings that its name may have."""
    return typer.Option(help=f"{text} ({kind.listed()}).", show_default=False)


Data = Annotated[Path, typer.Argument(metavar="FILE", help="Data file: {readable}.", show_default=False)]
DataFiles = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Data: a file ({readable}), a folder of such files, or a quoted pattern of file names.",
        show_default=False,
    ),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Read the rows in blocks on every pass; the default for several files and for files of 1 GiB or more.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file written by fit, select or demo.", show_default=False)
]
Out = Annotated[Path | None, output_option("Write the model to this file", MODELS)]
Centers = Annotated[
    Path | None,
    output_option("Write sizes and centers, in the units of the data, to this file", TABLES),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print the objective, F, E, H and the number of passes, too.")
]
Scale = Annotated[
    str,
    typer.Option(
        help="Scaling of the features: standard (mean 0, variance 1), robust (by median and quartiles), log (of 1 + x, "
        "then standard) or none. Centers are reported in the units of the data."
    ),
]
Clusters = Annotated[int, typer.Option("--n-clusters", "-k")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.", min=0, max=2**32 - 1)]

# Options whose names differ from those of the parameters that they set.
OPTIONS_BY_PARAMETER = {"random_state": "seed", "every": "checkpoint_every", "temperature": "temperatures"}
# Help texts with registered names, of options that are no parameters of a fit.
_DESCRIPTIONS: dict[str, Callable[[], str]] = {"criterion": lambda: f"Criterion: {CRITERIA.choices()}."}


def describe_option(name: str) -> str:
    """Return the help text of an option that is a parameter of a fit, or whose values are registered names."""
    return _DESCRIPTIONS[name]() if name in _DESCRIPTIONS else describe(name)


def with_suffixes(text: str) -> str:
    """Fill the suffixes of the registered file formats into a help text."""
    lists = {"{readable}": one_of(suffixes("read")), "{writable}": one_of(suffixes("write"))}
    for placeholder, listed in lists.items():
        text = text.replace(placeholder, listed)
    return text


def number_or_name(text: str) -> float | str:
    """Return the text as a number if possible, otherwise unchanged."""
    try:
        return float(text)
    except ValueError:
        return text
