"""The memory of a call: where scratch arrays and sums lie in it."""

from __future__ import annotations

__all__ = ["ALIGNMENT", "Layout"]

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import machine
from .arguments import Arguments, ArrayArgument, Scratch, Sum

ALIGNMENT = 64  # bytes of a cache line; arrays begin at multiples of it


class Layout:
    """The layout of the scratch arrays and the sums of a kernel in one piece of memory.

    Each array begins at a cache line, and is followed by padding: registers may be stored and loaded up to the first
    multiple of the register's length behind its end. Sums come last, so that those of two calls can be added at once.

    Parameters
    ----------
    arguments : type of Arguments
        Declarations of the kernel's arguments.
    numbers : object
        The caller's numbers, which determine shapes.
    bits : {32, 64}
        Size of the kernel's floats.
    """

    def __init__(self, arguments: type[Arguments], numbers: Any, bits: int) -> None:
        self.offsets: dict[str, int] = {}  # where each array begins, in bytes
        self.n_bytes = 0
        self._views: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}  # bytes, shape, type
        lanes = machine.lanes(bits)
        for kind in (Scratch, Sum):
            self.sums_offset = self.n_bytes
            for argument in arguments.declared(kind):
                shape, dtype = argument.shape(numbers), argument.element.dtype(bits)
                n_bytes, step = math.prod(shape) * dtype.itemsize, max(ALIGNMENT, lanes * dtype.itemsize)
                self.offsets[argument.name] = self.n_bytes
                self._views[argument.name] = n_bytes, shape, dtype
                self.n_bytes += -(-n_bytes // step) * step

    def allocate(self) -> NDArray[np.uint8]:
        """Return new memory for a call, aligned to a cache line; it is not initialized."""
        memory = np.empty(self.n_bytes + ALIGNMENT, np.uint8)
        return memory[-memory.ctypes.data % ALIGNMENT :][: self.n_bytes]

    def view(self, memory: NDArray[np.uint8], argument: ArrayArgument[Any]) -> NDArray[Any]:
        """Return one of the arrays in a memory, as a view."""
        begin, (n_bytes, shape, dtype) = self.offsets[argument.name], self._views[argument.name]
        return memory[begin : begin + n_bytes].view(dtype).reshape(shape)

    def sums(self, memory: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return all sums in a memory, with their padding, as a view."""
        return memory[self.sums_offset :].view(np.float64)
