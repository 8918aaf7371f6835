"""The language of the kernels: Python code that writes LLVM instructions.

A kernel is a Python function that runs once, to write the machine code. A loop over ``code.range`` becomes a loop of
the machine code; a plain Python loop is unrolled. A value is a number or a SIMD register of numbers. This kernel
doubles an array::

    def double(code, t):
        for i in code.range(0, t.n, code.lanes):
            t.x.store(i, t.x.load(i) * 2)

All floats of a kernel have one type, float32 or float64. The compiler does not reorder floating-point operations, so
results do not depend on its optimizations. docs/kernels.md teaches the language.
"""

from __future__ import annotations

__all__ = ["MIN_EXPONENT", "Code"]

import math
import numbers
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from llvmlite import ir

from . import machine
from .values import BOOL, FLOAT32, FLOAT64, INT32, INT64, Array, Value, Variable, describe_type, element_type, is_float

MIN_EXPONENT = {32: -100.0, 64: -900.0}  # exp2 returns 0 below: products would be subnormal, and slow

# Coefficients of 2^f for |f| <= 1/2, highest power first, of polynomials that are exact at 0. For float32: the one with
# the least relative error, 9e-8. For float64: 1 + f p(f), where p interpolates at the Chebyshev nodes; error 2e-17.
_EXP2_COEFFICIENTS = {
    32: (0.0013264727, 0.009671513, 0.055507336, 0.24022242, 0.693147, 1.0),
    64: (4.4549605981865186e-10, 7.072585949269223e-09, 1.0178062445845774e-07, 1.321544258792169e-06,
         1.525273382983612e-05, 0.0001540353044173605, 0.0013333558146416936, 0.009618129107606888,
         0.0555041086648216, 0.24022650695910097, 0.6931471805599453, 1.0),
}  # fmt: skip
_MANTISSA_BITS = {32: 23, 64: 52}


class Code:
    """A writer of machine code: its constants, loops, branches and functions.

    Parameters
    ----------
    builder : IRBuilder
        LLVM's builder, to which instructions are appended.
    bits : {32, 64}
        Size of the kernel's floats.
    """

    def __init__(self, builder: ir.IRBuilder, bits: int) -> None:
        self.builder, self.bits = builder, bits
        self.float_type = FLOAT32 if bits == 32 else FLOAT64
        self.lanes = machine.lanes(bits)
        self.float_vector = ir.VectorType(self.float_type, self.lanes)
        self.int_vector = ir.VectorType(ir.IntType(bits), self.lanes)
        self.n_open_loops = 0  # loops whose end has not been written

    # -- numbers

    def integer(self, value: Any) -> Value:
        """Return an integer constant; integer values pass through."""
        return Value(self, self._operand(value, INT64, "convert it with code.to_integer"))

    def number(self, value: Any) -> Value:
        """Return a constant of the kernel's float type that is one number; such values pass through."""
        return Value(self, self._operand(value, self.float_type, "use code.from_integer for an integer"))

    def constant(self, value: Any, kind: ir.Type | None = None) -> ir.Value:
        """Return a Python number as a constant of a type; the LLVM value of a `Value` passes through.

        If the type is that of registers, all lanes have the number. Without a type, a Python float becomes a number of
        the kernel's float type, and a bool a condition.
        """
        if isinstance(value, Value):
            return value.ir
        if isinstance(value, ir.Value):
            return value
        if kind is None:
            kind = self._python_type(value)
        if isinstance(kind, ir.VectorType):
            return ir.Constant(kind, [self.constant(value, kind.element)] * kind.count)
        if is_float(kind) and isinstance(value, numbers.Real):
            return ir.Constant(kind, float(value))
        if not is_float(kind) and isinstance(value, bool if kind == BOOL else numbers.Integral):
            return ir.Constant(kind, int(value))
        expected = "a number" if is_float(kind) else "a condition" if kind == BOOL else "an integer"
        if isinstance(value, Array):
            raise TypeError(
                f"{value.name} is an array, expected {expected}: use {value.name}[i] for a number, "
                f"{value.name}.load(i) for a register"
            )
        raise TypeError(f"{value!r} in a kernel, expected {expected} or a value of the machine code")

    def _python_type(self, value: Any) -> ir.Type:
        """Return the type that a Python number has where no other value gives it one."""
        if isinstance(value, bool):
            return BOOL
        if isinstance(value, numbers.Integral):
            raise TypeError(
                f"{value} in a kernel can be an integer or a float: use code.integer({value}), code.number({value}) "
                f"or, for a register, code.full({value})"
            )
        return self.float_type

    def _operand(self, value: Any, kind: ir.Type, hint: str, *, any_width: bool = False) -> ir.Value:
        """Convert an operand to an LLVM value, which must be of a type, or with ``any_width`` a register or number."""
        operand = self.constant(value, kind)
        found, expected = operand.type, kind
        if any_width:
            found, expected = element_type(found), element_type(expected)
        if found != expected:
            wanted = (
                "an integer" if kind == INT64 else describe_type(kind) + (" or a register of them" if any_width else "")
            )
            raise TypeError(f"expected {wanted}, got {describe_type(operand.type)}: {hint}")
        return operand

    def _floats(self, value: Any) -> ir.Value:
        """Convert an operand to floats of either size: a number or a register."""
        operand = self.constant(value, self.float_type)
        if not is_float(operand.type):
            raise TypeError(f"expected floats, got {describe_type(operand.type)}: convert it with code.from_integer")
        return operand

    def full(self, value: Any) -> Value:
        """Return a register with one number in all lanes."""
        number = self.constant(value, self.float_type)
        if isinstance(number.type, ir.VectorType):
            raise TypeError(f"expected a number, got {describe_type(number.type)}: use it without code.full")
        return Value(self, self._splat(number, self.lanes))

    def variable(self, value: Any) -> Variable:
        """Return a new variable with an initial value; a Python float makes one of a number, not of a register."""
        initial = self.constant(value)
        with self.builder.goto_entry_block():
            address = self.builder.alloca(initial.type)
        return Variable(self, address).set(Value(self, initial))

    def true(self) -> Value:
        """Return a condition that always holds."""
        return Value(self, BOOL(1))

    def to_common_type(self, *values: Any) -> list[ir.Value]:
        """Convert values and Python numbers to the widest type among the values, or to floats if all are of Python."""
        operands = [value.ir if isinstance(value, Value) else value for value in values]
        types = [operand.type for operand in operands if isinstance(operand, ir.Value)]
        if not types:
            types = [self._python_type(next((x for x in values if not isinstance(x, numbers.Integral)), values[0]))]
        target = max(types, key=lambda kind: isinstance(kind, ir.VectorType))
        converted = [self._convert(operand, target) for operand in operands]
        if any(value.type != target for value in converted):
            kinds = " and ".join(map(describe_type, types))
            raise TypeError(f"operands of different types, {kinds}: convert one, for example by code.to_float64")
        return converted

    def _convert(self, operand: Any, target: ir.Type) -> ir.Value:
        value = self.constant(operand, target)
        is_narrow = isinstance(target, ir.VectorType) and not isinstance(value.type, ir.VectorType)
        return self._splat(value, target.count) if is_narrow else value

    def _splat(self, scalar: ir.Value, lanes: int) -> ir.Value:
        empty = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
        return self._shuffle(self.builder.insert_element(empty, scalar, INT32(0)), empty, [0] * lanes)

    def _shuffle(self, x: ir.Value, y: ir.Value, lanes: Sequence[int]) -> ir.Value:
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes)))

    # -- loops and branches

    def range(self, start: Any, stop: Any, step: Any = 1) -> Iterator[Value]:
        """Loop over a range of numbers: Python runs the body once, the machine code runs it for each number."""
        b, before = self.builder, self.builder.block
        first, end, by = (self.integer(number).ir for number in (start, stop, step))
        if isinstance(by, ir.Constant) and by.constant <= 0:
            raise ValueError(f"code.range got the step {by.constant}, expected a positive one: the loop would not end")
        head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(INT64)
        i.add_incoming(first, before)
        b.cbranch(b.icmp_signed("<", i, end), body, after)
        b.position_at_end(body)
        yield from self._body(Value(self, i))
        i.add_incoming(b.add(i, by), b.block)
        b.branch(head)
        b.position_at_end(after)

    def _body(self, value: Value) -> Iterator[Value]:
        """Yield the loop's value once, and count the loop as open while its body is written."""
        self.n_open_loops += 1
        yield value
        self.n_open_loops -= 1

    def set_bits(self, mask: Any) -> Iterator[Value]:
        """Loop over the positions of the bits that are set in a mask."""
        b, rest = self.builder, self.variable(self._bits(mask))
        head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        b.cbranch((rest > 0).ir, body, after)
        b.position_at_end(body)
        position = Value(self, b.cttz(rest.ir, BOOL(1)))
        rest.set(rest & (rest - 1))
        yield from self._body(position)
        b.branch(head)
        b.position_at_end(after)

    def if_then(self, condition: Any) -> AbstractContextManager[Any]:
        """Return a context for the code that runs if a condition holds."""
        context: AbstractContextManager[Any] = self.builder.if_then(self._one_condition(condition))
        return context

    def if_else(self, condition: Any) -> AbstractContextManager[Any]:
        """Return a context that yields two: for the code that runs if a condition holds, and if it does not."""
        context: AbstractContextManager[Any] = self.builder.if_else(self._one_condition(condition))
        return context

    def _one_condition(self, condition: Any) -> ir.Value:
        """Convert an operand to one condition, not a register of them."""
        operand = self._conditions(condition)
        if isinstance(operand.type, ir.VectorType):
            raise TypeError(
                f"expected one condition, got {describe_type(operand.type)}: use code.mask(...) > 0, which holds if "
                "one does in any lane, or code.select, lane by lane"
            )
        return operand

    def _conditions(self, condition: Any) -> ir.Value:
        """Convert an operand to one condition or a register of them."""
        return self._operand(condition, BOOL, "compare it, for example x > 0", any_width=True)

    def _bits(self, mask: Any) -> Value:
        """Convert an operand to an integer of bits."""
        return Value(self, self._operand(mask, INT64, "use code.mask(...) for a register of conditions"))

    # -- functions

    def _call(self, name: str, *args: ir.Value) -> Any:
        """Call an LLVM intrinsic whose arguments and result have one type."""
        kind = args[0].type
        element, prefix = (kind.element, f"v{kind.count}") if isinstance(kind, ir.VectorType) else (kind, "")
        full_name = f"llvm.{name}.{prefix}{'f32' if element == FLOAT32 else 'f64'}"
        return self.call_intrinsic(full_name, kind, *args)

    def call_intrinsic(self, name: str, result: ir.Type, *args: ir.Value) -> Any:
        """Call an LLVM intrinsic by its full name."""
        function = self.builder.module.globals.get(name)
        if function is None:
            function = ir.Function(self.builder.module, ir.FunctionType(result, [arg.type for arg in args]), name)
        return self.builder.call(function, args)

    def fma(self, x: Any, y: Any, z: Any) -> Value:
        """Return x * y + z, rounded once if the machine has such an instruction."""
        return Value(self, self._call("fmuladd", *map(self._floats, self.to_common_type(x, y, z))))

    def sqrt(self, x: Any) -> Value:
        """Return the square root."""
        return Value(self, self._call("sqrt", self._floats(x)))

    def reciprocal(self, x: Any) -> Value:
        """Return 1 / x of a register of normal numbers, up to rounding; for others it is *some number*."""
        x, y = self._register(x), self._estimate("rcp14", x)
        if y is None:
            return Value(self, self.builder.fdiv(self.full(1.0).ir, x.ir))
        for _ in range(1 if self.bits == 32 else 2):  # Newton's iteration doubles the number of correct bits
            y = self.fma(self.fma(-x, y, 1.0), y, y)
        return y

    def inverse_root(self, x: Any) -> Value:
        """Return 1 / √x of a register of normal numbers, up to rounding; for others it is *some number*."""
        x, y = self._register(x), self._estimate("rsqrt14", x)
        if y is None:
            return Value(self, self.builder.fdiv(self.full(1.0).ir, self.sqrt(x).ir))
        for _ in range(1 if self.bits == 32 else 2):
            y = self.fma(self.fma(x * y, -y, 1.0), y * 0.5, y)
        return y

    def _estimate(self, name: str, x: Any) -> Value | None:
        """Return an approximation with 14 correct bits; None with smaller registers, whose division is faster."""
        if machine.register_bytes() != 64:
            return None
        mask, kind = ir.IntType(max(8, self.lanes))(-1), "s" if self.bits == 32 else "d"
        full_name = f"llvm.x86.avx512.{name}.p{kind}.512"
        return Value(self, self.call_intrinsic(full_name, self.float_vector, x.ir, self.full(0.0).ir, mask))

    def select(self, condition: Any, x: Any, y: Any) -> Value:
        """Return x where a condition holds, else y, lane by lane: a register if one of the three is."""
        chosen, operands = self._conditions(condition), self.to_common_type(x, y)
        if isinstance(chosen.type, ir.VectorType):
            target = ir.VectorType(element_type(operands[0].type), chosen.type.count)
            operands = [self._convert(operand, target) for operand in operands]
        return Value(self, self.builder.select(chosen, *operands))

    def minimum(self, x: Any, y: Any) -> Value:
        """Return the smaller value, lane by lane; y if either is NaN."""
        if not isinstance(x, Value) and not isinstance(y, Value):
            x, y = (Value(self, operand) for operand in self.to_common_type(x, y))
        return self.select(x < y, x, y)

    def mask(self, condition: Value) -> Value:
        """Return an integer with a bit for each lane, set where a condition holds."""
        bits = self._operand(condition, ir.VectorType(BOOL, self.lanes), "compare registers, for example x > 0.0")
        return Value(self, self.builder.zext(self.builder.bitcast(bits, ir.IntType(bits.type.count)), INT64))

    def count_bits(self, mask: Any) -> Value:
        """Return the number of bits that are set in a mask."""
        return Value(self, self.builder.ctpop(self._bits(mask).ir))

    def to_float64(self, x: Any) -> Value:
        """Convert floats to float64."""
        value = self._floats(x)
        wide = ir.VectorType(FLOAT64, value.type.count) if isinstance(value.type, ir.VectorType) else FLOAT64
        return Value(self, value if value.type == wide else self.builder.fpext(value, wide))

    def from_float64(self, x: Any) -> Value:
        """Round float64 numbers to the kernel's float type."""
        value = self._operand(x, FLOAT64, "code.from_float64 rounds float64 only", any_width=True)
        kind = self.float_type
        kind = ir.VectorType(kind, value.type.count) if isinstance(value.type, ir.VectorType) else kind
        return Value(self, value if self.bits == 64 else self.builder.fptrunc(value, kind))

    def to_integer(self, x: Any) -> Value:
        """Convert a float to an integer, rounding toward 0."""
        value = self._floats(x)
        if isinstance(value.type, ir.VectorType):
            raise TypeError(f"expected one float, got {describe_type(value.type)}: store it, and convert each number")
        return Value(self, self.builder.fptosi(value, INT64))

    def from_integer(self, i: Any) -> Value:
        """Convert an integer to the kernel's float type."""
        value = self._operand(i, INT64, "code.from_integer converts one integer")
        return Value(self, self.builder.sitofp(value, self.float_type))

    def sum_lanes(self, *registers: Value) -> Value:
        """Return the sum of all lanes of some registers in float64; the halves of a register are added pairwise."""
        v = self._floats(sum(registers[1:], registers[0]))
        if not isinstance(v.type, ir.VectorType):
            raise TypeError(f"expected registers, got {describe_type(v.type)}: load them with array.load(i)")
        while (n := v.type.count) > 1:
            v = self.builder.fadd(self._shuffle(v, v, range(n // 2)), self._shuffle(v, v, range(n // 2, n)))
        return self.to_float64(Value(self, self.builder.extract_element(v, INT32(0))))

    def _register(self, x: Any) -> Value:
        """Convert an operand to a register of the kernel's floats."""
        return Value(self, self._operand(x, self.float_vector, "use code.full(x) for a number"))

    def _full_integers(self, value: int) -> ir.Constant:
        return ir.Constant(self.int_vector, [value] * self.lanes)

    def exp2(self, x: Any) -> Value:
        """Return 2^x for x <= 0, with a relative error up to 1.7e-7 (float32) or 4e-16; 0 below `MIN_EXPONENT`.

        In float32, the lowest bits of x + 1.5 * 2^23 hold x rounded to an integer: the exponent to add to 2^fraction.
        """
        b, magic = self.builder, self.full(1.5 * 2.0 ** _MANTISSA_BITS[self.bits])
        x = self._register(x)
        integer = x + magic
        fraction = x - (integer - magic)
        power = self.full(_EXP2_COEFFICIENTS[self.bits][0])
        for coefficient in _EXP2_COEFFICIENTS[self.bits][1:]:
            power = self.fma(power, fraction, coefficient)
        exponent = b.shl(b.bitcast(integer.ir, self.int_vector), self._full_integers(_MANTISSA_BITS[self.bits]))
        scaled = b.bitcast(b.add(b.bitcast(power.ir, self.int_vector), exponent), self.float_vector)
        return self.select(x < MIN_EXPONENT[self.bits], 0.0, Value(self, scaled))

    def log2(self, x: Any) -> Value:
        """Return log2 of normal numbers by the series of artanh: x = 2^n m, m near 1, and s = (m - 1) / (m + 1)."""
        b, root = self.builder, self.builder.bitcast(self.full(math.sqrt(0.5)).ir, self.int_vector)
        x = self._register(x)
        above = b.sub(b.bitcast(x.ir, self.int_vector), root)  # so that m lies between √½ and √2
        n = Value(self, b.sitofp(b.ashr(above, self._full_integers(_MANTISSA_BITS[self.bits])), self.float_vector))
        mantissa = b.and_(above, self._full_integers(2 ** _MANTISSA_BITS[self.bits] - 1))
        m = Value(self, b.bitcast(b.add(mantissa, root), self.float_vector))
        s = (m - 1.0) / (m + 1.0)
        series = self.full(0.0)
        for i in range(5 if self.bits == 32 else 11, -1, -1):
            series = self.fma(series, s * s, 2 / math.log(2) / (2 * i + 1))
        return self.fma(series, s, n)

    def load_strided(self, array: Array, i: Any, step: int) -> list[Value]:
        """Load ``step`` registers: the j-th one holds the numbers i + j, i + j + step, i + j + 2 step, ..."""
        wide = ir.VectorType(array.element, self.lanes * step)
        everything = self.builder.load(array.address(i, wide), align=array.align)
        picks = [range(j, self.lanes * step, step) for j in range(step)]
        return [Value(self, self._shuffle(everything, everything, pick)) for pick in picks]

    def transpose(self, square: list[Value]) -> list[Value]:
        """Transpose as many registers as each has lanes."""
        n, half, lines = self.lanes, self.lanes // 2, [line.ir for line in square]
        while half:  # swap the off-diagonal quarters of squares of 2 half registers
            for i in (i for i in range(n) if not i & half):
                x, y = lines[i], lines[i + half]
                lines[i] = self._shuffle(x, y, [n + j - half if j & half else j for j in range(n)])
                lines[i + half] = self._shuffle(x, y, [n + j if j & half else j + half for j in range(n)])
            half //= 2
        return [Value(self, line) for line in lines]
