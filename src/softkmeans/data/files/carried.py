"""Columns that go from the rows of a file to its results: names of the rows, and others that the user keeps."""

from __future__ import annotations

__all__ = ["CarriedColumns"]

from collections.abc import Iterator
from typing import Any

from ...errors import FileError
from .formats.base import arrow


class CarriedColumns:
    """Columns that are written beside the results, some rows at a time."""

    def __init__(self, tables: Iterator[Any] | None) -> None:
        self.tables = tables
        self.pending: list[Any] = []  # record batches, or tables, of the next rows

    def beside(self, results: dict[str, Any], n_rows: int) -> dict[str, Any]:
        """Return the next rows of these columns, and the results of the same rows."""
        if self.tables is None:
            return results
        taken: list[Any] = []
        while n_rows:
            piece = self.pending.pop() if self.pending else next(self.tables, None)
            if piece is None:
                problem = "the columns to carry have fewer rows than the data"
                raise FileError(problem, hint="data must not change while it is used")
            taken.append(piece.slice(0, n_rows))
            n_rows -= len(taken[-1])
            if len(taken[-1]) < len(piece):
                self.pending.append(piece.slice(len(taken[-1])))
        names = taken[0].schema.names
        if both := [name for name in names if name in results]:
            problem = f"column {both[0]!r} can't be written beside the results, which have one of this name"
            raise FileError(problem, hint="rename it")
        pieces = {name: [column for piece in taken for column in _chunks(piece[name])] for name in names}
        return {name: arrow("lib").chunked_array(columns) for name, columns in pieces.items()} | results


def _chunks(column: Any) -> list[Any]:
    return getattr(column, "chunks", [column])
