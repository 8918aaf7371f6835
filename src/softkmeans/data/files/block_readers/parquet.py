"""Reader of Parquet files: the columns that are used, some rows of a row group at a time."""

from __future__ import annotations

__all__ = ["ParquetReader"]

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from typing_extensions import override

from ..whole_files import OpenTable, arrow, from_arrow, no_rows_error, one_line_errors
from .base import WINDOW_SIZE, Reader, Window, resize_windows, rows_per_window
from .named_columns import check_same_columns, choose_from
from .paths import File

BATCH_SIZE = 2**17  # numbers decoded at a time: 1 MB in float64, which fits in the cache
MIN_BUFFER_BYTES = 2**14  # bytes of each column that are read at a time, at least


class _RowGroup(NamedTuple):
    """A row group of a file.

    ``number`` is its index in the file, ``row`` the index of its first row in the file, ``start`` among all rows.
    """

    file: File
    number: int
    n_rows: int
    row: int
    start: int


class ParquetReader(Reader):
    """Rows of files, one after the other; a share is a run of row groups; all shares have about the same length."""

    def __init__(
        self, files: list[File], columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        opened = [_open(file) for file in files]
        first = opened[0][0]
        with one_line_errors(files[0].path):
            self.chosen = choose_from(first, columns, weight_column)
        for file, (table, _) in zip(files, opened, strict=True):
            with one_line_errors(file.path):
                check_same_columns(table.numeric, first.numeric, self.chosen, str(files[0].path))
        self.groups = list(_number_groups(files, [group_rows for _, group_rows in opened]))
        if not self.count():
            with one_line_errors(files[0].path):
                raise no_rows_error()
        self.columns, self.ignored, self.weight_column = self.chosen.features, self.chosen.ignored, weight_column
        self.n_features = len(self.columns)
        self.rows_per_block = min(self.count(), rows_per_window(self.n_features, rows_per_block))

    @override
    def count(self, rank: int = 0, size: int = 1) -> int:
        return sum(group.n_rows for group in self._share(rank, size))

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        return resize_windows(self._pieces(self._share(rank, size)), self.rows_per_block)

    def _share(self, rank: int, size: int) -> list[_RowGroup]:
        """Return the row groups of a rank.

        The groups are divided into ``size`` runs of consecutive groups so that the longest run is as short as possible.
        """
        n_rows = [group.n_rows for group in self.groups]
        limits = range(max(n_rows, default=0), sum(n_rows))
        index = bisect.bisect_left(limits, True, key=lambda limit: _assign_ranks(n_rows, limit)[-1] < size)
        ranks = _assign_ranks(n_rows, limits.start + index)
        return [group for group, owner in zip(self.groups, ranks, strict=True) if owner == rank]

    def _pieces(self, groups: list[_RowGroup]) -> Iterator[Window]:
        names = self.chosen.used
        batch_rows = max(1, min(BATCH_SIZE // self.n_features, self.rows_per_block))
        for file, run in itertools.groupby(groups, lambda group: group.file):
            file_groups = list(run)
            row = file_groups[0].row
            file_start = file_groups[0].start - row  # index of the file's first row among all rows
            with one_line_errors(file.path), _open_buffered(file, len(names)) as opened:
                for batch in opened.iter_batches(batch_rows, [group.number for group in file_groups], names):
                    yield self.chosen.window(batch, file_start + row, str(file.path), row)
                    row += len(batch)


def _assign_ranks(n_rows: list[int], limit: int) -> list[int]:
    """Return the rank of each row group; the next rank begins when a rank would get more rows than ``limit``."""
    ranks = []
    rank = 0
    n_assigned = 0
    for count in n_rows:
        if n_assigned + count > limit:
            rank += 1
            n_assigned = 0
        ranks.append(rank)
        n_assigned += count
    return ranks


def _open_buffered(file: File, n_columns: int) -> Any:
    """Open a file so that it is read in small parts, however large its row groups are."""
    file.check()
    buffer_bytes = max(MIN_BUFFER_BYTES, WINDOW_SIZE // n_columns)
    return arrow("parquet").ParquetFile(file.path, buffer_size=buffer_bytes, pre_buffer=False)


def _open(file: File) -> tuple[OpenTable, list[int]]:
    """Return the columns of a file, and the number of rows of each row group."""
    with one_line_errors(file.path), arrow("parquet").ParquetFile(file.path) as opened:
        metadata, path = opened.metadata, file.path

        def read(names: list[str]) -> Any:
            return arrow("parquet").ParquetFile(path).read_row_group(0, names)

        n_rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return from_arrow(metadata.num_rows, opened.schema_arrow, read), n_rows


def _number_groups(files: list[File], n_rows: list[list[int]]) -> Iterator[_RowGroup]:
    """Yield the row groups that have rows, with their positions."""
    start = 0
    for file, counts in zip(files, n_rows, strict=True):
        row = 0
        for number, count in enumerate(counts):
            if count:
                yield _RowGroup(file, number, count, row, start)
            row += count
            start += count
