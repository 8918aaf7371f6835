"""Tables written to disk, whole or piece by piece."""

__all__ = ["table_writer", "write_table"]

import errno
import gzip
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..._utils.atomic import atomic_write
from ...errors import InputError
from .formats import arrow, find_suffix, listing

GROUP = 2**21  # numbers that are gathered before they are written: Parquet files of many small pieces read slowly

Write: TypeAlias = Callable[[Mapping[str, ArrayLike]], None]
Target: TypeAlias = str | os.PathLike[str] | BinaryIO


@contextmanager
def table_writer(target: Target) -> Iterator[Write]:
    r"""Write a table of named columns as CSV, TSV or Parquet, some rows at a time.

    Numbers are written with as many digits as it takes to read them back exactly. A file appears only when complete:
    if the block ends in an exception, what stood there stays.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension says the format (``.csv`` and ``.tsv`` also with ``.gz``). An open binary
        file, such as ``sys.stdout.buffer``, gets CSV and stays open.

    Yields
    ------
    callable
        Takes a mapping of str to array-like (m,), numbers, true/false or text: the next rows. All calls give the same
        columns, and types that go into those of the first call.

    Raises
    ------
    InputError
        If the extension is unknown, the columns are not (m,) arrays of one length or not those of the first call, no
        columns came at all, or the file can't be written.
    MissingExtraError
        If pyarrow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from softkmeans.data import table_writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels.csv"
    ...     with table_writer(path) as write:
    ...         write({"label": [0, 1]})
    ...         write({"label": [1]})
    ...     path.read_text()
    '"label"\n0\n1\n1\n'
    """
    if not isinstance(target, str | os.PathLike):
        with _named_if_full(str(getattr(target, "name", "the open file"))), _pieces(target, ".csv") as write:
            yield write
        return
    suffix = find_suffix(Path(target), _WRITERS)
    with (
        _named_if_full(str(target)),
        atomic_write(target) as path,
        _opened(path) as file,
        _pieces(file, suffix) as write,
    ):
        yield write


def write_table(target: Target, columns: Mapping[str, ArrayLike]) -> None:
    """Write named columns as CSV, TSV or Parquet.

    Numbers are written with as many digits as it takes to read them back exactly. A file appears only when complete.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension says the format (``.csv`` and ``.tsv`` also with ``.gz``). An open binary
        file, such as ``sys.stdout.buffer``, gets CSV and stays open.
    columns : mapping of str to array-like of shape (n,)
        The columns, in order: numbers, true/false or text.

    Raises
    ------
    InputError
        If the extension is unknown, the columns are not (n,) arrays of one length, or the file can't be written.
    MissingExtraError
        If pyarrow is not installed.

    Examples
    --------
    >>> import io
    >>> from softkmeans.data import write_table
    >>> file = io.BytesIO()
    >>> write_table(file, {"label": [0, 1], "probability": [0.1, 0.75]})
    >>> print(file.getvalue().decode())
    "label","probability"
    0,0.1
    1,0.75
    """
    with table_writer(target) as write:
        write(columns)


@contextmanager
def _pieces(file: Any, suffix: str) -> Iterator[Write]:
    pieces = _Pieces(file, suffix)
    try:
        yield pieces.write
        pieces.finish()
    finally:
        pieces.close()


class _Pieces:
    """Tables written one below the other, gathered to groups."""

    def __init__(self, file: Any, suffix: str) -> None:
        self.file, self.suffix = file, suffix
        self.schema: Any = None
        self.writer: Any = None
        self.waiting: list[Any] = []

    def write(self, columns: Mapping[str, ArrayLike]) -> None:
        """Take the next rows."""
        table = _arrow_table(columns)
        if self.schema is None:
            self.schema, self.writer = table.schema, _WRITERS[self.suffix](self.file, table.schema)
        self.waiting.append(_fitted(table, self.schema))
        if sum(each.num_rows for each in self.waiting) * len(self.schema) >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.waiting:
            table = arrow("lib").concat_tables(self.waiting)
            self.waiting = []
            self.writer.write_table(table)

    def finish(self) -> None:
        """Write the rest, and what a format has at its end."""
        if self.writer is None:
            raise InputError("there is no table to write: no columns came")
        self.flush()
        self.writer.close()
        self.writer = None

    def close(self) -> None:
        """Let go of a writer that was left in the middle: it would try to go on when it is collected."""
        if self.writer is not None:
            with suppress(OSError):
                self.writer.close()


def _arrow_table(columns: Mapping[str, ArrayLike]) -> Any:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shapes = {name: values.shape for name, values in arrays.items()}
    if not shapes or len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise InputError(f"the columns must be one-dimensional and of one length, got shapes {shapes}")
    return arrow("lib").table(arrays)


def _fitted(table: Any, schema: Any) -> Any:
    """Give a later piece the types of the first."""
    if table.schema.names != schema.names:
        came = f"columns {listing(table.schema.names)} came after {listing(schema.names)}"
        raise InputError(f"{came}; all pieces of a table need the same columns")
    try:
        return table if table.schema == schema else table.cast(schema)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"a later piece doesn't go into the columns' types of the first one: {reason}") from None


@contextmanager
def _named_if_full(target: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = "the disk is full" if error.errno == errno.ENOSPC else os.strerror(error.errno).lower()
        raise InputError(f"can't write {target}: {reason}; make room or write somewhere else") from error


def _opened(path: Path) -> Any:
    return gzip.open(path, "wb", compresslevel=6) if path.suffix.lower() == ".gz" else path.open("wb")


def _csv(file: Any, schema: Any, delimiter: str) -> Any:
    csv = arrow("csv")
    return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(delimiter=delimiter))


def _parquet(file: Any, schema: Any) -> Any:
    return arrow("parquet").ParquetWriter(file, schema)


_WRITERS: dict[str, Callable[[Any, Any], Any]] = {
    ".csv": partial(_csv, delimiter=","),
    ".csv.gz": partial(_csv, delimiter=","),
    ".tsv": partial(_csv, delimiter="\t"),
    ".tsv.gz": partial(_csv, delimiter="\t"),
    ".parquet": _parquet,
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk, quota, limit on files
