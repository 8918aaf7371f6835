"""Whatever gives tables one after the other: loaders, lists of arrays, functions that make iterators."""

from __future__ import annotations

__all__ = ["StreamReader", "is_stream"]

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy  # loads its submodules when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset
from typing_extensions import override

from ....errors import InputError
from ...frames import as_frame, as_rows, as_vector
from ..columns import as_floats
from ..formats import Opened
from .base import Reader, Window, cut, rows_of_window, share
from .named import Chosen, check_same_columns, choose_from

NAME = "the data"  # in messages, where files have their names


def is_stream(data: Any) -> bool:
    """Whether this gives tables one after the other, and is none itself."""
    is_maker = callable(data) and not isinstance(data, type | torch.nn.Module) and not _is_table(data)
    return isinstance(data, DataLoader | IterableDataset | Iterator) or is_maker


class StreamReader(Reader):
    """Tables one below the other: an iterable of them, or a function that makes an iterator at every call.

    Tables that are pairs, as loaders give them, are meant by their first part. The first table has the columns that all
    have, and every pass must begin with its first row.
    """

    def __init__(
        self, data: Any, columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        _check_repeatable(data)
        self.data, self.weight_column = data, weight_column
        first = next(self._items(), None)
        if first is None:
            raise InputError("the data has no tables: an iterator that gives some was expected")
        with _numbered(1):
            opened = _open(first)
            self.numeric, self.chosen = opened.numeric, choose_from(opened, columns, weight_column)
            if self.numeric:
                self.columns, self.ignored = self.chosen.features, self.chosen.ignored
            rows, _ = _convert(first, self.chosen if self.numeric else None)
        self.n_features, self.mark = rows.shape[1], _mark(rows)
        self.rows_per_block = rows_of_window(self.n_features, rows_per_block)

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        return share(cut(self._pieces(), self.rows_per_block), rank, size)

    def _pieces(self) -> Iterator[Window]:
        start = 0
        for number, item in enumerate(self._items(), start=1):
            with _numbered(number):
                rows, weights = self._table(item)
                if start == 0 and len(rows):
                    self._check_first(rows)
            yield Window(rows, weights, start, NAME, start)
            start += len(rows)

    def _items(self) -> Iterator[Any]:
        made = self.data if isinstance(self.data, Iterable) else self.data()
        if _is_table(made) or not isinstance(made, Iterable):
            raise InputError(f"the function gave a {type(made).__name__}, expected an iterator of tables (m, d)")
        return map(_unpaired, made)

    def _table(self, item: Any) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Give the rows and weights of a table that is like the first one."""
        if self.numeric:
            check_same_columns(_open(item).numeric, self.numeric, self.chosen, "the first table")
        rows, weights = _convert(item, self.chosen if self.numeric else None)
        if rows.shape[1] != self.n_features:
            raise InputError(f"it has {rows.shape[1]} columns, and the first has {self.n_features}")
        return rows, weights

    def _check_first(self, rows: NDArray[Any]) -> None:
        """A pass that begins with other rows is shuffled, or goes on with an iterator that was begun before."""
        self.mark = self.mark or _mark(rows)
        if _mark(rows) != self.mark:
            raise InputError(
                "its first row is not that of the pass before; every pass needs the same rows in the same order: make "
                "a fresh iterator at every call, and don't shuffle"
            )


def _check_repeatable(data: Any) -> None:
    kind = type(data).__name__
    if _is_table(data):
        raise InputError(f"a {kind} is in memory and needs no scan: use it as it is")
    if isinstance(data, Iterator):
        raise InputError(
            f"a {kind} gives its rows once only, and they are needed several times: give a function that makes a fresh "
            "one at every call, such as scan(lambda: ...)"
        )
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        raise InputError(f"a {kind} gives its rows one by one: wrap it in a torch.utils.data.DataLoader")
    if not isinstance(data, Iterable) and not callable(data):
        raise InputError(f"a {kind} came, expected files, a DataLoader, or a function that makes an iterator of tables")


def _is_table(data: Any) -> bool:
    return isinstance(data, np.ndarray | Tensor) or hasattr(data, "__array_namespace__") or as_frame(data) is not None


@contextmanager
def _numbered(number: int) -> Iterator[None]:
    """Say which table it is that can't be used."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{NAME}, table {number} (counted from 1): {error}") from None


def _unpaired(item: Any) -> Any:
    is_pair = isinstance(item, list | tuple) and item and _is_table(item[0])
    return item[0] if is_pair else item


def _open(item: Any) -> Opened:
    """Give a table's columns by name; none if they have no names that are text."""
    frame = as_frame(item)
    if frame is None or not all(isinstance(name, str) for name in frame.columns):
        return Opened(1, {}, lambda _: {}, np.empty((1, 1)))
    numeric = {name: dtype.is_numeric() or dtype == nw.Boolean for name, dtype in frame.schema.items()}

    def load(names: list[str]) -> dict[str, NDArray[Any]]:
        return {name: np.array(frame.get_column(name).to_list(), dtype=object) for name in names}

    return Opened(len(frame), numeric, load)


def _convert(item: Any, chosen: Chosen | None) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Give rows (m, d) as floats, and their weights (m,)."""
    if isinstance(item, Mapping):
        advice = "a tensor (m, d), or a tuple that begins with one"
        raise InputError(
            f"it is a {type(item).__name__}, expected {advice}: take the tensor out of it, as collate_fn can"
        )
    frame = None if chosen is None else as_frame(item)
    if frame is None or chosen is None:
        return _as_matrix(as_rows(item)), None
    rows = _as_matrix(as_rows(frame.select(chosen.features).to_native()))
    if chosen.weight is None:
        return rows, None
    return rows, np.asarray(as_vector(frame.get_column(chosen.weight).to_native(), "the weight column"), np.float64)


def _as_matrix(rows: Any) -> NDArray[Any]:
    if scipy.sparse.issparse(rows):
        rows = rows.toarray()
    if isinstance(rows, Tensor):
        rows = rows.float() if rows.is_floating_point() and rows.element_size() < 4 else rows  # NumPy has no bfloat16
        rows = rows.cpu().resolve_conj().resolve_neg().numpy()
    if rows.ndim != 2:
        raise InputError(f"it has shape {rows.shape}, expected (m, d): give some rows at a time, as a DataLoader does")
    if rows.dtype.kind not in "biuf" or not rows.shape[1]:
        raise InputError(f"it holds {rows.shape[1]} columns of type {rows.dtype}, expected real numbers")
    return as_floats(rows)


def _mark(rows: NDArray[Any]) -> int | None:
    """Give a number that tells first rows apart."""
    return zlib.crc32(np.ascontiguousarray(rows[0], np.float64).tobytes()) if len(rows) else None
