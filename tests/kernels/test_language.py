"""The language of the kernels: its functions against NumPy, and its errors."""

import math
import platform
import struct
import sys
from operator import setitem

import numpy as np
import pytest

from softkmeans.kernels.compiler import (
    FLOAT,
    FLOAT64,
    INT64,
    MIN_EXPONENT,
    Arguments,
    Code,
    Input,
    Kernel,
    Number,
    Output,
    Scratch,
    compile_kernel,
    lanes,
    run_once,
    write_llvm_ir,
)

FLOATS = {32: np.float32, 64: np.float64}


class Numbers:
    """The numbers of the kernels of these tests."""

    def __init__(self, n, m=0):
        self.n, self.m = n, m


class MapArguments(Arguments):
    n = Number(lambda p: p.n, "numbers")
    m = Number(lambda p: p.m, "another number")
    x = Input(FLOAT, lambda p: (p.n,), "the numbers")
    out = Output(FLOAT, lambda p: (p.n,), "a number for each")
    doubles = Scratch(FLOAT64, lambda p: (p.n,), "float64 numbers")
    integers = Scratch(INT64, lambda p: (p.n,), "integers")


def run_kernel(write, x, bits, m=0):
    """Run a kernel on numbers x; return its output, and the scratch arrays by name."""
    x = np.asarray(x, FLOATS[bits])
    out = np.zeros_like(x)
    scratch = run_once(Kernel("map", write, MapArguments), bits, Numbers(len(x), m), x=x, out=out)
    return out, scratch


def apply(function, x, bits):
    """Apply a function of registers to numbers."""

    def write(code, t):
        for i in code.range(0, t.n, code.lanes):
            t.out.store(i, function(code, t.x.load(i)))

    return run_kernel(write, x, bits)[0]


# Functions


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "error"), [(32, 1.8e-7), (64, 5e-16)])
def test_exp2_over_its_whole_range(bits, error):
    smallest = MIN_EXPONENT[bits]
    x = np.linspace(smallest, 0, 2**20).astype(FLOATS[bits])
    computed, exact = apply(Code.exp2, x, bits), np.exp2(x.astype(np.longdouble))
    assert float(np.abs(computed / exact - 1).max()) <= error
    assert apply(Code.exp2, np.zeros(64), bits).tolist() == [1.0] * 64
    below = -np.geomspace(-smallest * 1.001, 1e30, 1024).astype(FLOATS[bits])
    below[-16:] = -np.inf
    assert not apply(Code.exp2, below, bits).any()
    assert np.isnan(apply(Code.exp2, np.full(64, np.nan), bits)).all()


@pytest.mark.parametrize(("bits", "error"), [(32, 3e-7), (64, 5e-16)])
def test_log2_over_its_whole_range(bits, error):
    info = np.finfo(FLOATS[bits])
    x = np.concatenate([np.geomspace(info.tiny, info.max / 2, 2**19), np.linspace(0.5, 2, 2**19)]).astype(FLOATS[bits])
    computed, exact = apply(Code.log2, x, bits), np.log2(x.astype(np.longdouble))
    assert float((np.abs(computed - exact) / np.maximum(np.abs(exact), 1)).max()) <= error


@pytest.mark.parametrize("bits", [32, 64])
def test_transpose_and_strided_loads(bits):
    n = lanes(bits)

    def write_transposed(code, t):
        for i, column in enumerate(code.transpose([t.x.load(i * n) for i in range(n)])):
            t.out.store(i * n, column)

    def write_strided(code, t):
        for j, part in enumerate(code.load_strided(t.x, 0, 3)):
            t.out.store(j * n, part)

    square, strided = np.arange(n * n), np.arange(3 * n)
    transposed, _ = run_kernel(write_transposed, square, bits)
    np.testing.assert_array_equal(transposed.reshape(n, n), square.reshape(n, n).T)
    picked, _ = run_kernel(write_strided, strided, bits)
    np.testing.assert_array_equal(picked.reshape(3, n), strided.reshape(n, 3).T)


@pytest.mark.parametrize("bits", [32, 64])
def test_prefetch_changes_nothing(bits):
    x = np.arange(1.0, 4 * lanes(bits) + 1)

    def copy(code, t):
        for i in code.range(0, t.n):
            t.x.prefetch(i + 10**6)  # memory behind the array, or no memory at all: a request, not a read
            t.out.prefetch(i)
            t.out[i] = t.x[i]

    np.testing.assert_array_equal(run_kernel(copy, x, bits)[0], x)


@pytest.mark.parametrize("bits", [32, 64])
def test_load_part_reads_only_some_numbers(bits):
    n = lanes(bits)
    x = np.arange(1.0, 2 * n + 1)
    x[n:] = np.nan  # behind the numbers that are read
    for number in range(n + 2):
        part, _ = run_kernel(lambda code, t, number=number: t.out.store(0, t.x.load_part(1, number)), x, bits)
        read = min(number, n - 1)
        np.testing.assert_array_equal(part[:read], x[1 : read + 1])
        np.testing.assert_array_equal(part[number:n], 0.0)


@pytest.mark.parametrize("bits", [32, 64])
def test_minimum_and_comparisons_with_nan(bits):
    """`minimum` returns its second operand; a comparison with NaN does not hold."""
    x = np.full(64, np.nan)
    assert apply(lambda code, v: code.minimum(v, code.full(7.0)), x, bits).tolist() == [7.0] * 64
    assert np.isnan(apply(lambda code, v: code.minimum(code.full(7.0), v), x, bits)).all()
    for compare in (lambda v: v < 1.0, lambda v: v > 1.0, lambda v: v <= v, lambda v: v >= v, lambda v: v.equals(v)):
        assert not apply(lambda code, v, c=compare: code.select(c(v), code.full(1.0), 0.0), x, bits).any()


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_added_in_the_order_that_is_written(bits):
    """LLVM must not reorder: (x + large) - large is not x."""
    large = 2.0 ** (np.finfo(FLOATS[bits]).nmant + 2)
    assert not apply(lambda code, v: v + large - large, np.ones(64), bits).any()
    assert apply(lambda code, v: v + (code.full(large) - large), np.ones(64), bits).all()


def test_products_are_not_fused_with_sums_unless_asked_for():
    """X² - round(x²) is 0 if the product is rounded, and the rounding error if it is not."""
    x = np.full(64, 1 + 2.0**-30)
    rounded = x * x
    assert not apply(lambda code, v: v * v - float(rounded[0]), x, 64).any()


def test_numbers_behave_as_in_python():
    """Arithmetic of integers and conditions, on numbers that the compiler does not know."""

    def write(code, t):
        results = [
            t.m // 3, t.m % 3, -t.m, t.m << 2, t.m >> 1, t.m & 6, t.m | 8, 20 - t.m, t.m * t.m,
            code.select(t.m >= 7, code.integer(1), 0), code.select((t.m > 7) | (t.m < 0), code.integer(1), 0),
            code.count_bits(t.m), code.to_integer(code.from_integer(t.m) * 1.5),
        ]  # fmt: skip
        for i, value in enumerate(results):
            t.integers[i] = value

    _, scratch = run_kernel(write, np.zeros(13), 64, m=7)
    assert scratch["integers"].tolist() == [2, 1, -7, 28, 3, 6, 15, 13, 49, 1, 0, 3, 10]


def test_loops_and_branches():
    def write(code, t):
        total, inner = code.variable(code.integer(0)), code.variable(code.integer(0))
        for i in code.range(0, t.m):
            for _ in code.range(i, t.m, 2):
                inner.set(inner + 1)
            with code.if_else((i % 2).equals(0)) as (even, odd):
                with even:
                    total.set(total + i)
                with odd:
                    total.set(total + 100)
        t.integers[0], t.integers[1] = total, inner
        for lane in code.set_bits(code.integer(0b1010)):
            t.integers[2] = t.integers[2] * 10 + lane

    _, scratch = run_kernel(write, np.zeros(3), 64, m=5)
    assert scratch["integers"].tolist() == [0 + 2 + 4 + 200, 3 + 2 + 2 + 1 + 1, 13]


def test_python_numbers_where_their_type_is_clear():
    """A Python float is a number of the kernel's float type; other operands may make it a register or a condition."""

    def write(code, t):
        total, register = code.variable(0.0), code.variable(code.full(0.0))
        total.set(total + 1.5)
        results = [
            total + 0.0, total.set(0.25), code.sqrt(9.0), code.sqrt(16), code.minimum(2.0, 1.0),
            code.minimum(t.x[0], -1),
            code.minimum(8, t.x[0]), code.select(t.m > 6, 1.0, 0.0), code.select(t.m > 7, 1.0, 0),
            code.select(True, 3.0, 4.0), code.fma(2.0, 3.0, 4.0), code.number(5), code.number(t.x[0]),
            code.from_integer(6), code.from_float64(code.to_float64(0.5)),
        ]  # fmt: skip
        for i, value in enumerate(results):
            t.out[i] = value
        with code.if_then(code.variable(False)):
            t.out[0] = -1.0
        mask = code.mask(t.x.load(0) > 0.5)
        t.integers[0], t.integers[1], t.integers[2] = code.to_integer(2.5), code.count_bits(7), code.count_bits(mask)
        for v in range(16, 80, code.lanes):
            x = t.x.load(v)
            t.out.store(v, 1.0)
            t.out.store(v, register.set(2.0) + t.out.load(v))
            t.doubles.store(v, 1)
            t.out.store(v, t.out.load(v) + code.select(x > 40.0, 1.0, 0.0) + code.select(x > 50.0, t.x[1], t.x[0]))
            t.out.store(v, t.out.load(v) + code.exp2(-1.0) + code.log2(4.0))

    for bits in (32, 64):
        out, scratch = run_kernel(write, np.arange(80) + 1, bits, m=7)
        assert out[:15].tolist() == [1.5, 0.25, 3, 4, 1, -1, 1, 1, 0, 3, 10, 5, 1, 6, 0.5]
        x = np.arange(16, 80) + 1
        np.testing.assert_allclose(out[16:], 3 + (x > 40) + np.where(x > 50, 2, 1) + 0.5 + 2, rtol=1e-6)
        assert scratch["integers"][:3].tolist() == [2, 3, lanes(bits)]
        assert scratch["doubles"][16:].tolist() == [1.0] * 64


# Errors are raised when the kernel is written.


def _break(code, t):
    for _ in code.range(0, t.n):
        break


def _store(array, value, *, register=False):
    def write(code, t):
        target, number = getattr(t, array), value(code, t)
        if register:
            target.store(0, number)
        else:
            target[0] = number

    return write


def _branch(condition, *, with_else=False):
    def write(code, t):
        with (code.if_else if with_else else code.if_then)(condition(code, t)):
            pass

    return write


MISTAKES = {
    "unknown name": (lambda code, t: t.wieghts, AttributeError, "wieghts"),
    "float into integers": (
        _store("integers", lambda code, t: t.x[0]),
        TypeError, "number of type float32 in integers, expected a number of type int64",
    ),
    "float32 into float64": (
        _store("doubles", lambda code, t: t.x[0]), TypeError, "float32 in doubles, expected a number of type float64",
    ),
    "register as number": (
        _store("out", lambda code, t: t.x.load(0)), TypeError, "a register of .* in out, expected a number",
    ),
    "number as register": (
        _store("out", lambda code, t: t.x[0], register=True), TypeError, "a number .* in out, expected a register",
    ),
    "Python float into integers": (_store("integers", lambda code, t: 0.5), TypeError, "0.5 .* expected an integer"),
    "Python text": (_store("out", lambda code, t: "1"), TypeError, "'1' .* expected a number"),
    "input is written": (_store("x", lambda code, t: 1.0), TypeError, "x is an input"),
    "array is replaced": (lambda code, t: setattr(t, "out", t.x), TypeError, r"write out\[i\] ="),
    "float as index": (lambda code, t: t.x[t.x[0]], TypeError, "expected an integer, got a number of type float32"),
    "mixed sum": (lambda code, t: t.x[0] + t.n, TypeError, "different types, .*float32 and .*int64"),
    "mixed registers": (lambda code, t: t.x.load(0) + t.doubles.load(0), TypeError, "register of .* float32 and"),
    "float and integer constant": (lambda code, t: t.n + 0.5, TypeError, "0.5 .* expected an integer"),
    "integer division": (lambda code, t: t.n / 2, TypeError, "use // for integers"),
    "float remainder": (lambda code, t: t.x[0] % 2, TypeError, "code.to_integer"),
    "variable of another type": (
        lambda code, t: code.variable(code.integer(0)).set(t.x[0]), TypeError, "variable holds .*int64, got .*float32",
    ),
    "Python integers": (
        lambda code, t: code.select(t.n > 0, 1, 0), TypeError, r"1 .* use code.integer\(1\), code.number\(1\) or",
    ),
    "Python integer as variable": (lambda code, t: code.variable(0), TypeError, r"0 .* use code.integer\(0\)"),
    "Python float into an integer variable": (
        lambda code, t: code.variable(code.integer(0)).set(0.5), TypeError, "0.5 .* expected an integer",
    ),
    "Python text as variable": (lambda code, t: code.variable("1"), TypeError, "'1' .* expected a number"),
    "array as number": (lambda code, t: code.sqrt(t.x), TypeError, r"x is an array.* use x\[i\] .* x.load\(i\)"),
    "array as operand": (lambda code, t: t.x[0] + t.out, TypeError, "out is an array, expected a number"),
    "array as condition": (_branch(lambda code, t: t.x), TypeError, "x is an array, expected a condition"),
    "loop over an array": (lambda code, t: list(t.x), TypeError, r"array x, .* code.range\(...\) and x\[i\]"),
    "root of an integer": (lambda code, t: code.sqrt(t.n), TypeError, "expected floats, .*int64: .*code.from_integer"),
    "fma of integers": (lambda code, t: code.fma(t.n, t.n, 1), TypeError, "expected floats, .*int64"),
    "integer as float constant": (lambda code, t: code.number(t.n), TypeError, "expected .*float32, got .*int64"),
    "register of registers": (lambda code, t: code.full(t.x.load(0)), TypeError, "expected a number, got a register"),
    "exp2 of a number": (lambda code, t: code.exp2(t.x[0]), TypeError, r"expected a register .* use code.full\(x\)"),
    "log2 of a number": (lambda code, t: code.log2(t.x[0]), TypeError, r"expected a register .* use code.full\(x\)"),
    "float64 of an integer": (lambda code, t: code.to_float64(t.n), TypeError, "expected floats, .*int64"),
    "float32 from float32": (lambda code, t: code.from_float64(t.x[0]), TypeError, "float64 or .*, got .*float32"),
    "integers of a register": (lambda code, t: code.to_integer(t.x.load(0)), TypeError, "expected one float"),
    "float of a float": (lambda code, t: code.from_integer(t.x[0]), TypeError, "expected an integer, got .*float32"),
    "lanes of a number": (lambda code, t: code.sum_lanes(t.x[0]), TypeError, "expected registers, got a number"),
    "mask of a condition": (lambda code, t: code.mask(t.n > 0), TypeError, "conditions, got a condition"),
    "mask of floats": (lambda code, t: code.mask(t.x.load(0)), TypeError, "conditions, got a register of .* float32"),
    "bits of conditions": (lambda code, t: code.count_bits(t.x.load(0) > 0), TypeError, "use code.mask"),
    "not of a float": (lambda code, t: ~t.x[0], TypeError, "~ is not defined for a number of type float32"),
    "number as condition": (
        _branch(lambda code, t: t.n), TypeError, "expected a condition .*, got a number of type int64: compare it",
    ),
    "number selects": (lambda code, t: code.select(t.n, 1.0, 0.0), TypeError, "expected a condition.*compare it"),
    "register as condition": (
        _branch(lambda code, t: t.x.load(0) > 0), TypeError, r"expected one condition, .* use code.mask\(...\) > 0",
    ),
    "register as condition of two": (
        _branch(lambda code, t: t.x.load(0) > 0, with_else=True), TypeError, r"use code.mask\(...\) > 0",
    ),
    "step 0": (lambda code, t: list(code.range(0, t.m, 0)), ValueError, "step 0, expected a positive one"),
    "step down": (lambda code, t: list(code.range(9, t.m, -1)), ValueError, "step -1, expected a positive one"),
    "number before an array": (lambda code, t: t.x[-1], IndexError, "index -1 of x lies before the array"),
    "register before an array": (lambda code, t: t.x.load(-8), IndexError, "index -8 of x"),
    "store before an array": (lambda code, t: t.out.store(-1, 0.0), IndexError, "index -1 of out"),
    "assignment before an array": (lambda code, t: setitem(t.out, -1, 0.0), IndexError, "index -1 of out"),
    "strided loads before an array": (lambda code, t: code.load_strided(t.x, -1, 2), IndexError, "index -1 of x"),
    "if": (lambda code, t: 1 if t.n > 0 else 2, TypeError, "use code.if_then"),
    "and": (lambda code, t: t.n > 0 and t.m > 0, TypeError, "& for and"),
    "==": (lambda code, t: t.n == 1, TypeError, r"use x.equals\(y\)"),
    "Python's range": (lambda code, t: range(t.n), TypeError, "use code.range"),
    "Python's math": (lambda code, t: math.sqrt(t.x[0]), TypeError, "such as code.sqrt"),
    "break": (_break, TypeError, "map leaves a loop of the machine code"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_a_kernel(mistake):
    write, kind, message = MISTAKES[mistake]
    with pytest.raises(kind, match=message):
        write_llvm_ir(Kernel("map", write, MapArguments), 32)


def test_printed_code_has_the_names_of_arguments():
    def write(code, t):
        t.out[0] = t.x[0] + (code.from_integer(t.n) - code.from_integer(t.n))

    written = write_llvm_ir(Kernel("sum", write, MapArguments), 32)
    optimized = write_llvm_ir(Kernel("sum", write, MapArguments), 32, optimized=True)
    assert 'sitofp i64 %"n" to float' in written
    assert written.count("sitofp") == 2
    assert "sitofp i64 %n to float" in optimized
    assert optimized.count("sitofp") == 1


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="the format of Linux on x86-64")
@pytest.mark.parametrize("bits", [32, 64])
def test_code_addresses_its_constants_wherever_they_are_loaded(bits):
    """With 32 bits, LLVM would end the process if code and constants were more than 2 GB apart."""

    def write(code, t):
        for i in code.range(0, t.n, code.lanes):
            t.out.store(i, code.exp2(t.x.load(i)))

    image = compile_kernel(Kernel("map", write, MapArguments), bits)
    (table,), (size, number) = struct.unpack_from("<Q", image, 0x28), struct.unpack_from("<HH", image, 0x3A)
    kinds = set()
    for at in range(table, table + size * number, size):
        _, kind, _, _, begin, length, _, info, _, entry = struct.unpack_from("<IIQQQQIIQQ", image, at)
        (flags,) = struct.unpack_from("<Q", image, table + size * info + 8)
        if kind == 4 and flags & 4:  # relocations of a section with code
            kinds |= {struct.unpack_from("<I", image, i + 8)[0] for i in range(begin, begin + length, entry)}
    assert kinds == {1}  # R_X86_64_64
