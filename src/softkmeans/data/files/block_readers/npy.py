"""Reader of NPY files: arrays that are mapped to memory some rows at a time."""

from __future__ import annotations

__all__ = ["NpyReader"]

import mmap
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ....errors import FileError
from ..columns import choose
from ..whole_files import (
    NPY_HEADER_READERS,
    OpenTable,
    check_no_objects,
    no_rows_error,
    one_line_errors,
)
from .base import Reader, Window, rows_per_window
from .paths import File

WITH_FIELDS = (3, 0)  # version of the NPY format for arrays with named fields


class _Array(NamedTuple):
    """An array (n, d) in a file: its shape, dtype, memory order and position in bytes."""

    file: File
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offset: int
    is_fortran: bool


class NpyReader(Reader):
    """Arrays (n, d) in files, one after the other; a share is a range of rows."""

    def __init__(
        self, files: list[File], columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        self.arrays = [_open(file) for file in files]
        self.n_features = self.arrays[0].shape[1]
        with one_line_errors(files[0].path):
            # Raises an error for names of columns, as an array has none.
            choose(OpenTable(1, {}, lambda _: {}, matrix=np.empty((1, 1))), columns, None, weight_column)
            if not self.count():
                raise no_rows_error()
        for array in self.arrays:
            if array.shape[1] != self.n_features:
                raise FileError(
                    f"{array.file.path}: the array has {array.shape[1]} columns",
                    expected=f"{self.n_features} as in {files[0].path}",
                    hint="all files need the same columns",
                )
        self.rows_per_block = rows_per_window(self.n_features, rows_per_block)

    @override
    def count(self, rank: int = 0, size: int = 1) -> int:
        start, stop = self._range(rank, size)
        return stop - start

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        first, last = self._range(rank, size)
        file_start = 0  # index of the file's first row among all rows
        for array in self.arrays:
            start, stop = (min(max(index - file_start, 0), array.shape[0]) for index in (first, last))
            if start < stop:
                with one_line_errors(array.file.path), array.file.open() as file:
                    for row in range(start, stop, self.rows_per_block):
                        rows = _read(file, array, row, min(row + self.rows_per_block, stop))
                        yield Window(rows, None, file_start + row, str(array.file.path), row)
            file_start += array.shape[0]

    def _range(self, rank: int, size: int) -> tuple[int, int]:
        n = sum(array.shape[0] for array in self.arrays)
        return n * rank // size, n * (rank + 1) // size


def _open(file: File) -> _Array:
    with one_line_errors(file.path), file.path.open("rb") as opened:
        version = np.lib.format.read_magic(opened)
        if version not in NPY_HEADER_READERS or version == WITH_FIELDS:
            problem = f"NPY version {version}, for arrays with named fields, is not supported"
            raise FileError(problem, hint="save a plain array")
        shape, is_fortran, dtype = NPY_HEADER_READERS[version](opened)
        offset = opened.tell()
        check_no_objects(dtype)
        if len(shape) != 2:
            raise FileError(f"the array has shape {shape}", hint="it must have two dimensions (rows, features)")
        if dtype.kind not in "biuf":
            raise FileError(f"the array holds {dtype}", hint="it must hold numbers")
        if not shape[1]:
            raise FileError(f"the array has shape {shape}", hint="it must have at least one column")
        n_bytes = offset + shape[0] * shape[1] * dtype.itemsize
        if file.n_bytes < n_bytes:
            raise ValueError(f"it has {file.n_bytes} bytes, expected {n_bytes} for an array of shape {shape}")
        return _Array(file, shape, dtype, offset, is_fortran)


def _read(file: BinaryIO, array: _Array, start: int, stop: int) -> NDArray[Any]:
    rows = (_read_by_columns if array.is_fortran else _map_rows)(file, array, start, stop)
    return rows.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else rows


def _map_rows(file: BinaryIO, array: _Array, start: int, stop: int) -> NDArray[Any]:
    """Map rows (m, d) to memory; they are unmapped when the array is dropped.

    The map is copy-on-write, because PyTorch warns of arrays that are not writable; nothing writes to it.
    """
    d = array.shape[1]
    position = array.offset + start * d * array.dtype.itemsize
    shift = position % mmap.ALLOCATIONGRANULARITY
    length = shift + (stop - start) * d * array.dtype.itemsize
    memory = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY, offset=position - shift)
    if hasattr(mmap, "MADV_WILLNEED"):
        memory.madvise(mmap.MADV_WILLNEED)  # load from disk while earlier windows are processed
    return np.ndarray((stop - start, d), array.dtype, memory, shift)


def _read_by_columns(file: BinaryIO, array: _Array, start: int, stop: int) -> NDArray[Any]:
    """Read rows (m, d) of an array that is stored column by column (Fortran order)."""
    n, d = array.shape
    columns = np.empty((d, stop - start), array.dtype)
    for j, column in enumerate(columns):
        file.seek(array.offset + (j * n + start) * array.dtype.itemsize)
        if file.readinto(column) != column.nbytes:  # type: ignore[attr-defined]
            raise EOFError("it is truncated")
    return np.ascontiguousarray(columns.T)
