"""Parquet files: the columns that are used, some rows of a row group at a time.

`pyarrow.dataset`, which reads Arrow files, is not used: it reads whole row groups ahead, and programs write
row groups of any size. For a file of 256 MB in one row group it took 380 MB, and a ParquetFile without ``pre_buffer``
24 MB, at the same speed.
"""

from __future__ import annotations

__all__ = ["PARQUET"]

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typing_extensions import override

from .arrow_tables import open_arrow_table
from .base import Format, OpenTable, Parts, arrow
from .lists import Lists

DECODED_AT_A_TIME = 2**17  # numbers: 1 MB in float64, which fits in the cache
BUFFER_SIZE = 2**21  # bytes of the file that are read at a time, for all columns together
MIN_COLUMN_BUFFER_SIZE = 2**14


class _Parquet(Parts):
    """A Parquet file, which can be read from any row group on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with arrow("parquet").ParquetFile(path) as file:
            metadata = file.metadata
            self.lists = Lists.of(file.schema_arrow, lambda name: next(file.iter_batches(1, columns=[name]))[name])
        self.header = self.lists.header
        n_rows = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        self.cuts: list[int] = list(itertools.accumulate(n_rows, initial=0))
        self.n_rows: int = self.cuts[-1]

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        end = self.n_rows if stop is None else stop
        groups = [i for i, row in enumerate(self.cuts[:-1]) if start <= row < end]
        batch_rows = max(1, min(DECODED_AT_A_TIME // len(names), max_rows))  # a list counts as its elements
        buffer_size = max(MIN_COLUMN_BUFFER_SIZE, BUFFER_SIZE // len(names))
        with arrow("parquet").ParquetFile(self.path, buffer_size=buffer_size, pre_buffer=False) as file:
            batches = file.iter_batches(batch_rows, groups, self.lists.stored(names))
            yield from self.lists.select_all(batches, names, start)

    @override
    def carry(self, names: list[str]) -> Iterator[Any]:
        with arrow("parquet").ParquetFile(self.path) as file:
            yield from file.iter_batches(columns=names)


def _read(path: Path) -> OpenTable:
    parts = _Parquet(path)
    read = arrow("parquet").ParquetFile(path).read
    return open_arrow_table(parts.lists, parts.n_rows, lambda names: read(columns=names))


PARQUET = Format(
    (".parquet",),
    read=_read,
    scan=_Parquet,
    write=lambda file, schema: arrow("parquet").ParquetWriter(file, schema),
    needs="pyarrow",
)
