"""Choice and validation of table columns, with the errors for those that can't be used."""

__all__ = [
    "ALL_COLUMNS",
    "ColumnChoice",
    "as_floats",
    "check_rows",
    "check_weights",
    "choose",
    "raise_for_missing",
    "raise_for_no_numbers",
    "raise_for_no_weight",
]

import datetime as dt
import reprlib
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...errors import FileError, Message, Setting
from .errors import is_number, listing, text_error
from .formats.base import Header

RECIPES = "docs/recipes.md"


class ColumnChoice(NamedTuple):
    """The columns that the caller chose, by name, for what they are used.

    Attributes
    ----------
    columns : sequence of str or None
        The features; None stands for all columns of numbers that are not used for something else.
    exclude : sequence of str
        Columns that are no features.
    label, weight : str or None
        The columns of known classes and of weights, which are no features.
    carry : sequence of str
        Columns that are carried to the results.
    """

    columns: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    label: str | None = None
    weight: str | None = None
    carry: Sequence[str] = ()

    @property
    def used(self) -> list[str]:
        """The label and weight columns, if they are given."""
        return [name for name in (self.label, self.weight) if name is not None]

    @property
    def carried(self) -> list[str]:
        """The columns that are carried to the results, each once."""
        return list(dict.fromkeys(self.carry))

    @property
    def mentioned(self) -> set[str]:
        """The columns that the caller gave for something else than a feature."""
        return {*self.used, *self.exclude, *self.carry}


ALL_COLUMNS = ColumnChoice()


def choose(header: Header, values: Callable[[str], NDArray[Any]], choice: ColumnChoice) -> list[str]:
    """Return the names of the features; nothing if columns have no names.

    ``values`` returns the values of a column, for messages.
    """
    for parameter, names in {"columns": choice.columns, "exclude": choice.exclude, "carry": choice.carry}.items():
        if isinstance(names, str) or (parameter == "columns" and names is not None and not len(names)):
            problem = f"must be a list of names, got {names!r}"
            raise FileError(problem, parameter=parameter, hint="give one name or more")
    chosen = _expand(header, choice.columns or ())
    excluded = _expand(header, choice.exclude)
    _check_names(header, chosen + choice.used, excluded + list(choice.carry), choice.columns)
    if header.n_columns is not None:
        return []
    if both := [name for name in chosen if name in excluded]:
        raise FileError(f"column {both[0]!r} is chosen and excluded", hint="choose or exclude it")
    if choice.columns is None:
        chosen = _features(header, {*choice.used, *excluded})
    if not chosen:
        raise_for_no_numbers(list(header.numeric))
    for name in (*chosen, *(() if choice.weight is None else (choice.weight,))):
        if name in header.mixed:
            raise text_error(name, *header.mixed[name])
        if not header.numeric[name]:
            _raise_for_text(name, values(name), is_feature=name != choice.weight)
    return chosen


def _expand(header: Header, names: Sequence[str]) -> list[str]:
    """Return names with the elements of lists in place of the lists."""
    return [element for name in names for element in header.groups.get(name, (name,))]


def _features(header: Header, others: set[str]) -> list[str]:
    """Return all columns of numbers, except row names and columns that are used for something else."""
    names = [name for name in header.numeric if name not in others and not _holds_row_names(header, name)]
    for name in names:
        if name in header.mixed:
            raise text_error(name, *header.mixed[name])
    return [name for name in names if header.numeric[name]]


def _check_names(header: Header, names: list[str], others: list[str], columns: Sequence[str] | None) -> None:
    """Raise an InputError unless every name is a column, and those of the first list are used once."""
    known = list(header.numeric)
    if header.n_columns is not None and (columns is not None or ((names or others) and not known)):
        raise FileError(
            f"the rows are one array without column names, so {listing(names + others)} can't be chosen",
            hint="choose no columns, or save the columns by name",
        )
    for name in names + others:
        if name not in header.numeric and name not in header.groups:
            guess = "".join(f" (did you mean {match!r}?)" for match in get_close_matches(name, known, 1))
            raise FileError(f"there is no column {name!r}{guess}", hint=f"the columns are {listing(known)}")
    for name, count in Counter(names).items():
        if count > 1:
            hint = "a column must be a feature, the label or the weight"
            raise FileError(f"column {name!r} is chosen twice", hint=hint)
        if name not in header.numeric:
            raise FileError(f"column {name!r} holds lists", hint=f"choose one of {listing(header.groups[name], 3)}")


def _holds_row_names(header: Header, name: str) -> bool:
    """Return whether pandas or R wrote the row names to this column, as its name or the file says."""
    return not name or name.startswith("__index_level_") or name in header.row_names


def raise_for_no_numbers(known: list[str]) -> NoReturn:
    """Raise an InputError: no feature column holds numbers."""
    hint = f"the columns are {listing(known)}"
    raise FileError("no feature column holds numbers", hint=hint)


def _raise_for_text(name: str, values: NDArray[Any], *, is_feature: bool) -> NoReturn:
    filled = [(row, value) for row, value in enumerate(values.tolist(), start=1) if value is not None]
    if not filled:
        raise FileError(f"column {name!r} has no values", hint="choose another one")
    row, value = next(((row, value) for row, value in filled if not is_number(value)), filled[0])
    is_date = not is_number(value) and _is_date(value)
    shown = str(value) if is_date else reprlib.repr(value)
    hint = "choose another one"
    if is_feature and is_number(value):
        hint = "save its texts as numbers"
    elif is_feature:
        hint = f"{'turn dates into numbers of days' if is_date else 'leave it out, or encode it'} as in {RECIPES}"
    raise FileError(f"column {name!r} is not numeric: row {row} of the data holds {shown}", hint=hint)


def _is_date(value: Any) -> bool:
    """Return whether a value is a date, or a text such as "2026-11-30"."""
    try:
        return bool(dt.datetime.fromisoformat(str(value)))
    except ValueError:
        return False


def as_floats(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as float32 if they are float32 or float16, else as float64."""
    is_single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    return np.ascontiguousarray(values, dtype=np.float32 if is_single else np.float64)


def check_rows(
    x: NDArray[Any], names: tuple[str, ...] | None, start: int = 0, where: str = "", *, are_chosen: bool = False
) -> None:
    """Raise an InputError unless all rows (m, d) are finite.

    ``start`` is the index of the first row. Columns that the caller or a model chose by name can't be excluded.
    """
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        first = f"row {start + row + 1} of the data, column {column + 1 if names is None else repr(names[column])}"
        remedy = f"fill in such values as in {RECIPES}"
        if names is None or are_chosen:
            hint = Message(f"{remedy}, or remove the rows")
        else:
            hint = Message(f"{remedy}, remove the rows, or use ", Setting("exclude", names[column]))
        raise_for_missing(f"{bad.sum()} missing or infinite values{where}", first, hint)


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


def raise_for_missing(what: str, first: str, hint: str = "fill in or remove them") -> NoReturn:
    """Raise an InputError: values are missing, the first of them at ``first``."""
    problem = f"{what}, the first in {first} (rows and columns counted from 1)"
    raise FileError(problem, hint=hint)
