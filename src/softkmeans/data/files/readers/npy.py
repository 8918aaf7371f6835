"""NPY: arrays of which some rows at a time are mapped to memory."""

from __future__ import annotations

__all__ = ["NpyReader"]

import mmap
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ....errors import InputError
from ..columns import choose
from ..formats import NO_ROWS, Opened, one_line_errors
from .base import Reader, Window, rows_of_window
from .paths import File

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class _Array(NamedTuple):
    """Where in a file the numbers of an array (n, d) are."""

    file: File
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offset: int
    is_fortran: bool


class NpyReader(Reader):
    """Arrays (n, d) in files, one below the other; a share is a range of rows."""

    def __init__(
        self, files: list[File], columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        self.arrays = [_open(file) for file in files]
        self.n_features = self.arrays[0].shape[1]
        with one_line_errors(files[0].path):
            choose(Opened(1, {}, lambda _: {}, matrix=np.empty((1, 1))), columns, None, weight_column)
            if not self.count():
                raise InputError(NO_ROWS)
        for array in self.arrays:
            if array.shape[1] != self.n_features:
                raise InputError(
                    f"{array.file.path}: the array has {array.shape[1]} columns, and {self.n_features} in "
                    f"{files[0].path}; all files need the same columns"
                )
        self.rows_per_block = rows_of_window(self.n_features, rows_per_block)

    @override
    def count(self, rank: int = 0, size: int = 1) -> int:
        start, stop = self._range(rank, size)
        return stop - start

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        first, last = self._range(rank, size)
        above = 0  # rows in the files before
        for array in self.arrays:
            start, stop = (min(max(at - above, 0), array.shape[0]) for at in (first, last))
            if start < stop:
                with one_line_errors(array.file.path), array.file.opened() as file:
                    for row in range(start, stop, self.rows_per_block):
                        rows = _read(file, array, row, min(row + self.rows_per_block, stop))
                        yield Window(rows, None, above + row, str(array.file.path), row)
            above += array.shape[0]

    def _range(self, rank: int, size: int) -> tuple[int, int]:
        n = sum(array.shape[0] for array in self.arrays)
        return n * rank // size, n * (rank + 1) // size


def _open(file: File) -> _Array:
    with one_line_errors(file.path), file.path.open("rb") as opened:
        version = np.lib.format.read_magic(opened)
        if version not in _HEADERS:
            raise InputError(f"this is version {version} of NPY, for arrays with named fields; save a plain array")
        shape, is_fortran, dtype = _HEADERS[version](opened)
        offset = opened.tell()
        if dtype.hasobject:
            raise ValueError("allow_pickle is False")
        if len(shape) != 2:
            raise InputError(f"the array has shape {shape}; it must have two dimensions (points, features)")
        if dtype.kind not in "biuf":
            raise InputError(f"the array holds {dtype}; it must hold numbers")
        if not shape[1]:
            raise InputError(f"the array has shape {shape}; it must have at least one column")
        expected = offset + shape[0] * shape[1] * dtype.itemsize
        if file.bytes < expected:
            raise ValueError(f"it has {file.bytes} bytes, and an array of shape {shape} takes {expected}")
        return _Array(file, shape, dtype, offset, is_fortran)


def _read(file: BinaryIO, array: _Array, start: int, stop: int) -> NDArray[Any]:
    rows = (_gathered if array.is_fortran else _mapped)(file, array, start, stop)
    return rows.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else rows


def _mapped(file: BinaryIO, array: _Array, start: int, stop: int) -> NDArray[Any]:
    """Map rows (m, d), writable for PyTorch's sake though nothing writes there; they are unmapped when dropped."""
    d = array.shape[1]
    place = array.offset + start * d * array.dtype.itemsize
    shift = place % mmap.ALLOCATIONGRANULARITY
    length = shift + (stop - start) * d * array.dtype.itemsize
    memory = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY, offset=place - shift)
    if hasattr(mmap, "MADV_WILLNEED"):
        memory.madvise(mmap.MADV_WILLNEED)  # read from the disk while the windows before are worked on
    return np.ndarray((stop - start, d), array.dtype, memory, shift)


def _gathered(file: BinaryIO, array: _Array, start: int, stop: int) -> NDArray[Any]:
    """Read rows (m, d) of an array that lies in its file column by column."""
    n, d = array.shape
    columns = np.empty((d, stop - start), array.dtype)
    for j, column in enumerate(columns):
        file.seek(array.offset + (j * n + start) * array.dtype.itemsize)
        if file.readinto(column) != column.nbytes:  # type: ignore[attr-defined]
            raise EOFError("it ends too early")
    return np.ascontiguousarray(columns.T)
