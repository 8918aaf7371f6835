"""The columns that a reader uses, and how they become windows."""

from __future__ import annotations

__all__ = ["ChosenColumns", "choose_from"]

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..columns import ColumnChoice, as_floats, choose, raise_for_no_numbers
from ..formats.base import Header
from .base import Window


class ChosenColumns(NamedTuple):
    """The columns that are used, by name; no features for arrays, whose columns have no names."""

    features: tuple[str, ...]
    weight: str | None
    ignored: tuple[str, ...]

    @property
    def used(self) -> list[str]:
        """The feature columns, and the weight column if there is one."""
        return [*self.features, *(() if self.weight is None else (self.weight,))]

    def without(self, names: list[str], header: Header) -> ChosenColumns:
        """Leave features out."""
        features = tuple(name for name in self.features if name not in names)
        if names and not features:
            raise_for_no_numbers(names)
        return self._replace(features=features, ignored=header.names_in({*self.ignored, *names}))

    def window(self, table: Any, start: int, name: str, row: int) -> Window:
        """Return the chosen columns of a PyArrow table or record batch, or the rows of an array, as a window."""
        if isinstance(table, np.ndarray):
            is_long = table.dtype.kind == "f" and table.dtype.itemsize > 8  # PyTorch has no such floats
            rows = table.astype(np.float64) if is_long else np.ascontiguousarray(table)
            return Window(rows, None, start, name, row)
        rows = np.column_stack([as_floats(_numbers(table, feature)) for feature in self.features])
        weights = None if self.weight is None else np.asarray(_numbers(table, self.weight), np.float64)
        return Window(rows, weights, start, name, row)


def choose_from(header: Header, values: Callable[[str], NDArray[Any]], choice: ColumnChoice) -> ChosenColumns:
    """Choose columns as `read_table` does; ``values`` returns those of a column, for messages."""
    features = choose(header, values, choice)
    known = {element for name in choice.mentioned for element in header.groups.get(name, (name,))}
    unused = set() if choice.columns is not None else set(header.numeric) - {*features, *known}
    return ChosenColumns(tuple(features), choice.weight, header.names_in(unused))


def _numbers(table: Any, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table[name].to_numpy(zero_copy_only=False)  # missing values become NaN
    return values.astype(np.float64) if values.dtype.kind == "O" else values
