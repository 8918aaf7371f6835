"""NPY files: an array (n, d), mapped to memory some rows at a time."""

from __future__ import annotations

__all__ = ["NPY", "check_no_objects", "read_array_header"]

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ....errors import FileError
from .base import Format, Header, OpenTable, Parts

# Versions of the NPY format. Version 3 differs from 2 only in the encoding of the names of fields.
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}
_WITH_FIELDS = (3, 0)  # version of the NPY format for arrays with named fields


class _Array(Parts):
    """An array (n, d) in a file, which can be read from any row on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version not in _HEADER_READERS or version == _WITH_FIELDS:
                problem = f"NPY version {version}, for arrays with named fields, is not supported"
                raise FileError(problem, hint="save a plain array")
            self.shape, self.is_fortran, self.dtype = _HEADER_READERS[version](file)
            self.offset = file.tell()  # bytes before the first number
        _check_numbers(self.shape, self.dtype)
        n_bytes, expected = path.stat().st_size, self.offset + np.prod(self.shape, dtype=object) * self.dtype.itemsize
        if n_bytes < expected:
            raise ValueError(f"it has {n_bytes} bytes, expected {expected} for an array of shape {self.shape}")
        self.n_rows, d = self.shape
        self.header, self.cuts = Header({}, n_columns=d), range(self.n_rows + 1)

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[NDArray[Any]]:
        read = self._read_by_columns if self.is_fortran else self._map_rows
        end = self.shape[0] if stop is None else stop
        with self.path.open("rb") as file:
            for row in range(start, end, max_rows):
                yield read(file, row, min(row + max_rows, end))

    def _map_rows(self, file: BinaryIO, start: int, stop: int) -> NDArray[Any]:
        """Map rows (m, d) to memory; they are unmapped when the array is dropped.

        The map is copy-on-write, because PyTorch warns of arrays that are not writable; nothing writes to it.
        """
        row_bytes = self.shape[1] * self.dtype.itemsize
        position = self.offset + start * row_bytes
        shift = position % mmap.ALLOCATIONGRANULARITY
        length = shift + (stop - start) * row_bytes
        memory = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY, offset=position - shift)
        if hasattr(mmap, "MADV_WILLNEED"):
            memory.madvise(mmap.MADV_WILLNEED)  # load from disk while earlier windows are processed
        return np.ndarray((stop - start, self.shape[1]), self.dtype, memory, shift)

    def _read_by_columns(self, file: BinaryIO, start: int, stop: int) -> NDArray[Any]:
        """Read rows (m, d) of an array that is stored column by column (Fortran order)."""
        n, d = self.shape
        columns = np.empty((d, stop - start), self.dtype)
        for j, column in enumerate(columns):
            file.seek(self.offset + (j * n + start) * self.dtype.itemsize)
            if file.readinto(column) != column.nbytes:  # type: ignore[attr-defined]
                raise EOFError("it is truncated")
        return np.ascontiguousarray(columns.T)


def _check_numbers(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise an InputError unless an array has this shape: rows of one number or more."""
    check_no_objects(dtype)
    if len(shape) != 2:
        raise FileError(f"the array has shape {shape}", hint="it must have two dimensions (rows, features)")
    if dtype.kind not in "biuf":
        raise FileError(f"the array holds {dtype}", hint="it must hold numbers")
    if not shape[1]:
        raise FileError(f"the array has shape {shape}", hint="it must have at least one column")


def read_array_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Return shape, memory order and type of the array in an open NPY file; None if it is no such file."""
    if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
        return None
    file.seek(0)
    reader = _HEADER_READERS.get(np.lib.format.read_magic(file))
    return None if reader is None else reader(file)


def check_no_objects(dtype: np.dtype[Any]) -> None:
    """Raise an InputError if arrays of this type hold Python objects."""
    if dtype.hasobject:
        problem = "the file can't be read: it holds Python objects, which are never unpickled"
        raise FileError(problem, hint="save plain arrays of numbers or text")


def _read(path: Path) -> OpenTable:
    with path.open("rb") as file:
        header = read_array_header(file)
        if header is not None:
            check_no_objects(header[2])
        file.seek(0)
        rows = np.lib.format.read_array(file, allow_pickle=False)
    _check_numbers(rows.shape, rows.dtype)
    return OpenTable(Header({}, n_columns=rows.shape[1]), len(rows), lambda numbers, others: {}, rows)


NPY = Format((".npy",), read=_read, scan=_Array)
