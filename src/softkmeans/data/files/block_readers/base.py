"""The Reader interface, and how rows are grouped into windows."""

from __future__ import annotations

__all__ = ["WINDOW_SIZE", "Reader", "Window", "resize_windows", "rows_per_window", "windows_of_share"]

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...._utils.checks import check_count

WINDOW_SIZE = 2**21  # numbers in a window: 16 MB in float64; a few windows are in memory at a time


class Window(NamedTuple):
    """Consecutive rows of the data.

    Attributes
    ----------
    rows : numpy.ndarray of shape (m, d), C-contiguous
        Real numbers.
    weights : numpy.ndarray of shape (m,) and type float64, or None
        Their weights.
    start : int
        The index of the first row among all rows of the data, from 0.
    name : str
        The file that the rows are from, for messages.
    row : int
        The index of the first row in that file, from 0.
    """

    rows: NDArray[Any]
    weights: NDArray[np.float64] | None
    start: int
    name: str
    row: int


class Reader(ABC):
    """Data that can be read window by window, any number of times.

    Attributes
    ----------
    columns : tuple of d str, or None
        Names of the features, if they have names.
    n_features : int
        d.
    weight_column : str or None
        The column of the weights.
    are_chosen : bool
        Whether the caller chose the features by name.
    ignored : tuple of str
        Columns that were left out although the caller did not ask for it.
    carried : tuple of str
        Columns that are carried to the results.
    notes : tuple of str
        How files are read, where that is unusual.
    paths : tuple of Path
        The files, if it reads files.
    """

    columns: tuple[str, ...] | None = None
    n_features: int
    weight_column: str | None = None
    are_chosen: bool = False
    ignored: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()

    @property
    def n_rows(self) -> int | None:
        """The number of all rows, or None if the data must be read to count them."""
        return self.count()

    def count(self, rank: int = 0, size: int = 1) -> int | None:
        """Return the number of rows of a share, or None if the data must be read to count them."""
        return None

    @abstractmethod
    def carry(self) -> Iterator[Any]:
        """Yield the carried columns of all rows, in order, as PyArrow tables or record batches."""

    @abstractmethod
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        """Yield one of ``size`` shares of the rows: the same windows in the same order every time.

        Each row is in exactly one share. Where rows can't be reached without reading those before them, every share
        reads everything and keeps every ``size``-th window.
        """


def rows_per_window(n_features: int, rows_per_block: int | None) -> int:
    """Return the number of rows of a window: ``rows_per_block`` if given, else enough for WINDOW_SIZE numbers."""
    if rows_per_block is not None:
        check_count("rows_per_block", rows_per_block)
    return rows_per_block or max(1, WINDOW_SIZE // n_features)


def windows_of_share(windows: Iterable[Window], rank: int, size: int) -> Iterator[Window]:
    """Return an iterator of every ``size``-th window, starting with window ``rank``."""
    return (window for i, window in enumerate(windows) if i % size == rank)


def resize_windows(pieces: Iterable[Window], n_rows: int) -> Iterator[Window]:
    """Regroup pieces into windows of ``n_rows`` rows; each file and each dtype starts a new window."""
    builder: _WindowBuilder | None = None
    for piece in pieces:
        offset = 0
        while offset < len(piece.rows):
            if builder is not None and not builder.accepts(piece):
                yield builder.build()
                builder = None
            if builder is None:
                builder = _WindowBuilder(piece, offset, n_rows)
            offset += builder.add(piece, offset)
    if builder is not None:
        yield builder.build()


class _WindowBuilder:
    """A window into which pieces are copied until it is full."""

    def __init__(self, first: Window, offset: int, n_rows: int) -> None:
        self.name = first.name
        self.start = first.start + offset
        self.row = first.row + offset
        self.n_filled = 0
        self.rows = np.empty((n_rows, first.rows.shape[1]), first.rows.dtype)
        self.weights = None if first.weights is None else np.empty(n_rows)

    def accepts(self, piece: Window) -> bool:
        """Return whether there is room left, and the piece has the same file and dtype."""
        return self.n_filled < len(self.rows) and (piece.name, piece.rows.dtype) == (self.name, self.rows.dtype)

    def add(self, piece: Window, offset: int) -> int:
        """Copy the rows from ``offset`` on that fit into the window, and return their number."""
        part = slice(offset, offset + len(self.rows) - self.n_filled)
        count = len(piece.rows[part])
        self.rows[self.n_filled : self.n_filled + count] = piece.rows[part]
        if self.weights is not None and piece.weights is not None:
            self.weights[self.n_filled : self.n_filled + count] = piece.weights[part]
        self.n_filled += count
        return count

    def build(self) -> Window:
        """Return the filled part of the window."""
        weights = None if self.weights is None else self.weights[: self.n_filled]
        return Window(self.rows[: self.n_filled], weights, self.start, self.name, self.row)
