"""Warnings of columns that most likely should not be used as they are."""

from __future__ import annotations

__all__ = ["warn_of_columns"]

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from .._utils.text import printable
from ..data.files.errors import listing

MIN_ROWS = 10  # from which on different whole numbers are told from measurements
IDENTIFIER = re.compile(r"(^|[\W_])(ids?|uuid|key|nr|no|num|number|index|row)$|[a-z]I[dD]$", re.IGNORECASE)
MAX_NAMES = 3  # listed in a line
MIN_SKEWNESS = 1.0  # of values for which logarithms are proposed
DWARFING = 50  # times the median spread of the other columns: their variances then are less than a thousandth


def warn_of_columns(x: NDArray[Any], names: Sequence[str] | None, scale: str) -> None:
    """Print a line on standard error for each column of rows (n, d) that looks like an identifier, and the like.

    Columns without names can't be left out by an option, so that only their scale is looked at.
    """
    rows = x.astype(np.float64)
    problems = [] if names is None else [*_identifiers(rows, names), *_constants(rows, names)]
    if scale == "none":
        problems += _dwarfing(rows, names)
    for problem in problems:
        typer.echo(f"warning: {printable(problem)}", err=True)


def _identifiers(x: NDArray[Any], names: Sequence[str]) -> Iterator[str]:
    found = [name for name, column in zip(names, x.T, strict=True) if _is_identifier(column, name)]
    if len(found) == 1:
        remedy = f"use --id {shlex.quote(found[0])} to carry it along, or --exclude"
        yield f"column {found[0]!r} looks like an identifier, but is a feature: {remedy}"
    elif found:
        yield f"columns {listing(found, MAX_NAMES)} look like identifiers, but are features: use --id and --exclude"


def _constants(x: NDArray[Any], names: Sequence[str]) -> Iterator[str]:
    found = [name for name, column in zip(names, x.T, strict=True) if len(x) > 1 and (column == column[0]).all()]
    if len(found) == 1:
        yield f"column {found[0]!r} is constant, and separates no clusters: use --exclude {shlex.quote(found[0])}"
    elif found:
        yield f"columns {listing(found, MAX_NAMES)} are constant, and separate no clusters: use --exclude"


def _dwarfing(x: NDArray[Any], names: Sequence[str] | None) -> Iterator[str]:
    """Yield a line if the spread of a column is many times that of the others."""
    is_identifier = [names is not None and _is_identifier(column, names[j]) for j, column in enumerate(x.T)]
    spread = np.where(is_identifier, 0, x.std(0))
    largest = int(spread.argmax())
    others = np.delete(spread, largest)
    others = others[others > 0]
    if len(others) and spread[largest] > DWARFING * np.median(others):
        column = f"column {largest + 1}" if names is None else f"column {names[largest]!r}"
        times = f"{spread[largest] / np.median(others):.3g} times"
        has_logarithms = (x >= 0).all() and _skewness(x[:, largest]) > MIN_SKEWNESS
        scales = "standard, robust or, as its values are skewed, log" if has_logarithms else "standard or robust"
        yield f"{column} varies {times} as much as the others, which hardly count: use --scale {scales}"


def _skewness(column: NDArray[Any]) -> float:
    """Return the third moment of standardized values, which vary."""
    return float((((column - column.mean()) / column.std()) ** 3).mean())


def _is_identifier(column: NDArray[Any], name: str) -> bool:
    """Return whether values are whole numbers that count the rows, or differ and are called an identifier."""
    if len(column) < MIN_ROWS or not (column == np.round(column)).all():
        return False
    counts_rows = bool((np.diff(column) == 1).all())
    return counts_rows or (len(np.unique(column)) == len(column) and IDENTIFIER.search(name) is not None)
