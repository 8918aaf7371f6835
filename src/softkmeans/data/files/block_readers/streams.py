"""Reader of streams of tables: data loaders, lists of arrays, functions that return iterators."""

from __future__ import annotations

__all__ = ["StreamReader", "is_stream"]

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset
from typing_extensions import override

from ....errors import InputError, Message
from ...frames import as_frame, as_rows, as_vector, column_names, numeric_columns
from ..columns import ColumnChoice, as_floats
from ..formats.base import Header, check_same_columns
from ..formats.opening import as_matrix
from .base import Reader, Window, resize_windows, rows_per_window, windows_of_share
from .named_columns import ChosenColumns, choose_from

SEVERAL_ROWS = "give several rows at a time, as a DataLoader does"
NAME = "the data"  # used in messages, in place of a file name


def is_stream(data: Any) -> bool:
    """Return whether an object yields tables, or is a function that returns an iterator of tables."""
    is_function = callable(data) and not isinstance(data, type | torch.nn.Module) and not _is_table(data)
    return isinstance(data, DataLoader | IterableDataset | Iterator) or is_function


class StreamReader(Reader):
    """Rows of tables, one table after the other, from an iterable or from a function that returns an iterator.

    If an item is a tuple or list, as data loaders yield them, its first element is the table. All tables need the
    columns of the first, and every pass must begin with the same row.
    """

    def __init__(self, data: Any, choice: ColumnChoice, rows_per_block: int | None) -> None:
        _check_repeatable(data)
        self.data, self.weight_column, self.carried = data, choice.weight, tuple(choice.carried)
        self.are_chosen = choice.columns is not None
        first = next(self._items(), None)
        if first is None:
            hint = "expected an iterable of one or more tables"
            raise InputError("has no tables", parameter=NAME, hint=hint)
        with _table_errors(1):
            header = _header(first)
            self.numeric = header.numeric
            self.chosen = choose_from(header, lambda name: _values(first, name), choice)
            rows, _ = _convert(first, self.chosen if self.numeric else None)
            if self.numeric:
                self.columns = column_names(_frame(first).select(self.chosen.features).to_native())
                self.ignored = self.chosen.ignored
        self.n_features = rows.shape[1]
        self.first_row_hash = _hash_first_row(rows)
        self.rows_per_block = rows_per_window(self.n_features, rows_per_block)

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        return windows_of_share(resize_windows(self._pieces(), self.rows_per_block), rank, size)

    @override
    def carry(self) -> Iterator[Any]:
        return (_frame(item).select(self.carried).to_arrow() for item in self._items())

    def _pieces(self) -> Iterator[Window]:
        start = 0
        for number, item in enumerate(self._items(), start=1):
            with _table_errors(number):
                rows, weights = self._table(item)
                if start == 0 and len(rows):
                    self._check_first(rows)
            yield Window(rows, weights, start, NAME, start)
            start += len(rows)

    def _items(self) -> Iterator[Any]:
        tables = self.data if isinstance(self.data, Iterable) else self.data()
        if _is_table(tables) or not isinstance(tables, Iterable):
            problem = f"the function returned a {type(tables).__name__}"
            raise InputError(problem, expected="an iterator of tables (m, d)")
        return map(_table_of, tables)

    def _table(self, item: Any) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Return the rows and weights of a table, checked to have the columns of the first table."""
        if self.numeric:
            check_same_columns(_header(item).numeric, self.numeric, self.chosen.used, "the first table")
        rows, weights = _convert(item, self.chosen if self.numeric else None)
        if rows.shape[1] != self.n_features:
            problem = f"it has {rows.shape[1]} columns"
            raise InputError(problem, expected=f"{self.n_features} as in the first table")
        return rows, weights

    def _check_first(self, rows: NDArray[Any]) -> None:
        """Raise an InputError if a pass begins with another row: it is shuffled, or continues a used iterator."""
        self.first_row_hash = self.first_row_hash or _hash_first_row(rows)
        if _hash_first_row(rows) != self.first_row_hash:
            raise InputError(
                "its first row differs from that of the previous pass; every pass needs the same rows in the same "
                "order",
                hint="return a fresh iterator at every call, and don't shuffle",
            )


def _check_repeatable(data: Any) -> None:
    kind = type(data).__name__
    if _is_table(data):
        raise InputError(f"a {kind} is in memory and needs no scan", hint="pass it directly")
    if isinstance(data, Iterator):
        raise InputError(
            f"a {kind} yields its rows only once, but every pass needs them",
            hint="give a function that returns a fresh one at every call, such as scan(lambda: ...)",
        )
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        hint = "wrap it in a torch.utils.data.DataLoader"
        raise InputError(f"a {kind} returns its rows one by one", hint=hint)
    if not isinstance(data, Iterable) and not callable(data):
        expected = "files, a DataLoader, or a function that returns an iterator of tables"
        raise InputError(f"is a {kind}", parameter="data", expected=expected)


def _is_table(data: Any) -> bool:
    return isinstance(data, np.ndarray | Tensor) or hasattr(data, "__array_namespace__") or as_frame(data) is not None


@contextmanager
def _table_errors(number: int) -> Iterator[None]:
    """Add the number of the table to every InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(Message(f"{NAME}, table {number} (counted from 1): ", error.message)) from None


def _table_of(item: Any) -> Any:
    """Return the table of an item: its first element if it is a tuple or list that begins with a table."""
    is_pair = isinstance(item, list | tuple) and item and _is_table(item[0])
    return item[0] if is_pair else item


def _header(item: Any) -> Header:
    """Return the columns of a table; they have no names if not all names are text."""
    frame = as_frame(item)
    if frame is None or not all(isinstance(name, str) for name in frame.columns):
        return Header({}, n_columns=1)
    return Header(numeric_columns(frame))


def _frame(item: Any) -> Any:
    """Return a table with named columns as a narwhals data frame."""
    return as_frame(item)


def _values(item: Any, name: str) -> NDArray[Any]:
    """Return the values of a column, for messages."""
    return np.array(_frame(item).get_column(name).to_list(), dtype=object)


def _convert(item: Any, chosen: ChosenColumns | None) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Return the rows (m, d) of a table as floats, and their weights (m,)."""
    if isinstance(item, Mapping):
        raise InputError(
            f"it is a {type(item).__name__}",
            expected="a tensor (m, d), or a tuple that begins with one",
            hint="extract the tensor, for example with collate_fn",
        )
    frame = None if chosen is None else as_frame(item)
    if frame is None or chosen is None:
        return as_floats(as_matrix(as_rows(item), SEVERAL_ROWS)), None
    rows = as_floats(as_matrix(as_rows(frame.select(chosen.features).to_native()), SEVERAL_ROWS))
    if chosen.weight is None:
        return rows, None
    return rows, np.asarray(as_vector(frame.get_column(chosen.weight).to_native(), "the weight column"), np.float64)


def _hash_first_row(rows: NDArray[Any]) -> int | None:
    """Return a checksum of the first row, or None if there are no rows."""
    return zlib.crc32(np.ascontiguousarray(rows[0], np.float64).tobytes()) if len(rows) else None
