"""Choice and validation of table columns, with the errors for those that can't be used."""

__all__ = [
    "as_floats",
    "check_rows",
    "check_weights",
    "choose",
    "raise_for_missing",
    "raise_for_no_numbers",
    "raise_for_no_weight",
]

import reprlib
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...errors import FileError
from .errors import is_number, listing, separator_advice, text_error
from .formats.base import Header


def choose(
    header: Header,
    values: Callable[[str], NDArray[Any]],
    columns: Sequence[str] | None,
    label: str | None,
    weight: str | None,
) -> tuple[list[str], list[str]]:
    """Return the names of the features, and those of the label and weight columns.

    ``values`` returns the values of a column, for messages.
    """
    used = [name for name in (label, weight) if name is not None]
    if isinstance(columns, str) or (columns is not None and not len(columns)):
        problem = f"must be a list of names, got {columns!r}"
        raise FileError(problem, parameter="columns", hint="give one name or more")
    chosen = list(columns or ())
    _check_names(header, chosen + used, columns)
    if header.n_columns is not None:
        return [], used
    if columns is None:
        chosen = _features(header, used)
    if not chosen:
        raise_for_no_numbers(list(header.numeric))
    for name in (*chosen, weight):
        if name is not None and not header.numeric[name]:
            _raise_for_text(name, values(name))
    return chosen, used


def _features(header: Header, used: list[str]) -> list[str]:
    """Return all columns of numbers, except row names and columns that are used for something else."""
    others = [name for name in header.numeric if name not in used and not _holds_row_names(header, name)]
    for name in others:
        if name in header.mixed:
            raise text_error(name, *header.mixed[name])
    return [name for name in others if header.numeric[name]]


def _check_names(header: Header, names: list[str], columns: Sequence[str] | None) -> None:
    """Raise an InputError unless every name is a column and is used once."""
    known = list(header.numeric)
    if header.n_columns is not None and (columns is not None or (names and not known)):
        raise FileError(
            f"the rows are one array without column names, so {listing(names)} can't be chosen",
            hint="choose no columns, or save the columns by name",
        )
    if header.is_headless and not set(names) & set(known):
        hint = "expected a header row with the names of the columns (if these are the names, choose them by name)"
        raise FileError(f"the first row holds only numbers ({listing(known, 4)})", hint=hint)
    for name, count in Counter(names).items():
        if name not in header.numeric:
            guess = "".join(f" (did you mean {match!r}?)" for match in get_close_matches(name, known, 1))
            raise FileError(f"there is no column {name!r}{guess}", hint=f"the columns are {listing(known)}")
        if count > 1:
            hint = "a column must be a feature, the label or the weight"
            raise FileError(f"column {name!r} is chosen twice", hint=hint)


def _holds_row_names(header: Header, name: str) -> bool:
    """Return whether pandas or R wrote the row names to this column, as its name or the file says."""
    return not name or name.startswith("__index_level_") or name in header.row_names


def raise_for_no_numbers(known: list[str]) -> NoReturn:
    """Raise an InputError: no feature column holds numbers."""
    hint = f"the columns are {listing(known)}{separator_advice(known)}"
    raise FileError("no feature column holds numbers", hint=hint)


def _raise_for_text(name: str, values: NDArray[Any]) -> NoReturn:
    filled = [(row, value) for row, value in enumerate(values.tolist(), start=1) if value is not None]
    if not filled:
        raise FileError(f"column {name!r} has no values", hint="choose another one")
    row, value = next(((row, value) for row, value in filled if not is_number(value)), filled[0])
    raise FileError(
        f"column {name!r} is not numeric: row {row} of the data holds {reprlib.repr(value)}",
        hint="correct it or choose another one",
    )


def as_floats(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as float32 if they are float32 or float16, else as float64."""
    is_single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    return np.ascontiguousarray(values, dtype=np.float32 if is_single else np.float64)


def check_rows(x: NDArray[Any], names: tuple[str, ...] | None, start: int = 0, where: str = "") -> None:
    """Raise an InputError unless all rows (m, d) are finite; ``start`` is the index of the first row."""
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        first = f"row {start + row + 1} of the data, column {column + 1 if names is None else repr(names[column])}"
        raise_for_missing(f"{bad.sum()} missing or infinite values{where}", first)


def check_weights(weights: NDArray[np.float64], what: str, start: int = 0) -> None:
    """Raise an InputError unless all weights (m,) are finite and >= 0; ``start`` is the index of the first row."""
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = bad.argmax()
        raise FileError(
            f"{what} must be finite and not negative: row {start + first + 1} of the data holds {weights[first]}",
            hint="correct it",
        )


def raise_for_no_weight(what: str) -> NoReturn:
    """Raise an InputError: all weights are 0."""
    raise FileError(f"{what} is zero in every row", hint="at least one weight must be positive")


def raise_for_missing(what: str, first: str) -> NoReturn:
    """Raise an InputError: values are missing, the first of them at ``first``."""
    problem = f"{what}, the first in {first} (rows and columns counted from 1)"
    raise FileError(problem, hint="fill in or remove them")
