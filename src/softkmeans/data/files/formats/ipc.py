"""Arrow files, also named Feather: `pyarrow.dataset` reads them in bounded memory.

It reads ORC files, too, but ORC is no format here: pyarrow 16 crashes on some damaged ORC files.
"""

from __future__ import annotations

__all__ = ["ARROW"]

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from typing_extensions import override

from .arrow_tables import open_arrow_table
from .base import Format, OpenTable, Parts, arrow
from .lists import Lists

BATCH_SIZE = 2**17  # numbers in a record batch: 1 MB in float64


class _ArrowFile(Parts):
    """An Arrow file, which is read from its beginning, one record batch after the other."""

    def __init__(self, path: Path) -> None:
        self.dataset = _open(path)
        self.lists = Lists.of(self.dataset.schema, lambda name: self.dataset.head(1, columns=[name])[name])
        self.header, self.n_rows = self.lists.header, self.dataset.count_rows()

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        # Without threads and readahead, memory does not grow with the file; `prefetch` reads ahead.
        one_at_a_time = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        stored = self.lists.stored(names)
        batches = self.dataset.to_batches(columns=stored, batch_size=max_rows, **one_at_a_time)
        return self.lists.select_all(batches, names)

    @override
    def carry(self, names: list[str]) -> Iterator[Any]:
        yield from self.dataset.to_batches(columns=names)


def _open(path: Path) -> Any:
    return arrow("dataset").dataset(path, format="ipc")


def _read(path: Path) -> OpenTable:
    file = _ArrowFile(path)
    return open_arrow_table(file.lists, file.n_rows or 0, lambda names: file.dataset.to_table(columns=names))


class _Writer:
    """Writes record batches that are small, because they are read one by one."""

    def __init__(self, file: BinaryIO, schema: Any) -> None:
        self.writer = arrow("ipc").new_file(file, schema)
        self.max_rows = max(1, BATCH_SIZE // max(1, len(schema)))

    def write_table(self, table: Any) -> None:
        self.writer.write_table(table, self.max_rows)

    def close(self) -> None:
        self.writer.close()


ARROW = Format((".arrow", ".feather"), _read, _ArrowFile, _Writer, needs="pyarrow")
