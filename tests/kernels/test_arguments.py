"""Declared arguments: memory layout, calls with NumPy arrays, and strips of features."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from softkmeans.kernels import compiler
from softkmeans.kernels.compiler import FLOAT, FLOAT64, INT64, Arguments, Array, Call, Kernel, Value
from softkmeans.kernels.compiler.arguments import Argument, ArrayArgument, Number, ScalarArgument, Scratch, Setting, Sum
from softkmeans.kernels.compiler.layout import ALIGNMENT, Layout
from softkmeans.kernels.cpu import arguments, strips
from softkmeans.kernels.cpu.kernels import KERNELS

FLOATS = {32: np.float32, 64: np.float64}


@dataclass(frozen=True)
class Numbers:
    m: int
    d: int
    factor: float = 2.0
    offset: float = 0.5


class ScaledSumArguments(Arguments):
    m = compiler.Number(lambda p: p.m, "rows")
    x = compiler.Input(FLOAT, lambda p: (p.m, p.d), "the rows")
    factor = compiler.Setting(lambda p: p.factor, "factor of the rows")
    total = compiler.Sum(lambda p: (p.d,), "their sum")
    d = compiler.Number(lambda p: p.d, "features")
    count = compiler.Sum(lambda p: (1,), "their number")
    row = compiler.Scratch(FLOAT, lambda p: (p.d,), "a row times the factor")
    offset = compiler.Setting(lambda p: p.offset, "added to the rows")
    seen = compiler.Scratch(INT64, lambda p: (1,), "the number of rows")
    y = compiler.Output(FLOAT, lambda p: (p.m, p.d), "the rows times the factor, plus the offset")


def write_scaled_sum(code, t):
    for i in code.range(0, t.m):
        for j in code.range(0, t.d):
            t.row[j] = t.x[i * t.d + j] * t.factor + t.offset
            t.y[i * t.d + j] = t.row[j]
            t.total[j] = t.total[j] + code.to_float64(t.row[j])
        t.seen[0] = t.seen[0] + 1
    t.count[0] = t.count[0] + 1.0


SCALED_SUM = Kernel("scaled_sum", write_scaled_sum, ScaledSumArguments)


def compile_now(kernel, bits):
    return compiler.link(compiler.compile_kernel(kernel, bits), kernel, bits)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_call_with_all_kinds_of_arguments(bits):
    numbers = Numbers(4, 5)
    x, y = np.arange(20, dtype=FLOATS[bits]).reshape(4, 5), np.empty((4, 5), FLOATS[bits])
    kept = compiler.run_once(SCALED_SUM, bits, numbers, x=x, y=y)
    np.testing.assert_array_equal(y, 2 * x + 0.5)
    np.testing.assert_array_equal(kept["total"], y.sum(0))
    assert (kept["count"].tolist(), kept["seen"].tolist()) == ([1.0], [4])
    np.testing.assert_array_equal(kept["row"], y[-1])
    assert [array.dtype for array in kept.values()] == [FLOATS[bits], np.int64, np.float64, np.float64]


def test_several_calls():
    """Memory is set to 0 first, parts of larger arrays are given, and sums can be added at once."""
    x, y = np.arange(30.0).reshape(6, 5), np.zeros((6, 5))
    call = Call(compile_now(SCALED_SUM, 64), Numbers(6, 5))
    memories = [call.layout.allocate() for _ in range(2)]
    for memory, (start, stop) in zip(memories, [(0, 4), (4, 6)], strict=True):
        for _ in range(2):
            call(memory, Numbers(stop - start, 5), x=x[start:stop], y=y[start:stop])
    np.testing.assert_array_equal(y, 2 * x + 0.5)
    sums = call.layout.sums(memories[0])
    sums += call.layout.sums(memories[1])
    np.testing.assert_array_equal(call.layout.view(memories[0], ScaledSumArguments.total), y.sum(0))
    assert call.layout.view(memories[0], ScaledSumArguments.count).tolist() == [2.0]


X, Y = np.zeros((4, 5)), np.zeros((4, 5))
READ_ONLY = np.zeros((4, 5))
READ_ONLY.flags.writeable = False
CALLS = {
    "missing": ({"x": X}, r"scaled_sum needs y \(the rows times the factor, plus the offset\)"),
    "unknown": ({"x": X, "y": Y, "z": X}, "no input or output z, expected x, y"),
    "scratch": ({"x": X, "y": Y, "row": X[0]}, "no input or output row, expected x, y"),
    "type": ({"x": X.astype(np.float32), "y": Y}, r"got float32 \(4, 5\) as x .*, expected float64 \(4, 5\)"),
    "byte order": ({"x": X.astype(">f8"), "y": Y}, "got >f8 .*, expected float64"),
    "shape": ({"x": X[:3], "y": Y}, r"got float64 \(3, 5\) as x \(the rows\), expected float64 \(4, 5\)"),
    "strides": ({"x": np.zeros((4, 10))[:, ::2], "y": Y}, r"got strides \(80, 16\) as x"),
    "alignment": (
        {"x": np.zeros(161, np.uint8)[1:].view(np.float64).reshape(4, 5), "y": Y}, "expected aligned numbers",
    ),
    "list": ({"x": X.tolist(), "y": Y}, r"type list as x \(the rows\), expected a NumPy array, float64 \(4, 5\)"),
    "tensor": ({"x": torch.tensor(X), "y": Y}, r"type Tensor as x .*: use np.array\(..., np.float64\)"),
    "read-only output": ({"x": READ_ONLY, "y": READ_ONLY}, "got a read-only array as y"),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
def test_arrays_are_checked(case):
    arrays, message = CALLS[case]
    with pytest.raises(TypeError, match=message):
        compiler.run_once(SCALED_SUM, 64, Numbers(4, 5), **arrays)


def test_a_number_that_the_caller_lacks_is_named():
    numbers = type("Incomplete", (), {"m": 4, "d": 5})()
    with pytest.raises(AttributeError, match="factor"):
        compiler.run_once(SCALED_SUM, 64, numbers, x=X, y=Y)


@pytest.mark.parametrize("name", ["code", "settings", "declared", "arrays"])
def test_names_that_arguments_can_not_have(name):
    with pytest.raises(TypeError, match=f"Bad.{name}: an argument can't have this name"):
        type("Bad", (Arguments,), {name: compiler.Number(lambda p: p.m, "rows")})


def test_subclasses_have_the_arguments_of_their_bases():
    class More(ScaledSumArguments):
        last = compiler.Number(lambda p: p.m, "another one")

    names = [argument.name for argument in More.declared(Argument)]
    assert names == [*(argument.name for argument in ScaledSumArguments.declared(Argument)), "last"]
    assert isinstance(More.last, Number)
    assert isinstance(More.total, Sum)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (2, 64)])
def test_layout(bits, size):
    """Arrays do not overlap, begin at cache lines, and have room for whole registers; sums come last."""
    layout = Layout(ScaledSumArguments, Numbers(*size), bits)
    memory = layout.allocate()
    assert memory.ctypes.data % ALIGNMENT == 0
    in_memory = (*ScaledSumArguments.declared(Scratch), *ScaledSumArguments.declared(Sum))
    assert layout.offsets.keys() == {argument.name for argument in in_memory}
    end = 0
    for argument in sorted(in_memory, key=lambda argument: layout.offsets[argument.name]):
        view = layout.view(memory, argument)
        begin = view.ctypes.data - memory.ctypes.data
        assert begin % ALIGNMENT == 0
        assert begin >= end
        assert (begin >= layout.sums_offset) == isinstance(argument, Sum)
        n_registers = -(-view.size // compiler.lanes(bits))
        end = begin + n_registers * compiler.lanes(bits) * view.itemsize
    assert end <= len(memory) == layout.n_bytes


# The arguments of the kernels of the library


NUMBERS = arguments.PassNumbers(
    bits=64, lanes=compiler.lanes(64), chunk_rows=30, n=90, d=9, k=5, tile_rows=24, has_weights=True, normalize=False,
    with_resp=True, inverse_scale=1.0, beta=1.0, product_error=0.0, max_center_norm=1.0, error_factor=0.0,
    max_exponent=900.0, skipped_fraction=0.0,
)  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_every_argument_is_described_and_has_a_shape_or_a_value(name):
    for argument in KERNELS[name].arguments.declared(Argument):
        assert argument.description
        if isinstance(argument, ArrayArgument):
            for d in (3, 9):
                assert all(isinstance(length, int) for length in argument.shape(NUMBERS._replace(d=d)))
        else:
            assert isinstance(argument.value(NUMBERS), int if isinstance(argument, Number) else float)


def test_every_number_of_a_pass_is_used():
    declared = {a.name for kernel in KERNELS.values() for a in kernel.arguments.declared(Argument)}
    assert set(arguments.PassNumbers._fields) - declared == {"bits", "lanes", "is_csr", "n_doubles"}


def used_arguments(kernel, monkeypatch):
    """Return the names of the arguments that a kernel uses while it is written."""
    used = set()
    with monkeypatch.context() as patch:
        for kind in (ArrayArgument, ScalarArgument):

            def record(argument, t, owner, plain=kind.__get__):
                if t is not None:
                    used.add(argument.name)
                return plain(argument, t, owner)

            patch.setattr(kind, "__get__", record)
        compiler.write_llvm_ir(kernel, 32)
    return used


@pytest.mark.slow
def test_kernels_use_the_arguments_that_they_declare(monkeypatch):
    """Some variant of a kernel uses each argument of its own class; some kernel uses each of the classes above."""
    used = {}
    for kernel in (kernel for name, kernel in KERNELS.items() if name.endswith(("_3", "_many"))):
        used.setdefault(kernel.arguments, set()).update(used_arguments(kernel, monkeypatch))
    for declaring in {owner for cls in used for owner in cls.__mro__}:
        own = {name for name, value in vars(declaring).items() if isinstance(value, Argument)}
        users = [names for cls, names in used.items() if issubclass(cls, declaring)]
        assert own <= set().union(*users), declaring


# Strips


@pytest.mark.parametrize("n_registers", range(1, 40))
def test_strips_cover_all_registers_once(n_registers):
    counts = strips.strip_counts(n_registers)
    found = list(strips.split_features(counts, lanes=4))
    assert [begin for begin, _ in found] == np.cumsum([0, *(4 * width for _, width in found)])[:-1].tolist()
    assert sum(width for _, width in found) == n_registers
    assert ([width for _, width in found].count(1) > 0) == (n_registers == 1)


@pytest.mark.parametrize("n_registers", range(1, 40))
def test_strips_of_a_table_are_few_and_cover_all_registers_once(n_registers):
    found = list(strips.split_features(strips.table_strips(n_registers), 4, range, strips.TABLE_WIDTHS))
    assert [begin for begin, _ in found] == np.cumsum([0, *(4 * width for _, width in found)])[:-1].tolist()
    assert sum(width for _, width in found) == n_registers
    assert len(found) <= -(-n_registers // 6) + 1


@pytest.mark.parametrize("n_registers", [1, 2, 3, 4, 5, 7, 12])
def test_joined_strips_are_the_array(n_registers):
    lanes, padded_k = 4, 8
    whole = np.arange(padded_k * n_registers * lanes, dtype=float).reshape(padded_k, -1)
    pieces = [
        whole[:, begin : begin + width * lanes].reshape(-1)
        for begin, width in strips.split_features(strips.strip_counts(n_registers), lanes)
    ]
    np.testing.assert_array_equal(strips.join_strips(np.concatenate(pieces).reshape(whole.shape), lanes), whole)


def test_arrays_and_numbers_have_types_in_kernels():
    found = []
    compiler.write_llvm_ir(
        Kernel("types", lambda code, t: found.extend([t.x, t.m, t.factor]), ScaledSumArguments), bits=32
    )
    assert [type(value) for value in found] == [Array, Value, Value]
    assert isinstance(ScaledSumArguments.factor, Setting)
    assert ScaledSumArguments.total.element is FLOAT64
