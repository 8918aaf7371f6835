"""Call compiled kernels with NumPy arrays, whose types and shapes are checked."""

from __future__ import annotations

__all__ = ["Call", "run_once"]

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import FLOAT, SETTINGS, ArrayArgument, Input, Number, Output, Scratch, Setting, Sum
from .layout import Layout
from .objects import CompiledKernel, Kernel, compile_kernel, link


class Call:
    """A compiled kernel with the arguments that are equal for several calls; threads may call it at the same time.

    Parameters
    ----------
    compiled : CompiledKernel
        The kernel.
    numbers : object
        The caller's numbers, from which the shapes of scratch arrays and sums follow. They are hashable.
    layout : Layout, optional
        The layout of the call's memory, if an earlier call had the same kernel and sizes.
    **arrays : ndarray
        Inputs and outputs by name.

    Raises
    ------
    TypeError
        If an array has another name, type or shape than was declared, or is not one of NumPy.
    """

    def __init__(
        self, compiled: CompiledKernel, numbers: Any, layout: Layout | None = None, **arrays: NDArray[Any]
    ) -> None:
        arguments = compiled.kernel.arguments
        self.compiled = compiled
        self.layout = layout or Layout(arguments, numbers, compiled.bits)
        self._given: dict[str, ArrayArgument[Any]] = {
            array.name: array for kind in (Input, Output) for array in arguments.declared(kind)
        }
        self._numbers, self._settings = arguments.declared(Number), arguments.declared(Setting)
        self._arrays = arrays  # keeps them alive
        self._addresses = self._checked_addresses(arrays, numbers)
        self._scalars: dict[Any, tuple[dict[str, int], NDArray[Any]]] = {}  # by the numbers of a call

    def __call__(self, memory: NDArray[np.uint8], numbers: Any, **arrays: NDArray[Any]) -> None:
        """Run the kernel.

        Parameters
        ----------
        memory : ndarray of uint8
            Memory from ``layout.allocate()``. It is set to 0 first; afterward, it holds scratch arrays and sums.
        numbers : object
            The numbers of this call. They must give the same shapes of scratch arrays and sums.
        **arrays : ndarray
            More inputs and outputs by name. They may be parts of larger arrays.

        Raises
        ------
        TypeError
            If an array is missing, is not one of NumPy, or has another name, type or shape than was declared.
        """
        memory.fill(0)
        addresses = self._addresses | self._checked_addresses(arrays, numbers)
        missing = self._given.keys() - addresses.keys()
        if missing:
            raise TypeError(f"{self.compiled.kernel.name} needs {', '.join(map(self._describe, sorted(missing)))}")
        base = memory.ctypes.data
        addresses |= {name: base + offset for name, offset in self.layout.offsets.items()}
        values = addresses | self._scalars_of(numbers)
        self.compiled.function(*[values[name] for name in self.compiled.parameters])

    def _scalars_of(self, numbers: Any) -> dict[str, int]:
        """Return the integers of a call, and the address of its settings, by name; most calls have the same."""
        if numbers not in self._scalars:
            settings = np.array([setting.value(numbers) for setting in self._settings], FLOAT.dtype(self.compiled.bits))
            values = {number.name: int(number.value(numbers)) for number in self._numbers}
            self._scalars[numbers] = values | {SETTINGS: settings.ctypes.data}, settings  # which is kept alive
        return self._scalars[numbers][0]

    def _checked_addresses(self, arrays: dict[str, NDArray[Any]], numbers: Any) -> dict[str, int]:
        """Return the addresses of arrays, after checks of their names, types and shapes."""
        for name, array in arrays.items():
            self._check(name, array, numbers)
        return {name: array.ctypes.data for name, array in arrays.items()}

    def _check(self, name: str, array: NDArray[Any], numbers: Any) -> None:
        kernel = self.compiled.kernel.name
        if name not in self._given:
            raise TypeError(f"{kernel} has no input or output {name}, expected {', '.join(self._given)}")
        argument = self._given[name]
        shape, dtype = argument.shape(numbers), argument.element.dtype(self.compiled.bits)
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"{kernel} got an object of type {type(array).__name__} as {self._describe(name)}, expected a NumPy "
                f"array, {dtype} {shape}: use np.array(..., np.{dtype})"
            )
        if array.dtype != dtype or array.shape != shape:
            raise TypeError(
                f"{kernel} got {array.dtype} {array.shape} as {self._describe(name)}, expected {dtype} {shape}"
            )
        if array.size and (array.strides[-1] != array.itemsize or not array.flags.aligned):
            raise TypeError(
                f"{kernel} got strides {array.strides} as {self._describe(name)}, expected aligned numbers that are "
                "contiguous along the last axis: use np.require(array, requirements=['C', 'A'])"
            )
        if isinstance(argument, Output) and not array.flags.writeable:
            raise TypeError(f"{kernel} got a read-only array as {self._describe(name)}, expected one that it can write")

    def _describe(self, name: str) -> str:
        return f"{name} ({self._given[name].description})"


def run_once(kernel: Kernel[Any], bits: int, numbers: Any, **arrays: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Compile a kernel, run it once, and return its scratch arrays and sums by name: for tests and experiments.

    Nothing is read from the cache or written to it. The parameters are those of `Call`.
    """
    call = Call(link(compile_kernel(kernel, bits), kernel, bits), numbers, None, **arrays)
    memory = call.layout.allocate()
    call(memory, numbers)
    in_memory = (*kernel.arguments.declared(Scratch), *kernel.arguments.declared(Sum))
    return {argument.name: call.layout.view(memory, argument) for argument in in_memory}
