"""Parquet: files of row groups, of which the columns that are used are read some rows at a time."""

from __future__ import annotations

__all__ = ["ParquetReader"]

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from typing_extensions import override

from ....errors import InputError
from ..formats import NO_ROWS, Opened, arrow, from_arrow, one_line_errors
from .base import WINDOW, Reader, Window, cut, rows_of_window
from .named import check_same_columns, choose_from
from .paths import File

PIECE = 2**17  # numbers that are decoded at a time: 1 MB, which caches hold
BUFFER = 2**14  # bytes at least that are read at a time of each column


class _Group(NamedTuple):
    """A row group: its file, its number there, its rows, and how many rows are before it there and in all."""

    file: File
    number: int
    rows: int
    row: int
    start: int


class ParquetReader(Reader):
    """Rows of files, one below the other; a share is a run of row groups, about as many rows as the others'."""

    def __init__(
        self, files: list[File], columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        opened = [_open(file) for file in files]
        first = opened[0][0]
        with one_line_errors(files[0].path):
            self.chosen = choose_from(first, columns, weight_column)
        for file, (each, _) in zip(files, opened, strict=True):
            with one_line_errors(file.path):
                check_same_columns(each.numeric, first.numeric, self.chosen, str(files[0].path))
        self.groups = list(_number(files, [rows for _, rows in opened]))
        if not self.count():
            raise InputError(f"{files[0].path}: {NO_ROWS}")
        self.columns, self.ignored, self.weight_column = self.chosen.features, self.chosen.ignored, weight_column
        self.n_features = len(self.columns)
        self.rows_per_block = min(self.count(), rows_of_window(self.n_features, rows_per_block))

    @override
    def count(self, rank: int = 0, size: int = 1) -> int:
        return sum(group.rows for group in self._share(rank, size))

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        return cut(self._pieces(self._share(rank, size)), self.rows_per_block)

    def _share(self, rank: int, size: int) -> list[_Group]:
        """Give a run of row groups: one of as many, of which the longest is as short as can be."""
        rows = [group.rows for group in self.groups]
        limits = range(max(rows, default=0), sum(rows))
        limit = limits.start + bisect.bisect_left(limits, True, key=lambda most: _deal(rows, most)[-1] < size)
        return [group for group, owner in zip(self.groups, _deal(rows, limit), strict=True) if owner == rank]

    def _pieces(self, groups: list[_Group]) -> Iterator[Window]:
        names, size = self.chosen.used, max(1, min(PIECE // self.n_features, self.rows_per_block))
        for file, run in itertools.groupby(groups, lambda group: group.file):
            there = list(run)
            row, above = there[0].row, there[0].start - there[0].row
            with one_line_errors(file.path), _reader(file, len(names)) as opened:
                for batch in opened.iter_batches(size, [group.number for group in there], names):
                    yield self.chosen.window(batch, above + row, str(file.path), row)
                    row += len(batch)


def _deal(rows: list[int], most: int) -> list[int]:
    """Give each row group to a rank, the next one when the rows would become more than this."""
    ranks, rank, has = [], 0, 0
    for count in rows:
        if has + count > most:
            rank, has = rank + 1, 0
        ranks.append(rank)
        has += count
    return ranks


def _reader(file: File, n_columns: int) -> Any:
    """Open a file so that it is read in small parts, however large its row groups are."""
    file.check()
    buffer = max(BUFFER, WINDOW // n_columns)
    return arrow("parquet").ParquetFile(file.path, buffer_size=buffer, pre_buffer=False)


def _open(file: File) -> tuple[Opened, list[int]]:
    """Give a file's columns and the rows of its groups."""
    with one_line_errors(file.path), arrow("parquet").ParquetFile(file.path) as opened:
        about, path = opened.metadata, file.path

        def read(names: list[str]) -> Any:
            return arrow("parquet").ParquetFile(path).read_row_group(0, names)

        rows = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        return from_arrow(about.num_rows, opened.schema_arrow, read), rows


def _number(files: list[File], rows: list[list[int]]) -> Iterator[_Group]:
    start = 0
    for file, groups in zip(files, rows, strict=True):
        row = 0
        for number, count in enumerate(groups):
            if count:
                yield _Group(file, number, count, row, start)
            row, start = row + count, start + count
