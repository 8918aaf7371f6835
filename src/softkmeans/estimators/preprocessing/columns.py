"""The columns that a ColumnTransformer gives to each of its steps."""

from __future__ import annotations

__all__ = ["Names", "column_indices", "columns_from_json", "columns_to_json"]

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .record import require


class Names(NamedTuple):
    """The columns of a table, as fitted transformers describe them."""

    n_features_in_: int
    feature_names_in_: Sequence[str]


def column_indices(transformer: Any, columns: Any) -> list[int]:
    """Return the numbers of the columns that a fitted column transformer gives to a step."""
    n_features = transformer.n_features_in_
    names = list(getattr(transformer, "feature_names_in_", []))
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):  # names, the last one included
            start = None if columns.start is None else names.index(columns.start)
            stop = None if columns.stop is None else names.index(columns.stop) + 1
            columns = slice(start, stop, columns.step)
        return list(range(n_features)[columns])
    listed = columns_to_json(columns)
    if listed and all(isinstance(column, bool) for column in listed):
        return [i for i, chosen in enumerate(listed) if chosen]
    return [names.index(c) if isinstance(c, str) else range(n_features)[c] for c in listed]


def columns_to_json(columns: Any) -> Any:
    """Return the columns of a step: a slice, names, numbers, or True and False. Their kind decides on the layout."""
    if isinstance(columns, slice):
        return {"slice": [columns.start, columns.stop, columns.step]}
    return [c.item() if isinstance(c, np.generic) else c for c in ([columns] if np.isscalar(columns) else columns)]


def columns_from_json(columns: Any) -> Any:
    """Return columns that `columns_to_json` wrote."""
    if isinstance(columns, dict):
        start, stop, step = columns["slice"]
        return slice(start, stop, step)
    require(isinstance(columns, list), "the columns of a step are invalid")
    return columns
