"""Columns of tables: which to use, and what is said of those that can't be."""

__all__ = [
    "as_floats",
    "check_points",
    "check_weights",
    "choose",
    "raise_for_missing",
    "raise_for_no_numbers",
    "raise_for_no_weight",
]

import reprlib
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .formats import Opened, is_number, listing


def choose(
    opened: Opened, columns: Sequence[str] | None, label: str | None, weight: str | None
) -> tuple[list[str], list[str]]:
    """Return the names of the features, and those of the label and weight columns."""
    used = [name for name in (label, weight) if name is not None]
    if isinstance(columns, str) or (columns is not None and not len(columns)):
        raise InputError(f"columns must be a list of names, got {columns!r}")
    chosen = list(columns or ())
    _check_known(opened, chosen + used, columns)
    if opened.matrix is not None:
        return [], used
    if columns is None:
        chosen = [n for n, numeric in opened.numeric.items() if numeric and n not in used and not _is_row_name(n)]
    if not chosen:
        raise_for_no_numbers(list(opened.numeric))
    for name in (*chosen, weight):
        if name is not None and not opened.numeric[name]:
            _raise_for_text(name, opened.load([name])[name])
    return chosen, used


def _check_known(opened: Opened, names: list[str], columns: Sequence[str] | None) -> None:
    """Every name is a column, and has one use."""
    known = list(opened.numeric)
    if opened.matrix is not None and (columns is not None or (names and not known)):
        raise InputError(f"the points are one array without column names, so {listing(names)} can't be chosen")
    if opened.headless and not set(names) & set(known):
        remedy = "a header row with the names of the columns is needed (if these are the names, choose them by name)"
        raise InputError(f"the first row holds only numbers ({listing(known, 4)}); {remedy}")
    for name, count in Counter(names).items():
        if name not in opened.numeric:
            close = "".join(f" (did you mean {match!r}?)" for match in get_close_matches(name, known, 1))
            raise InputError(f"there is no column {name!r}{close}; the columns are {listing(known)}")
        if count > 1:
            raise InputError(f"column {name!r} is chosen twice; a column is a feature, the label or the weight")


def _is_row_name(name: str) -> bool:
    """Tell whether pandas or R wrote the names of the rows here."""
    return not name or name.startswith("__index_level_")


def raise_for_no_numbers(known: list[str]) -> NoReturn:
    """Say that no column to use holds numbers."""
    joined = len(known) == 1 and any(separator in known[0] for separator in ";,\t|")
    hint = "; are its cells separated by another character?" if joined else ""
    raise InputError(f"no column to use holds numbers; the columns are {listing(known)}{hint}")


def _raise_for_text(name: str, values: NDArray[Any]) -> NoReturn:
    filled = [(row, value) for row, value in enumerate(values.tolist(), start=1) if value is not None]
    if not filled:
        raise InputError(f"column {name!r} has no values")
    row, value = next(((row, value) for row, value in filled if not is_number(value)), filled[0])
    raise InputError(f"column {name!r} is not numeric: row {row} of the data holds {reprlib.repr(value)}")


def as_floats(values: NDArray[Any]) -> NDArray[Any]:
    """Give numbers as float32 if they are floats no wider than that, else as float64."""
    single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    return np.ascontiguousarray(values, dtype=np.float32 if single else np.float64)


def check_points(x: NDArray[Any], names: tuple[str, ...] | None, start: int = 0, among: str = "") -> None:
    """Raise an InputError unless rows (m, d), of which the first has the number ``start``, are finite."""
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        where = f"row {start + row + 1} of the data, column {column + 1 if names is None else repr(names[column])}"
        raise_for_missing(f"{bad.sum()} missing or infinite values{among}", where)


def check_weights(weights: NDArray[np.float64], what: str, start: int = 0) -> None:
    """Raise an InputError unless weights (m,), of which the first has the number ``start``, can be weights."""
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = bad.argmax()
        found = f"row {start + first + 1} of the data holds {weights[first]}"
        raise InputError(f"{what} must be finite and not negative: {found}")


def raise_for_no_weight(what: str) -> NoReturn:
    """Say that all weights are 0."""
    raise InputError(f"{what} is zero in every row; some weight must be positive")


def raise_for_missing(what: str, where: str) -> NoReturn:
    """Say what is missing, and where first."""
    raise InputError(f"{what}, the first in {where} (rows and columns counted from 1); fill in or remove them")
