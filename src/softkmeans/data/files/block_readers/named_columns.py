"""Choice of named columns, and the check that all files have the same columns."""

from __future__ import annotations

__all__ = ["ChosenColumns", "check_same_columns", "choose_from"]

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import FileError
from ..columns import as_floats, choose
from ..whole_files import OpenTable, listing
from .base import Window

MAX_NAMES = 5  # column names listed for each difference in a message


class ChosenColumns(NamedTuple):
    """The columns that are used, by name."""

    features: tuple[str, ...]
    weight: str | None
    ignored: tuple[str, ...]

    @property
    def used(self) -> list[str]:
        """The feature columns, and the weight column if there is one."""
        return [*self.features, *(() if self.weight is None else (self.weight,))]

    def window(self, batch: Any, start: int, name: str, row: int) -> Window:
        """Return the chosen columns of a pyarrow record batch as a window."""
        rows = np.column_stack([as_floats(_numbers(batch, feature)) for feature in self.features])
        weights = None if self.weight is None else np.asarray(_numbers(batch, self.weight), np.float64)
        return Window(rows, weights, start, name, row)


def choose_from(opened: OpenTable, columns: Sequence[str] | None, weight_column: str | None) -> ChosenColumns:
    """Choose columns as `read_table` does."""
    features, used = choose(opened, columns, None, weight_column)
    taken = set(opened.numeric if columns is not None else [*features, *used])
    return ChosenColumns(tuple(features), weight_column, tuple(name for name in opened.numeric if name not in taken))


def check_same_columns(
    numeric: dict[str, bool], first: dict[str, bool], chosen: ChosenColumns, first_name: str
) -> None:
    """Raise an InputError unless the columns are those of the first table, and the chosen ones are numeric."""
    missing = [name for name in first if name not in numeric]
    unexpected = [name for name in numeric if name not in first]
    not_numeric = [name for name in chosen.used if not numeric.get(name, True)]
    kinds = {"missing": missing, "unexpected": unexpected, "not numeric": not_numeric}
    differences = [f"{kind} {listing(names, MAX_NAMES)}" for kind, names in kinds.items() if names]
    if differences:
        problem = f"the columns differ from those of {first_name}: {', '.join(differences)}"
        raise FileError(problem, hint="all parts need the same columns")


def _numbers(batch: Any, name: str) -> NDArray[Any]:
    values: NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=False)  # missing values become NaN
    return values.astype(np.float64) if values.dtype.kind == "O" else values
