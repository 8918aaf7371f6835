"""Writing tables to CSV, TSV and Parquet files, whole or in pieces."""

__all__ = ["WRITERS", "table_writer", "write_table"]

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
from ...errors import FileError, InputError
from .whole_files import arrow, find_suffix, listing

GROUP_SIZE = 2**21  # numbers collected before they are written: Parquet files of many small row groups read slowly

Write: TypeAlias = Callable[[Mapping[str, ArrayLike]], None]
Target: TypeAlias = str | os.PathLike[str] | BinaryIO


@contextmanager
def table_writer(target: Target) -> Iterator[Write]:
    r"""Write a table of named columns as CSV, TSV or Parquet, some rows at a time.

    Numbers are written with enough digits to be read back exactly. The file appears only when it is complete: if the
    block ends with an exception, an existing file stays as it was.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension determines the format (``.csv`` and ``.tsv`` also with ``.gz``). An open binary
        file, such as ``sys.stdout.buffer``, gets CSV and stays open.

    Yields
    ------
    callable
        Writes the next rows, given as a mapping of str to array-like (m,): numbers, true/false or text. All calls need
        the same columns, with types that can be converted to those of the first call.

    Raises
    ------
    InputError
        If the extension is unknown, the columns are not (m,) arrays of one length or not those of the first call,
        nothing was written, or the file can't be written.
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
        with _disk_errors(str(getattr(target, "name", "the open file"))), _writer(target, ".csv") as write:
            yield write
        return
    suffix = find_suffix(Path(target), WRITERS)
    with (
        _disk_errors(str(target)),
        atomic_write(target) as path,
        _open(path) as file,
        _writer(file, suffix) as write,
    ):
        yield write


def write_table(target: Target, columns: Mapping[str, ArrayLike]) -> None:
    """Write named columns as CSV, TSV or Parquet.

    Numbers are written with enough digits to be read back exactly. The file appears only when it is complete.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension determines the format (``.csv`` and ``.tsv`` also with ``.gz``). An open binary
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
def _writer(file: Any, suffix: str) -> Iterator[Write]:
    writer = _GroupedWriter(file, suffix)
    try:
        yield writer.write
        writer.finish()
    finally:
        writer.close()


class _GroupedWriter:
    """Writes tables one after the other, collected into groups."""

    def __init__(self, file: Any, suffix: str) -> None:
        self.file, self.suffix = file, suffix
        self.schema: Any = None
        self.writer: Any = None
        self.pending: list[Any] = []

    def write(self, columns: Mapping[str, ArrayLike]) -> None:
        """Add the next rows, and write them when a group is complete."""
        table = _arrow_table(columns)
        if self.schema is None:
            self.schema, self.writer = table.schema, WRITERS[self.suffix](self.file, table.schema)
        self.pending.append(_cast_to_schema(table, self.schema))
        if sum(piece.num_rows for piece in self.pending) * len(self.schema) >= GROUP_SIZE:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows."""
        if self.pending:
            table = arrow("lib").concat_tables(self.pending)
            self.pending = []
            self.writer.write_table(table)

    def finish(self) -> None:
        """Write the pending rows and the end of the file."""
        if self.writer is None:
            raise InputError("there is no table to write", hint="write one or more columns")
        self.flush()
        self.writer.close()
        self.writer = None

    def close(self) -> None:
        """Close a writer that was left unfinished: otherwise it would write when it is garbage-collected."""
        if self.writer is not None:
            with suppress(OSError):
                self.writer.close()


def _arrow_table(columns: Mapping[str, ArrayLike]) -> Any:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shapes = {name: values.shape for name, values in arrays.items()}
    if not shapes or len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        problem = f"the columns must be one-dimensional and of one length, got shapes {shapes}"
        raise InputError(problem, hint="reshape them")
    return arrow("lib").table(arrays)


def _cast_to_schema(table: Any, schema: Any) -> Any:
    """Convert a later piece to the types of the first one."""
    if table.schema.names != schema.names:
        raise FileError(
            f"a piece has columns {listing(table.schema.names)}",
            expected=f"{listing(schema.names)} as in the first piece",
            hint="all pieces of a table need the same columns",
        )
    try:
        return table if table.schema == schema else table.cast(schema)
    except ValueError as error:
        reason = " ".join(str(error).split())
        problem = f"a piece can't be converted to the column types of the first piece: {reason}"
        raise FileError(problem, hint="write the same types in every piece") from None


@contextmanager
def _disk_errors(target: str) -> Iterator[None]:
    """Raise an InputError that names the file where a disk or quota is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL_DISK_ERRORS:
            raise
        reason = "the disk is full" if error.errno == errno.ENOSPC else os.strerror(error.errno).lower()
        raise FileError(f"can't write {target}: {reason}", hint="make room or write somewhere else") from error


def _open(path: Path) -> Any:
    return gzip.open(path, "wb", compresslevel=6) if path.suffix.lower() == ".gz" else path.open("wb")


def _csv(file: Any, schema: Any, delimiter: str) -> Any:
    csv = arrow("csv")
    return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(delimiter=delimiter))


def _parquet(file: Any, schema: Any) -> Any:
    return arrow("parquet").ParquetWriter(file, schema)


WRITERS: dict[str, Callable[[Any, Any], Any]] = {
    ".csv": partial(_csv, delimiter=","),
    ".csv.gz": partial(_csv, delimiter=","),
    ".tsv": partial(_csv, delimiter="\t"),
    ".tsv.gz": partial(_csv, delimiter="\t"),
    ".parquet": _parquet,
}
_FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # full disk, exceeded quota, file size limit
