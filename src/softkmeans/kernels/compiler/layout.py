"""The memory of a call: where scratch arrays and sums lie in it."""

from __future__ import annotations

__all__ = ["ALIGNMENT", "Layout"]

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import machine
from .arguments import Arguments, ArrayArgument, Sum

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
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._bits, self.n_bytes, self.sums_offset = bits, 0, 0
        in_memory = [a for a in arguments.declared() if isinstance(a, ArrayArgument) and a.is_in_memory]
        for argument in sorted(in_memory, key=lambda argument: isinstance(argument, Sum)):
            self._shapes[argument.name] = shape = argument.shape(numbers)
            self.offsets[argument.name] = self.n_bytes
            item = argument.element.dtype(bits).itemsize
            step = max(ALIGNMENT, machine.lanes(bits) * item)
            self.n_bytes += -(-math.prod(shape) * item // step) * step
            if not isinstance(argument, Sum):
                self.sums_offset = self.n_bytes

    def allocate(self) -> NDArray[np.uint8]:
        """Return new memory for a call, aligned to a cache line; it is not initialized."""
        memory = np.empty(self.n_bytes + ALIGNMENT, np.uint8)
        return memory[-memory.ctypes.data % ALIGNMENT :][: self.n_bytes]

    def view(self, memory: NDArray[np.uint8], argument: ArrayArgument[Any]) -> NDArray[Any]:
        """Return one of the arrays in a memory, as a view."""
        shape, dtype = self._shapes[argument.name], argument.element.dtype(self._bits)
        begin = self.offsets[argument.name]
        return memory[begin : begin + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def sums(self, memory: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return all sums in a memory, with their padding, as a view."""
        return memory[self.sums_offset :].view(np.float64)
