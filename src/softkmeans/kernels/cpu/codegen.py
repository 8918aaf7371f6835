"""A small language for kernels: Python that writes LLVM, in which a value may be a SIMD register full of floats.

A kernel is a Python function that runs once, to write the machine's code. Its loops over ``code.range`` become loops of
the machine; Python's own loops unroll. This one doubles an array::

    def double(code, t):
        for i in code.range(0, t.n, code.lanes):
            t.x.store(i, t.x.load(i) * 2)

A kernel's floats are all of one type, float32 or float64. The compiler reorders nothing, so results do not depend on
what it finds best.
"""

from __future__ import annotations

__all__ = ["FLUSH", "Array", "Code", "Value", "Variable", "register_bytes"]

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Self

import llvmlite.binding as llvm
from llvmlite import ir
from typing_extensions import override

INT, LANE, BIT, SINGLE, DOUBLE = ir.IntType(64), ir.IntType(32), ir.IntType(1), ir.FloatType(), ir.DoubleType()

FLUSH = {32: -100.0, 64: -900.0}  # 2^x is 0 below: with more, products of it would be subnormal, and slow

# 2^f for |f| <= 1/2, highest power first: for float32 the polynomial that is right at 0 and has the least relative
# error elsewhere, 9e-8; for float64 Taylor's.
_EXP2 = {
    32: (0.0013264727, 0.009671513, 0.055507336, 0.24022242, 0.693147, 1.0),
    64: tuple(math.log(2) ** n / math.factorial(n) for n in range(13, -1, -1)),
}
_MANTISSA = {32: 23, 64: 52}


@cache
def register_bytes() -> int:
    """Give the size of this machine's SIMD registers."""
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


class Value:
    """A number, or a register of numbers, in the machine. Python's operators apply, and Python's numbers adapt."""

    def __init__(self, code: Code, value: ir.Value) -> None:
        self.code, self._value = code, value

    @property
    def ir(self) -> ir.Value:
        """What LLVM knows it by."""
        return self._value

    def _apply(self, other: Any, floats: str, integers: str, *, swapped: bool = False) -> Value:
        x, y = self.code.alike(self, other)
        name = floats if _is_float(x) else integers
        return Value(self.code, getattr(self.code.builder, name)(*((y, x) if swapped else (x, y))))

    def _compare(self, other: Any, sign: str) -> Value:
        x, y = self.code.alike(self, other)
        compare = self.code.builder.fcmp_ordered if _is_float(x) else self.code.builder.icmp_signed
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
        return self._apply(other, "fdiv", "sdiv")

    def __rtruediv__(self, other: Any) -> Value:
        return self._apply(other, "fdiv", "sdiv", swapped=True)

    def __floordiv__(self, other: Any) -> Value:
        return self._apply(other, "fdiv", "udiv")

    def __mod__(self, other: Any) -> Value:
        return self._apply(other, "frem", "urem")

    def __and__(self, other: Any) -> Value:
        return self._apply(other, "and_", "and_")

    def __lshift__(self, other: Any) -> Value:
        return self._apply(other, "shl", "shl")

    def __rshift__(self, other: Any) -> Value:
        return self._apply(other, "lshr", "lshr")

    def __neg__(self) -> Value:
        return Value(self.code, self.code.builder.fneg(self.ir))

    def __invert__(self) -> Value:
        return Value(self.code, self.code.builder.not_(self.ir))

    def __lt__(self, other: Any) -> Value:
        return self._compare(other, "<")

    def __le__(self, other: Any) -> Value:
        return self._compare(other, "<=")

    def __gt__(self, other: Any) -> Value:
        return self._compare(other, ">")

    def same(self, other: Any) -> Value:
        """Whether two values are equal."""
        return self._compare(other, "==")


class Variable(Value):
    """A value that changes, as in a loop."""

    @property
    @override
    def ir(self) -> ir.Value:
        return self.code.builder.load(self._value)

    def set(self, value: Value) -> Self:
        """Let it hold another value of the same type."""
        self.code.builder.store(value.ir, self._value)
        return self


class Array:
    """Numbers in memory, taken one by one or a register full at a time."""

    def __init__(self, code: Code, pointer: ir.Value, element: ir.Type) -> None:
        self.code, self.pointer, self.element = code, pointer, element

    def address(self, i: Any, kind: ir.Type) -> ir.Value:
        """Where something of a kind begins at the i-th number."""
        address = self.code.builder.gep(self.pointer, [self.code.whole(i).ir])
        return self.code.builder.bitcast(address, kind.as_pointer())

    def __getitem__(self, i: Any) -> Value:
        return Value(self.code, self.code.builder.load(self.address(i, self.element)))

    def __setitem__(self, i: Any, value: Any) -> None:
        number = value.ir if isinstance(value, Value) else ir.Constant(self.element, value)
        self.code.builder.store(number, self.address(i, self.element))

    def load(self, i: Any) -> Value:
        """A register of the numbers from the i-th on, as many as the kernel's floats have lanes."""
        vector = ir.VectorType(self.element, self.code.lanes)
        return Value(self.code, self.code.builder.load(self.address(i, vector), align=self.align))

    def store(self, i: Any, value: Value) -> None:
        """Put a register's numbers here from the i-th on."""
        register = value.ir
        self.code.builder.store(register, self.address(i, register.type), align=self.align)

    @property
    def align(self) -> int:
        """Bytes at whose multiples numbers lie."""
        return 4 if self.element == SINGLE else 8


class Code:
    """Writes a kernel: its loops, branches, constants and functions.

    Parameters
    ----------
    builder : IRBuilder
        Where instructions go.
    bits : {32, 64}
        The type of the kernel's floats.
    """

    def __init__(self, builder: ir.IRBuilder, bits: int) -> None:
        self.builder, self.bits = builder, bits
        self.scalar = SINGLE if bits == 32 else DOUBLE
        self.lanes = register_bytes() * 8 // bits
        self.vector, self.integers = (ir.VectorType(t, self.lanes) for t in (self.scalar, ir.IntType(bits)))

    # -- numbers

    def whole(self, value: Any) -> Value:
        """An integer."""
        return value if isinstance(value, Value) else Value(self, ir.Constant(INT, value))

    def full(self, value: Any) -> Value:
        """A register with one number in all lanes."""
        number = value.ir if isinstance(value, Value) else ir.Constant(self.scalar, value)
        return Value(self, self._splat(number, self.lanes))

    def variable(self, value: Value) -> Variable:
        """A variable that holds the value at first."""
        first = value.ir
        with self.builder.goto_entry_block():
            place = self.builder.alloca(first.type)
        return Variable(self, place).set(Value(self, first))

    def alike(self, *values: Any) -> list[ir.Value]:
        """Bring numbers, Python's among them, to the type of the widest."""
        found = [value.ir if isinstance(value, Value) else value for value in values]
        kinds = [value.type for value in found if isinstance(value, ir.Value)]
        target = max(kinds, key=lambda kind: isinstance(kind, ir.VectorType))
        return [self._as(value, target) for value in found]

    def _as(self, value: Any, target: ir.Type) -> ir.Value:
        lanes = target.count if isinstance(target, ir.VectorType) else 0
        if not isinstance(value, ir.Value):
            return ir.Constant(target, [value] * lanes if lanes else value)
        return self._splat(value, lanes) if lanes and not isinstance(value.type, ir.VectorType) else value

    def _splat(self, scalar: ir.Value, lanes: int) -> ir.Value:
        empty = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
        return self._shuffle(self.builder.insert_element(empty, scalar, LANE(0)), empty, [0] * lanes)

    def _shuffle(self, x: ir.Value, y: ir.Value, lanes: Sequence[int]) -> ir.Value:
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(LANE, len(lanes)), list(lanes)))

    def true(self) -> Value:
        """A condition that holds."""
        return Value(self, BIT(1))

    # -- loops and branches

    def range(self, start: Any, stop: Any, step: Any = 1) -> Iterator[Value]:
        """Loop from start to below stop: what Python's ``for`` does once, the machine does for each."""
        b, before = self.builder, self.builder.block
        first, end, by = (self.whole(number).ir for number in (start, stop, step))
        head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(INT)
        i.add_incoming(first, before)
        b.cbranch(b.icmp_signed("<", i, end), body, after)
        b.position_at_end(body)
        yield Value(self, i)
        i.add_incoming(b.add(i, by), b.block)
        b.branch(head)
        b.position_at_end(after)

    def lanes_of(self, mask: Value) -> Iterator[Value]:
        """Loop over the numbers of the bits that are set in a mask."""
        b, rest = self.builder, self.variable(mask)
        head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        b.cbranch((rest > 0).ir, body, after)
        b.position_at_end(body)
        lane = Value(self, b.cttz(rest.ir, BIT(1)))
        rest.set(rest & (rest - 1))
        yield lane
        b.branch(head)
        b.position_at_end(after)

    def when(self, condition: Value) -> AbstractContextManager[Any]:
        """Do the body of a ``with`` if a condition holds."""
        context: AbstractContextManager[Any] = self.builder.if_then(condition.ir)
        return context

    def either(self, condition: Value) -> AbstractContextManager[Any]:
        """Give two contexts: for what is done if a condition holds, and if it does not."""
        context: AbstractContextManager[Any] = self.builder.if_else(condition.ir)
        return context

    # -- functions

    def _call(self, name: str, *args: ir.Value) -> ir.Value:
        """Call one of LLVM's functions of a single type."""
        kind = args[0].type
        element, prefix = (kind.element, f"v{kind.count}") if isinstance(kind, ir.VectorType) else (kind, "")
        full_name = f"llvm.{name}.{prefix}{'f32' if element == SINGLE else 'f64'}"
        function = self.builder.module.globals.get(full_name)
        if function is None:
            function = ir.Function(self.builder.module, ir.FunctionType(kind, [kind] * len(args)), full_name)
        return self.builder.call(function, args)

    def fma(self, x: Any, y: Any, z: Any) -> Value:
        """X * y + z, rounded once where the machine can do that."""
        return Value(self, self._call("fmuladd", *self.alike(x, y, z)))

    def sqrt(self, x: Value) -> Value:
        """The square root."""
        return Value(self, self._call("sqrt", x.ir))

    def select(self, condition: Value, x: Any, y: Any) -> Value:
        """X where a condition holds, else y, lane by lane."""
        return Value(self, self.builder.select(condition.ir, *self.alike(x, y)))

    def minimum(self, x: Value, y: Value) -> Value:
        """The smaller, lane by lane; y where they can't be compared."""
        return self.select(x < y, x, y)

    def mask(self, condition: Value) -> Value:
        """An integer whose bits tell in which lanes a condition holds."""
        bits = condition.ir
        return Value(self, self.builder.zext(self.builder.bitcast(bits, ir.IntType(bits.type.count)), INT))

    def count(self, mask: Value) -> Value:
        """How many bits of a mask are set."""
        return Value(self, self.builder.ctpop(mask.ir))

    def double(self, x: Value) -> Value:
        """The same numbers in float64."""
        value = x.ir
        wide = ir.VectorType(DOUBLE, value.type.count) if isinstance(value.type, ir.VectorType) else DOUBLE
        return Value(self, value if value.type == wide else self.builder.fpext(value, wide))

    def rounded(self, x: Value) -> Value:
        """Float64 numbers as the kernel's floats."""
        value = x.ir
        kind = ir.VectorType(self.scalar, value.type.count) if isinstance(value.type, ir.VectorType) else self.scalar
        return Value(self, value if self.bits == 64 else self.builder.fptrunc(value, kind))

    def truncated(self, x: Value) -> Value:
        """A float as an integer."""
        return Value(self, self.builder.fptosi(x.ir, INT))

    def floated(self, i: Value) -> Value:
        """An integer as a float."""
        return Value(self, self.builder.sitofp(i.ir, self.scalar))

    def total(self, *registers: Value) -> Value:
        """The sum of all lanes of some registers, halves added to halves, as a float64 number."""
        v = sum(registers[1:], registers[0]).ir
        while (n := v.type.count) > 1:
            v = self.builder.fadd(self._shuffle(v, v, range(n // 2)), self._shuffle(v, v, range(n // 2, n)))
        return self.double(Value(self, self.builder.extract_element(v, LANE(0))))

    def _integers(self, value: int) -> ir.Constant:
        return ir.Constant(self.integers, [value] * self.lanes)

    def exp2(self, x: Value) -> Value:
        """2^x for x <= 0, to 1.7e-7 (float32) or 4e-16 of itself; 0 below `FLUSH`.

        x + 1.5 * 2^23 holds x, rounded to an integer, in its lowest bits; they go to the exponent of 2^fraction.
        """
        b, magic = self.builder, self.full(1.5 * 2.0 ** _MANTISSA[self.bits])
        integer = x + magic
        fraction = x - (integer - magic)
        power = self.full(_EXP2[self.bits][0])
        for coefficient in _EXP2[self.bits][1:]:
            power = self.fma(power, fraction, coefficient)
        exponent = b.shl(b.bitcast(integer.ir, self.integers), self._integers(_MANTISSA[self.bits]))
        scaled = b.bitcast(b.add(b.bitcast(power.ir, self.integers), exponent), self.vector)
        return self.select(x < FLUSH[self.bits], 0.0, Value(self, scaled))

    def log2(self, x: Value) -> Value:
        """log2 of normal numbers, by the series of artanh: x = 2^n m with m around 1, and s = (m - 1) / (m + 1)."""
        b, root = self.builder, self.builder.bitcast(self.full(math.sqrt(0.5)).ir, self.integers)
        above = b.sub(b.bitcast(x.ir, self.integers), root)  # so that m lies between √½ and √2
        n = Value(self, b.sitofp(b.ashr(above, self._integers(_MANTISSA[self.bits])), self.vector))
        mantissa = b.and_(above, self._integers(2 ** _MANTISSA[self.bits] - 1))
        m = Value(self, b.bitcast(b.add(mantissa, root), self.vector))
        s = (m - 1.0) / (m + 1.0)
        series = self.full(0.0)
        for i in range(5 if self.bits == 32 else 11, -1, -1):
            series = self.fma(series, s * s, 2 / math.log(2) / (2 * i + 1))
        return self.fma(series, s, n)

    def strided(self, array: Array, i: Any, step: int) -> list[Value]:
        """Registers of the numbers i, i + step, ..., then of those one place on, and so on, ``step`` of them."""
        wide = ir.VectorType(array.element, self.lanes * step)
        everything = self.builder.load(array.address(i, wide), align=array.align)
        picks = [range(j, self.lanes * step, step) for j in range(step)]
        return [Value(self, self._shuffle(everything, everything, pick)) for pick in picks]

    def transpose(self, square: list[Value]) -> list[Value]:
        """Turn as many registers as each has lanes into columns: quarters of ever smaller squares swap."""
        n, half, lines = self.lanes, self.lanes // 2, [line.ir for line in square]
        while half:
            for i in (i for i in range(n) if not i & half):
                x, y = lines[i], lines[i + half]
                lines[i] = self._shuffle(x, y, [n + j - half if j & half else j for j in range(n)])
                lines[i + half] = self._shuffle(x, y, [n + j if j & half else j + half for j in range(n)])
            half //= 2
        return [Value(self, line) for line in lines]


def _is_float(value: ir.Value) -> bool:
    element = value.type.element if isinstance(value.type, ir.VectorType) else value.type
    return isinstance(element, (ir.FloatType, ir.DoubleType))
