"""Choice of the reader for what the user names: files, folders, patterns or streams."""

from __future__ import annotations

__all__ = ["READERS", "open_reader"]

from collections.abc import Callable, Sequence
from typing import Any

from ....errors import FileError
from ..whole_files import find_suffix
from .base import Reader
from .csv import CsvReader
from .npy import NpyReader
from .parquet import ParquetReader
from .paths import find_files
from .streams import StreamReader

READERS: dict[str, Callable[..., Reader]] = {
    ".npy": NpyReader,
    ".parquet": ParquetReader,
    ".csv": CsvReader,
    ".csv.gz": CsvReader,
    ".tsv": CsvReader,
    ".tsv.gz": CsvReader,
}


def open_reader(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    rows_per_block: int | None = None,
) -> Reader:
    """Return a reader of files, which must all have one format, or of an iterable of tables."""
    files = find_files(data, READERS)
    if files is None:
        return StreamReader(data, columns, weight_column, rows_per_block)
    suffixes = {READERS[suffix]: suffix for suffix in (find_suffix(file.path, READERS) for file in files)}
    if len(suffixes) > 1:
        formats = ", ".join(suffixes.values())
        raise FileError(f"{data}: the files have several formats, {formats}", hint="give files of one format")
    reader = next(iter(suffixes))(files, columns, weight_column, rows_per_block)
    reader.paths = tuple(file.path for file in files)
    return reader
