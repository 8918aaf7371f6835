"""Files whose columns have names: which are used, and that all files have the same."""

from __future__ import annotations

__all__ = ["Chosen", "check_same_columns", "choose_from"]

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError
from ..columns import as_floats, choose
from ..formats import Opened, listing
from .base import Window


class Chosen(NamedTuple):
    """The columns that are used, by name."""

    features: tuple[str, ...]
    weight: str | None
    ignored: tuple[str, ...]

    @property
    def used(self) -> list[str]:
        """The features, and the weights if there are some."""
        return [*self.features, *(() if self.weight is None else (self.weight,))]

    def window(self, batch: Any, start: int, name: str, row: int) -> Window:
        """Put columns of pyarrow's side by side."""
        rows = np.column_stack([as_floats(_numbers(batch, name)) for name in self.features])
        weights = None if self.weight is None else np.asarray(_numbers(batch, self.weight), np.float64)
        return Window(rows, weights, start, name, row)


def choose_from(opened: Opened, columns: Sequence[str] | None, weight_column: str | None) -> Chosen:
    """Choose columns as read_table does."""
    features, used = choose(opened, columns, None, weight_column)
    taken = set(opened.numeric if columns is not None else [*features, *used])
    return Chosen(tuple(features), weight_column, tuple(name for name in opened.numeric if name not in taken))


def check_same_columns(numeric: dict[str, bool], first: dict[str, bool], chosen: Chosen, where: str) -> None:
    """Raise an InputError unless columns are those of the first file, and those that are used hold numbers."""
    missing = [name for name in first if name not in numeric]
    new = [name for name in numeric if name not in first]
    odd = [name for name in chosen.used if not numeric.get(name, True)]
    said = [
        f"{words} {listing(names, 5)}" for words, names in [("it lacks", missing), ("it has besides", new)] if names
    ]
    if odd:
        said.append(f"there are no numbers in {listing(odd, 5)}")
    if said:
        raise InputError(f"the columns are not those of {where}: {', '.join(said)}; all parts need the same columns")


def _numbers(batch: Any, name: str) -> NDArray[Any]:
    values: NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=False)  # missing ones are NaN
    return values.astype(np.float64) if values.dtype.kind == "O" else values
