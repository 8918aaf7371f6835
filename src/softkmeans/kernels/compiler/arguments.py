"""Declarations of a kernel's arguments: each is declared once, with all that generator and caller need to know.

Argument order, types, memory layout and the caller's checks derive from the declarations. This class declares the
arguments of a kernel that sums the rows of an array::

    class SumArguments(Arguments):
        m = Number(lambda p: p.m, "rows")
        d = Number(lambda p: p.d, "features")
        x = Input(FLOAT, lambda p: (p.m, p.d), "the rows")
        total = Sum(lambda p: (p.d,), "their sum")

In a kernel, an object ``t`` of this class has the array ``t.x`` and the number ``t.m``. For the caller,
``SumArguments.x`` is the declaration. Shapes and values are functions of an object ``p`` of the caller, which has the
sizes and other numbers as attributes.
"""

from __future__ import annotations

__all__ = [
    "FLOAT",
    "FLOAT32",
    "FLOAT64",
    "INT32",
    "INT64",
    "Argument",
    "Arguments",
    "ArrayArgument",
    "Element",
    "Input",
    "Number",
    "Output",
    "ScalarArgument",
    "Scratch",
    "Setting",
    "Sum",
]

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar, overload

import numpy as np
from llvmlite import ir

from . import values
from .code import Code
from .values import Array, Value

P = TypeVar("P")
K = TypeVar("K", bound="Argument")

SETTINGS = "settings"  # the name of the array in which all settings are passed


class Element:
    """The type of an array's numbers.

    Parameters
    ----------
    float32, float64 : str
        NumPy's name of the type, in kernels for floats of 32 and of 64 bits.
    """

    _IR_TYPES: ClassVar = {
        "float32": values.FLOAT32, "float64": values.FLOAT64, "int32": values.INT32, "int64": values.INT64,
    }  # fmt: skip

    def __init__(self, float32: str, float64: str) -> None:
        self._dtypes = {32: np.dtype(float32), 64: np.dtype(float64)}

    def dtype(self, bits: int) -> np.dtype[Any]:
        """Return NumPy's type, in a kernel for floats of a size."""
        return self._dtypes[bits]

    def ir_type(self, bits: int) -> ir.Type:
        """Return LLVM's type, in a kernel for floats of a size."""
        return self._IR_TYPES[self._dtypes[bits].name]


FLOAT = Element("float32", "float64")  # the kernel's float type
FLOAT32 = Element("float32", "float32")
FLOAT64 = Element("float64", "float64")
INT32 = Element("int32", "int32")  # of inputs only: a number that is read becomes an int64
INT64 = Element("int64", "int64")


class Argument:
    """An argument of a kernel.

    Parameters
    ----------
    description : str
        What it is, in one line.
    """

    name: str

    def __init__(self, description: str) -> None:
        self.description = description

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class ArrayArgument(Argument, Generic[P]):
    """An array.

    Parameters
    ----------
    element : Element
        Type of its numbers.
    shape : callable
        Function from the caller's numbers to the array's shape.
    description : str
        What it holds, in one line.
    """

    def __init__(self, element: Element, shape: Callable[[P], tuple[int, ...]], description: str) -> None:
        super().__init__(description)
        self.element, self.shape = element, shape

    @overload
    def __get__(self, t: None, owner: type) -> Self: ...
    @overload
    def __get__(self, t: Arguments, owner: type) -> Array: ...
    def __get__(self, t: Arguments | None, owner: type) -> Self | Array:
        return self if t is None else t.arrays[self.name]

    def __set__(self, t: Arguments, value: Any) -> NoReturn:
        raise TypeError(f"{self.name} is an array: write {self.name}[i] = ... or {self.name}.store(i, ...)")


class Input(ArrayArgument[P]):
    """An array that the caller gives, and the kernel only reads."""


class Output(ArrayArgument[P]):
    """An array that the caller gives, and the kernel writes."""


class Scratch(ArrayArgument[P]):
    """An array in the memory of a call. It is 0 at the beginning; the caller may read it after the call."""


class Sum(ArrayArgument[P]):
    """A float64 array in the memory of a call, which is 0 at the beginning. The caller adds it up over calls."""

    def __init__(self, shape: Callable[[P], tuple[int, ...]], description: str) -> None:
        super().__init__(FLOAT64, shape, description)


class ScalarArgument(Argument, Generic[P]):
    """A number.

    Parameters
    ----------
    value : callable
        Function from the caller's numbers to its value.
    description : str
        What it is, in one line.
    """

    def __init__(self, value: Callable[[P], float], description: str) -> None:
        super().__init__(description)
        self.value = value

    @overload
    def __get__(self, t: None, owner: type) -> Self: ...
    @overload
    def __get__(self, t: Arguments, owner: type) -> Value: ...
    def __get__(self, t: Arguments | None, owner: type) -> Self | Value:
        return self if t is None else t.scalars[self.name]

    def __set__(self, t: Arguments, value: int | float) -> None:
        """Replace the number by a constant that is known when the kernel is written."""
        t.scalars[self.name] = Value(t.code, t.code.constant(value, t.scalars[self.name].ir.type))


class Number(ScalarArgument[P]):
    """An integer, such as a size."""


class Setting(ScalarArgument[P]):
    """A number of the kernel's float type."""


class Arguments:
    """The arguments of a kernel, while it is written; base class of the classes that declare them.

    A subclass has the arguments of its base classes and its own. It may have more attributes, for the state of the
    kernel while it is written.

    Parameters
    ----------
    code : Code
        The writer of the kernel.
    parameters : sequence of ir.Value
        The parameters of the LLVM function, in the order of `parameter_types`.
    """

    _declared: ClassVar[tuple[Argument, ...]] = ()
    _declared_by_kind: ClassVar[dict[type[Argument], tuple[Any, ...]]] = {}

    def __init_subclass__(cls) -> None:
        by_name: dict[str, Argument] = {}
        for owner in reversed(inspect.getmro(cls)):
            by_name |= {name: value for name, value in vars(owner).items() if isinstance(value, Argument)}
        for name in by_name.keys() & {*vars(Arguments), "arrays", "code", "scalars", SETTINGS}:
            raise TypeError(f"{cls.__name__}.{name}: an argument can't have this name; choose another")
        cls._declared, cls._declared_by_kind = tuple(by_name.values()), {}

    def __init__(self, code: Code, parameters: Sequence[ir.Value]) -> None:
        self.code = code
        self.arrays: dict[str, Array] = {}
        self.scalars: dict[str, Value] = {}
        by_name = dict(zip(self.parameter_types(code.bits), parameters, strict=True))
        for argument in self.declared(ArrayArgument):
            is_input = isinstance(argument, Input)
            self.arrays[argument.name] = Array(code, argument.name, by_name[argument.name], is_input=is_input)
        for number in self.declared(Number):
            self.scalars[number.name] = Value(code, by_name[number.name])
        for i, setting in enumerate(self.declared(Setting)):
            self.scalars[setting.name] = Array(code, SETTINGS, by_name[SETTINGS])[i]

    @classmethod
    def declared(cls, kind: type[K]) -> tuple[K, ...]:
        """Return the declared arguments of a kind, those of base classes first."""
        if kind not in cls._declared_by_kind:
            found = tuple(argument for argument in cls._declared if isinstance(argument, kind))
            cls._declared_by_kind[kind] = found
        return cls._declared_by_kind[kind]

    @classmethod
    def parameter_types(cls, bits: int) -> dict[str, ir.Type]:
        """Return the LLVM types of the function's parameters by name, in order."""
        types = {array.name: array.element.ir_type(bits).as_pointer() for array in cls.declared(ArrayArgument)}
        types |= {number.name: values.INT64 for number in cls.declared(Number)}
        if cls.declared(Setting):
            types[SETTINGS] = FLOAT.ir_type(bits).as_pointer()
        return types
