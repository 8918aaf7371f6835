"""Writing tables to files, whole or in pieces."""

__all__ = ["table_writer", "write_table"]

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..._utils.atomic import atomic_write
from ...errors import FileError, InputError
from ...registries import FORMATS
from .compression import open_binary
from .errors import listing
from .formats.base import Format, TableWriter, arrow
from .formats.lookup import find_format

GROUP_SIZE = 2**21  # numbers collected before they are written: Parquet files of many small row groups read slowly

OPEN_FILE_FORMAT = "csv"  # of an open file, which has no suffix

Write: TypeAlias = Callable[[Mapping[str, ArrayLike]], None]
Target: TypeAlias = str | os.PathLike[str] | BinaryIO


@contextmanager
def table_writer(target: Target) -> Iterator[Write]:
    r"""Write a table of named columns to a file, some rows at a time.

    Numbers are written with enough digits to be read back exactly. The file appears only when it is complete: if the
    block ends with an exception, an existing file stays as it was.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension determines the format: CSV or TSV (also with ``.gz``), Parquet, Arrow, or
        another one of ``FORMATS`` that can be written. An open binary file, such as ``sys.stdout.buffer``, gets CSV and
        stays open.

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
        If pyarrow, or a package that the format needs, is not installed.

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
    if isinstance(target, str | os.PathLike):
        name, used = str(target), find_format(Path(target), "write")
    else:
        name, used = str(getattr(target, "name", "the open file")), FORMATS[OPEN_FILE_FORMAT]
    with _disk_errors(name), _opened(target) as file:
        writer = _GroupedWriter(used, file)
        try:
            yield writer.write
            writer.finish()
        finally:
            writer.close()


def write_table(target: Target, columns: Mapping[str, ArrayLike]) -> None:
    """Write named columns to a file.

    Numbers are written with enough digits to be read back exactly. The file appears only when it is complete.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension determines the format: CSV or TSV (also with ``.gz``), Parquet, Arrow, or
        another one of ``FORMATS`` that can be written. An open binary file, such as ``sys.stdout.buffer``, gets CSV and
        stays open.
    columns : mapping of str to array-like of shape (n,)
        The columns, in order: numbers, true/false or text.

    Raises
    ------
    InputError
        If the extension is unknown, the columns are not (n,) arrays of one length, or the file can't be written.
    MissingExtraError
        If pyarrow, or a package that the format needs, is not installed.

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
def _opened(target: Target) -> Iterator[Any]:
    """Open a file that appears under its name only when it is complete; an open file stays open."""
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    with atomic_write(target) as path, open_binary(path, "wb") as file:
        yield file


class _GroupedWriter:
    """Writes tables in a format, in groups and with the types of the first one."""

    def __init__(self, used: Format, file: Any) -> None:
        self.used, self.file = used, file
        self.schema: Any = None
        self.writer: TableWriter | None = None
        self.pending: list[Any] = []

    def write(self, columns: Mapping[str, ArrayLike]) -> None:
        """Add the next rows, and write them when a group is complete: files get no tiny row groups."""
        table = _arrow_table(columns)
        if self.writer is None:
            assert self.used.write is not None  # noqa: S101 -- find_format checked it
            self.schema, self.writer = table.schema, _checked_writer(self.used.write(self.file, table.schema))
        self.pending.append(_cast_to_schema(table, self.schema))
        if sum(piece.num_rows for piece in self.pending) * len(self.schema) >= GROUP_SIZE:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows."""
        if self.pending and self.writer is not None:
            table = arrow("lib").concat_tables(self.pending).combine_chunks()  # pyarrow 16 writes chunks to CSV wrongly
            self.pending = []
            self.writer.write_table(table)

    def finish(self) -> None:
        """Write the pending rows and the end of the file."""
        if self.writer is None:
            raise InputError("there is no table to write", hint="write one or more columns")
        self.flush()
        writer, self.writer = self.writer, None
        writer.close()

    def close(self) -> None:
        """Close a writer that was left unfinished: otherwise it would write when it is garbage-collected."""
        if self.writer is not None:
            with suppress(OSError):
                self.writer.close()


def _checked_writer(writer: Any) -> TableWriter:
    """Return what the write function of a format returned, if it is a writer."""
    missing = [name for name in ("write_table", "close") if not callable(getattr(writer, name, None))]
    if missing:
        problem = f"the write function of the file's format returned a {type(writer).__name__}"
        raise InputError(problem, expected=f"a writer, with the method {missing[0]}")
    return writer  # type: ignore[no-any-return]


def _arrow_table(columns: Mapping[str, ArrayLike]) -> Any:
    lib = arrow("lib")
    arrays: dict[str, Any] = {
        name: values if isinstance(values, lib.Array | lib.ChunkedArray) else np.asarray(values)
        for name, values in columns.items()
    }
    shapes = {
        name: values.shape if isinstance(values, np.ndarray) else (len(values),) for name, values in arrays.items()
    }
    if not shapes or len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        problem = f"the columns must be one-dimensional and of one length, got shapes {shapes}"
        raise InputError(problem, hint="reshape them")
    return lib.table(arrays)


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


_FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # full disk, exceeded quota, file size limit
