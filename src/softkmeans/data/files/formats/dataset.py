"""The Arrow formats that `pyarrow.dataset` reads in bounded memory: Arrow (also named Feather) and ORC."""

from __future__ import annotations

__all__ = ["ARROW", "ORC"]

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from typing_extensions import override

from .base import Format, OpenTable, Parts, Write, arrow, arrow_header

BATCH_SIZE = 2**17  # numbers in a record batch: 1 MB in float64


class _Dataset(Parts):
    """A file that `pyarrow.dataset` reads batch by batch."""

    def __init__(self, path: Path, name: str) -> None:
        self.dataset = arrow("dataset").dataset(path, format=name)
        self.header, self.n_rows = arrow_header(self.dataset.schema), self.dataset.count_rows()

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        # Without threads and readahead, memory does not grow with the file; `prefetch` reads ahead.
        one_at_a_time = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        yield from self.dataset.to_batches(columns=names, batch_size=max_rows, **one_at_a_time)


def _read(path: Path, name: str) -> OpenTable:
    dataset = arrow("dataset").dataset(path, format=name)

    def load(numbers: list[str], others: list[str]) -> dict[str, Any]:
        table = dataset.to_table(columns=numbers + others)
        return {column: table[column].to_numpy() for column in numbers + others}

    return OpenTable(arrow_header(dataset.schema), dataset.count_rows(), load)


def _format(name: str, suffixes: tuple[str, ...], write: Write) -> Format:
    """Return a format by its name in `pyarrow.dataset`."""
    return Format(suffixes, partial(_read, name=name), partial(_Dataset, name=name), write, needs="pyarrow")


def _write_arrow(file: BinaryIO, tables: Iterator[Any]) -> None:
    """Write tables in record batches that are small, because they are read one by one."""
    first = next(tables)
    max_rows = max(1, BATCH_SIZE // first.num_columns)
    with arrow("ipc").new_file(file, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table, max_rows)


def _write_orc(file: BinaryIO, tables: Iterator[Any]) -> None:
    with arrow("orc").ORCWriter(file) as writer:
        for table in tables:
            writer.write(table)


ARROW = _format("ipc", (".arrow", ".feather"), _write_arrow)
ORC = _format("orc", (".orc",), _write_orc)
