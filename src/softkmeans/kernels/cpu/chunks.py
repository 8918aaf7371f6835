"""Run a kernel on the chunks of a block, in several threads, and add up what they return."""

from __future__ import annotations

__all__ = ["PassOverChunks"]

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...data.block import Block, as_tensor
from ..compiler import Call, Layout, load_kernel
from ..compiler.arguments import Sum
from .arguments import PassArguments, PassNumbers
from .kernels import KERNELS, kernel_name
from .prepare import FLOAT_TYPES, OutOfRangeError, PreparedPass
from .threads import map_in_order

Array = NDArray[Any]

MAX_KEPT_BYTES = 2**24  # of memory that is kept for later passes, as the system takes long to give new memory
MAX_KEPT_SIZES = 32  # of this memory


class _FreeMemory:
    """Memory of finished passes, by its size. Several threads may use it at the same time, without a lock."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[Array]] = {}

    def take(self, layout: Layout) -> Array:
        """Return memory for a call."""
        try:
            return self._by_size[layout.n_bytes].pop()
        except (KeyError, IndexError):
            return layout.allocate()

    def give(self, memory: Array) -> None:
        """Keep memory that no call uses; if there is too much, that of other sizes is given back to the system."""
        kept = [size * len(memories) for size, memories in list(self._by_size.items())]
        if len(kept) > MAX_KEPT_SIZES or sum(kept) + memory.nbytes > MAX_KEPT_BYTES:
            self._by_size = {}
        if memory.nbytes <= MAX_KEPT_BYTES:
            self._by_size.setdefault(memory.nbytes, []).append(memory)


_FREE = _FreeMemory()


@lru_cache(maxsize=32)
def _layout(kernel: str, sizes: PassNumbers) -> Layout:
    """Return the layout of a kernel's memory, which takes longer to compute than a small pass."""
    return Layout(KERNELS[kernel].arguments, sizes, sizes.bits)


class PassOverChunks:
    """A kernel that runs on the chunks of a block.

    Parameters
    ----------
    name : str
        Name of the kernel, without the number of features.
    block : Block
        The rows.
    prepared : PreparedPass
        What is equal for all chunks.
    row_axis : int
        The axis of the arrays by row along which rows lie.
    by_row : dict of ndarray
        Inputs and outputs that have an entry for each row of the block.
    """

    def __init__(self, name: str, block: Block, prepared: PreparedPass, *, row_axis: int = 0, **by_row: Array) -> None:
        self.block, self.numbers, self.row_axis, self.by_row = block, prepared.numbers, row_axis, by_row
        kernel = KERNELS[kernel_name(name, self.numbers.d, prepared.member, is_csr=self.numbers.is_csr)]
        compiled = load_kernel(kernel, prepared.numbers.bits, __package__)
        self.call = Call(compiled, prepared.numbers, _layout(kernel.name, prepared.numbers.sizes), **prepared.arrays)
        self.free_memory = list[Array]()  # of finished chunks
        self.weight_unit = 1.0
        if block.weights is not None:
            largest: Any = abs(block.weights)
            self.weight_unit = 2.0 ** math.frexp(float(largest.max()))[1]

    def __call__(self, start: int, stop: int) -> Array:
        """Run the kernel on the rows in [start, stop), and return the memory of the call.

        Raises
        ------
        OutOfRangeError
            If a distance is too large for the kernel's floats.
        """
        by_row = {name: _rows_of(array, self.row_axis, start, stop) for name, array in self.by_row.items()}
        rows = self._stored_values(start, stop) if self.numbers.is_csr else {"x": self._rows(start, stop)}
        numbers = self.numbers._replace(chunk_rows=stop - start)
        if self.numbers.is_csr:
            numbers = numbers._replace(n_doubles=len(rows["x"]), n_singles=len(rows["x_single"]))
        memory = self._memory()
        self.call(memory, numbers, **rows, weights=self._weights(start, stop), **by_row)
        if self.call.layout.view(memory, PassArguments.out_of_range)[0]:
            raise OutOfRangeError
        return memory

    def _memory(self) -> Array:
        """Return memory for a call: that of a finished chunk, or of an earlier pass, or new memory."""
        try:
            return self.free_memory.pop()
        except IndexError:
            return _FREE.take(self.call.layout)

    def free(self, memory: Array) -> None:
        """Keep the memory of a run, and of its chunks, for later passes."""
        for unused in (memory, *self.free_memory):
            _FREE.give(unused)
        self.free_memory = []

    def run(self) -> Array:
        """Run the kernel on all chunks, in as many threads as PyTorch uses; return memory with the sums over chunks.

        The caller gives the memory back to `free` when it has read the sums.
        """
        starts = range(0, len(self.block), self.numbers.chunk_rows)
        stops = [min(start + self.numbers.chunk_rows, len(self.block)) for start in starts]
        memories = map_in_order(self, list(zip(starts, stops, strict=True)))
        totals, layout = next(memories), self.call.layout
        for memory in memories:
            layout.sums(totals)[:] += layout.sums(memory)
            self.free_memory.append(memory)
        return totals

    def total(self, totals: Array, argument: Sum[Any]) -> Array:
        """Return one of the sums that a run has returned, in the units of the weights."""
        return self.call.layout.view(totals, argument) * self.weight_unit

    def _rows(self, start: int, stop: int) -> Array:
        """Return contiguous rows of the kernel's float type; they are copied only if necessary."""
        rows = self.block.rows[start:stop]
        if not isinstance(rows, np.ndarray):
            dtype = torch.float32 if self.numbers.bits == 32 else torch.float64
            rows = as_tensor(rows).to(dtype).numpy(force=True)
        rows = np.ascontiguousarray(rows, FLOAT_TYPES[self.numbers.bits])
        return rows if rows.flags.aligned else rows.copy()

    def _stored_values(self, start: int, stop: int) -> dict[str, Array]:
        """Return the rows of a CSR matrix as inputs of `CsrArguments`, by name; they are copied only if necessary."""
        rows: Any = self.block.rows
        begin, end = int(rows.indptr[start]), int(rows.indptr[stop])
        values = rows.data[begin:end]
        doubles, singles = (values[:0], values) if values.dtype == np.float32 else (values, values[:0])
        return {
            "x": np.require(doubles, np.float64, ["C", "A"]),
            "x_single": np.require(singles, np.float32, ["C", "A"]),
            "indices": np.require(rows.indices[begin:end], np.int32, ["C", "A"]),
            "row_starts": rows.indptr[start : stop + 1].astype(np.int64) - begin,
        }

    def _weights(self, start: int, stop: int) -> Array:
        """Return weights over a power of two, so that none exceeds 1."""
        if self.block.weights is None:
            return np.empty(0, FLOAT_TYPES[self.numbers.bits])
        weights = as_tensor(self.block.weights[start:stop]).double().numpy() / self.weight_unit
        return weights.astype(FLOAT_TYPES[self.numbers.bits])


def _rows_of(array: Array, axis: int, start: int, stop: int) -> Array:
    """Return the part of an array that belongs to the rows in [start, stop)."""
    return array[start:stop] if axis == 0 else array[..., start:stop]
