"""Numbers, registers and arrays of the machine code, with Python's operators."""

from __future__ import annotations

__all__ = [
    "BOOL",
    "FLOAT32",
    "FLOAT64",
    "INT32",
    "INT64",
    "Array",
    "Value",
    "Variable",
    "describe_type",
    "element_type",
    "is_float",
]

from typing import TYPE_CHECKING, Any, NoReturn, Self

from llvmlite import ir
from typing_extensions import override

if TYPE_CHECKING:
    from .code import Code

BOOL = ir.IntType(1)
INT32 = ir.IntType(32)  # the type of lane numbers, and of integers in some inputs
INT64 = ir.IntType(64)
FLOAT32 = ir.FloatType()
FLOAT64 = ir.DoubleType()

_TYPE_NAMES = {"i1": "conditions", "i64": "int64", "float": "float32", "double": "float64"}


def is_float(kind: ir.Type) -> bool:
    """Return whether a type is that of floats, or of registers of floats."""
    return element_type(kind) in (FLOAT32, FLOAT64)


def describe_type(kind: ir.Type) -> str:
    """Return a type in words, for messages."""
    name = _TYPE_NAMES.get(str(element_type(kind)), str(element_type(kind)))
    if isinstance(kind, ir.VectorType):
        return f"a register of {kind.count} {name}"
    return "a condition" if kind == BOOL else f"a number of type {name}"


def element_type(kind: ir.Type) -> ir.Type:
    """Return the type of a register's numbers; other types pass through."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


class Value:
    """A number, a register of numbers or a condition in the machine code, with Python's operators.

    Python numbers are converted to the type of the other operand. A number is copied to all lanes of a register. The
    operands of ``//``, ``%`` and ``>>`` are integers that are not negative.
    """

    __hash__ = None  # type: ignore[assignment]  # values are neither equal nor different when the kernel is written

    def __init__(self, code: Code, value: ir.Value) -> None:
        self.code, self._value = code, value

    @property
    def ir(self) -> ir.Value:
        """The LLVM value."""
        return self._value

    def _apply(self, other: Any, float_name: str, integer_name: str, *, swapped: bool = False) -> Value:
        """Apply an LLVM instruction, given its names for floats and for integers; an empty name means none."""
        x, y = self.code.to_common_type(self, other)
        name = float_name if is_float(x.type) else integer_name
        if not name:
            hint = "use // for integers" if float_name else "convert it with code.to_integer"
            raise TypeError(f"the operator is not defined for {describe_type(x.type)}: {hint}")
        instruction = getattr(self.code.builder, name)
        return Value(self.code, instruction(y, x) if swapped else instruction(x, y))

    def _compare(self, other: Any, sign: str) -> Value:
        x, y = self.code.to_common_type(self, other)
        compare = self.code.builder.fcmp_ordered if is_float(x.type) else self.code.builder.icmp_signed
        return Value(self.code, compare(sign, x, y))

    def __add__(self, other: Any) -> Value:
        return self._apply(other, "fadd", "add")

    def __sub__(self, other: Any) -> Value:
        return self._apply(other, "fsub", "sub")

    def __rsub__(self, other: Any) -> Value:
        return self._apply(other, "fsub", "sub", swapped=True)

    def __mul__(self, other: Any) -> Value:
        return self._apply(other, "fmul", "mul")

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Any) -> Value:
        return self._apply(other, "fdiv", "")

    def __rtruediv__(self, other: Any) -> Value:
        return self._apply(other, "fdiv", "", swapped=True)

    def __floordiv__(self, other: Any) -> Value:
        return self._apply(other, "", "udiv")

    def __mod__(self, other: Any) -> Value:
        return self._apply(other, "", "urem")

    def __and__(self, other: Any) -> Value:
        return self._apply(other, "", "and_")

    def __or__(self, other: Any) -> Value:
        return self._apply(other, "", "or_")

    def __lshift__(self, other: Any) -> Value:
        return self._apply(other, "", "shl")

    def __rshift__(self, other: Any) -> Value:
        return self._apply(other, "", "lshr")

    def __neg__(self) -> Value:
        value, builder = self.ir, self.code.builder
        return Value(self.code, builder.fneg(value) if is_float(value.type) else builder.neg(value))

    def __invert__(self) -> Value:
        value = self.ir
        if is_float(value.type):
            raise TypeError(f"~ is not defined for {describe_type(value.type)}: use it for conditions and integers")
        return Value(self.code, self.code.builder.not_(value))

    def __lt__(self, other: Any) -> Value:
        return self._compare(other, "<")

    def __le__(self, other: Any) -> Value:
        return self._compare(other, "<=")

    def __gt__(self, other: Any) -> Value:
        return self._compare(other, ">")

    def __ge__(self, other: Any) -> Value:
        return self._compare(other, ">=")

    def equals(self, other: Any) -> Value:
        """Return the condition that two values are equal."""
        return self._compare(other, "==")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("== does not compare values of the machine code: use x.equals(y)")

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a value is not known yet when the kernel is written, so Python can't test it: "
            "use code.if_then, code.if_else or code.select, and & for and"
        )

    def __index__(self) -> NoReturn:
        raise TypeError(
            "a value is not known yet when the kernel is written, so Python can't use it as a number: "
            "use code.range for range, and functions of code, such as code.sqrt, for those of math"
        )


class Variable(Value):
    """A value that changes, such as a sum that a loop adds to."""

    @property
    @override
    def ir(self) -> ir.Value:
        return self.code.builder.load(self._value)

    def set(self, value: Any) -> Self:
        """Assign another value of the same type, or a Python number."""
        kind = self._value.type.pointee
        number = self.code.constant(value, kind)
        if number.type != kind:
            raise TypeError(f"a variable holds {describe_type(kind)}, got {describe_type(number.type)}: convert it")
        self.code.builder.store(number, self._value)
        return self


class Array:
    """An array in memory: ``array[i]`` is a number, ``array.load(i)`` a register of the numbers from i on.

    Parameters
    ----------
    code : Code
        The writer of the kernel.
    name : str
        Name in messages.
    pointer : ir.Value
        LLVM's pointer to the first number.
    is_input : bool
        Whether the kernel may only read the array.
    """

    def __init__(self, code: Code, name: str, pointer: ir.Value, *, is_input: bool = False) -> None:
        self.code, self.name, self.pointer, self.is_input = code, name, pointer, is_input
        self.element: ir.Type = pointer.type.pointee

    def address(self, i: Any, kind: ir.Type) -> ir.Value:
        """Return the address of the i-th number, as a pointer to a type."""
        index = self.code.integer(i).ir
        if isinstance(index, ir.Constant) and index.constant < 0:
            raise IndexError(
                f"index {index.constant} of {self.name} lies before the array: indices count from 0, the first number"
            )
        address = self.code.builder.gep(self.pointer, [index])
        return self.code.builder.bitcast(address, kind.as_pointer())

    def __iter__(self) -> NoReturn:
        raise TypeError(
            f"Python can't loop over the array {self.name}, whose length is not known yet when the kernel is written: "
            f"use for i in code.range(...) and {self.name}[i]"
        )

    def __getitem__(self, i: Any) -> Value:
        number = self.code.builder.load(self.address(i, self.element))
        return Value(self.code, self.code.builder.sext(number, INT64) if self.element == INT32 else number)

    def __setitem__(self, i: Any, value: Any) -> None:
        number = self.code.constant(value, self.element)
        self._check(number.type, self.element)
        self.code.builder.store(number, self.address(i, self.element))

    def load(self, i: Any) -> Value:
        """Load a register of the numbers from the i-th on, as many as the kernel's floats have lanes."""
        return Value(self.code, self.code.builder.load(self.address(i, self._register), align=self.align))

    def load_part(self, i: Any, number: Any) -> Value:
        """Load some numbers from the i-th on into the first lanes of a register; the other lanes are 0.

        Memory behind these numbers is not read. They may be more than a register has lanes, which are then all loaded.
        """
        kind, size = self._register, "f32" if self.element == FLOAT32 else "f64"
        positions = ir.Constant(ir.VectorType(INT64, kind.count), list(range(kind.count)))
        exists = Value(self.code, positions) < self.code.integer(number)
        arguments = self.address(i, kind), INT32(self.align), exists.ir, self.code.constant(0.0, kind)
        name = f"llvm.masked.load.v{kind.count}{size}.p0"
        return Value(self.code, self.code.call_intrinsic(name, kind, *arguments))

    def prefetch(self, i: Any) -> None:
        """Prefetch the cache line of the i-th number, which is needed soon: the kernel does not wait for it."""
        will_write, locality, is_data = INT32(0), INT32(3), INT32(1)
        address = self.address(i, INT32)  # of one type for all arrays, as LLVM's function has
        self.code.call_intrinsic("llvm.prefetch.p0", ir.VoidType(), address, will_write, locality, is_data)

    def store(self, i: Any, value: Any) -> None:
        """Store the numbers of a register, or a Python number for each lane, from the i-th on."""
        register = self.code.constant(value, self._register)
        self._check(register.type, self._register)
        self.code.builder.store(register, self.address(i, register.type), align=self.align)

    @property
    def align(self) -> int:
        """The alignment of the array's numbers, in bytes."""
        return 4 if self.element == FLOAT32 else 8

    @property
    def _register(self) -> ir.Type:
        return ir.VectorType(self.element, self.code.lanes)

    def _check(self, kind: ir.Type, expected: ir.Type) -> None:
        """Raise an error if the kernel must not store a value of this type."""
        if self.is_input:
            raise TypeError(f"{self.name} is an input, which a kernel only reads: declare an Output or Scratch array")
        if kind != expected:
            raise TypeError(
                f"can't store {describe_type(kind)} in {self.name}, expected {describe_type(expected)}: convert it "
                "(code.to_float64, code.from_float64, code.to_integer, code.from_integer), or use array[i] for a "
                "number and array.store(i, ...) for a register"
            )
