"""What a reader is, and how rows are cut into windows."""

from __future__ import annotations

__all__ = ["WINDOW", "Reader", "Window", "cut", "rows_of_window", "share"]

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...._utils.checks import check_count

WINDOW = 2**21  # numbers of a window: 16 MB in float64, of which a few are in memory at a time


class Window(NamedTuple):
    """Some rows that lie one after the other.

    Attributes
    ----------
    rows : numpy.ndarray of shape (m, d), C-contiguous
        Real numbers.
    weights : numpy.ndarray of shape (m,) and type float64, or None
        Their weights.
    start : int
        The number of the first row among all rows of the data, from 0.
    name : str
        The file that they are from, for messages.
    row : int
        The number of the first row in that file, from 0.
    """

    rows: NDArray[Any]
    weights: NDArray[np.float64] | None
    start: int
    name: str
    row: int


class Reader(ABC):
    """Data that is read in windows, as often as wanted.

    Attributes
    ----------
    columns : tuple of d str, or None
        Names of the features, if they have some.
    n_features : int
        d.
    weight_column : str or None
        Where the weights come from.
    ignored : tuple of str
        Columns that were left out without being asked about.
    paths : tuple of Path
        The files, if it reads files.
    """

    columns: tuple[str, ...] | None = None
    n_features: int
    weight_column: str | None = None
    ignored: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()

    @property
    def n_rows(self) -> int | None:
        """The number of all rows, or None if it takes reading them all to know."""
        return self.count()

    def count(self, rank: int = 0, size: int = 1) -> int | None:
        """Give the number of rows of a share, or None if it takes reading them to know."""
        return None

    @abstractmethod
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        """Give one of ``size`` shares of the rows, the same windows in the same order every time.

        The shares together are all rows once. Where rows can't be reached without reading those before them, every
        share reads all and keeps every so-manyth window.
        """


def rows_of_window(n_features: int, rows_per_block: int | None) -> int:
    """Give the number of rows of a window: the one asked for, or what makes it WINDOW numbers."""
    if rows_per_block is not None:
        check_count("rows_per_block", rows_per_block)
    return rows_per_block or max(1, WINDOW // n_features)


def share(windows: Iterable[Window], rank: int, size: int) -> Iterator[Window]:
    """Keep every so-manyth window."""
    return (window for i, window in enumerate(windows) if i % size == rank)


def cut(pieces: Iterable[Window], n_rows: int) -> Iterator[Window]:
    """Put pieces together to windows of so many rows; another file, or another type, begins a new one."""
    filling: _Filling | None = None
    for piece in pieces:
        at = 0
        while at < len(piece.rows):
            if filling is not None and not filling.takes(piece):
                yield filling.done()
                filling = None
            if filling is None:
                filling = _Filling(piece, at, n_rows)
            at += filling.add(piece, at)
    if filling is not None:
        yield filling.done()


class _Filling:
    """A window that is being filled."""

    def __init__(self, first: Window, at: int, n_rows: int) -> None:
        self.first, self.start, self.row, self.n = first, first.start + at, first.row + at, 0
        self.rows = np.empty((n_rows, first.rows.shape[1]), first.rows.dtype)
        self.weights = None if first.weights is None else np.empty(n_rows)

    def takes(self, piece: Window) -> bool:
        return self.n < len(self.rows) and (piece.name, piece.rows.dtype) == (self.first.name, self.rows.dtype)

    def add(self, piece: Window, at: int) -> int:
        """Copy as many rows as there is room for, and say how many."""
        part = slice(at, at + len(self.rows) - self.n)
        count = len(piece.rows[part])
        self.rows[self.n : self.n + count] = piece.rows[part]
        if self.weights is not None and piece.weights is not None:
            self.weights[self.n : self.n + count] = piece.weights[part]
        self.n += count
        return count

    def done(self) -> Window:
        weights = None if self.weights is None else self.weights[: self.n]
        return Window(self.rows[: self.n], weights, self.start, self.first.name, self.row)
