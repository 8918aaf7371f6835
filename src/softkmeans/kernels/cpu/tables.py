"""The table of the centers that kernels for CSR rows read, and the sums that they write: both feature by feature.

Both are transposed with respect to centers and weighted sums. Kernels do so in a fraction of the time that NumPy takes,
and compute in the same pass what else needs all features.
"""

from __future__ import annotations

__all__ = ["read_sums", "write_table"]

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import compiler
from ..compiler import ALIGNMENT, FLOAT, Arguments, Call, Code, Kernel, Layout, Value, load_kernel

Array = NDArray[Any]

BITS = 64  # of the kernels' floats


class TableNumbers(NamedTuple):
    """The numbers of a call; `SizeArguments` and `SumArguments` describe them."""

    d: int
    k: int
    padded_k: int
    factor: float = 1.0


Number = compiler.Number[TableNumbers]
Setting = compiler.Setting[TableNumbers]
Input = compiler.Input[TableNumbers]
Output = compiler.Output[TableNumbers]


class SizeArguments(Arguments):
    """The sizes of a table or of sums."""

    d = Number(lambda p: p.d, "features")
    k = Number(lambda p: p.k, "clusters")
    padded_k = Number(lambda p: p.padded_k, "columns, more than clusters")


class TableArguments(SizeArguments):
    """The arguments of the kernel that writes a table."""

    centers = Input(FLOAT, lambda p: (p.k, p.d), "the centers c, shifted and scaled")
    origin = Input(FLOAT, lambda p: (p.d,), "the origin o, shifted and scaled likewise")
    table = Output(FLOAT, lambda p: (p.d, p.padded_k), "-2 c and 2 o, feature by feature; 0 in the other columns")
    squares = Output(FLOAT, lambda p: (p.padded_k,), "‖c‖²; of no meaning for the columns that are no centers")
    products = Output(FLOAT, lambda p: (p.padded_k,), "o c; likewise")


class SumArguments(SizeArguments):
    """The arguments of the kernel that reads sums."""

    factor = Setting(lambda p: p.factor, "by which the sums are multiplied")
    sums = Input(FLOAT, lambda p: (p.d, p.padded_k), "sums, feature by feature")
    weights = Input(FLOAT, lambda p: (p.k,), "the weight of each cluster")
    origin = Input(FLOAT, lambda p: (p.d,), "the origin o")
    out = Output(FLOAT, lambda p: (p.k, p.d), "the sums times the factor, plus the weight times o, cluster by cluster")


def _write_table(code: Code, t: TableArguments) -> None:
    """Write the table: squares of full registers are transposed, and the last features are written one by one."""
    full_d = t.d - t.d % code.lanes
    for q in code.range(0, t.padded_k, code.lanes):
        columns = [_column(code, t, q + i) for i in range(code.lanes)]
        square, product = (code.variable(code.full(0.0)) for _ in range(2))
        for j in code.range(0, full_d, code.lanes):
            origin = t.origin.load(j)
            lines = [
                code.fma(t.centers.load(row * t.d + j), factor, origin * of_origin)
                for row, factor, of_origin in columns
            ]
            for i, line in enumerate(code.transpose(lines)):
                square.set(code.fma(line, line, square))
                product.set(code.fma(line, code.full(t.origin[j + i]), product))
                t.table.store((j + i) * t.padded_k + q, line)
        t.squares.store(q, square)
        t.products.store(q, product)
    for q in code.range(0, t.padded_k):
        row, factor, of_origin = _column(code, t, q)
        square, product = code.variable(t.squares[q]), code.variable(t.products[q])
        for j in code.range(full_d, t.d):
            x = code.fma(t.centers[row * t.d + j], factor, t.origin[j] * of_origin)
            square.set(code.fma(x, x, square))
            product.set(code.fma(x, t.origin[j], product))
            t.table[j * t.padded_k + q] = x
        t.squares[q], t.products[q] = square * 0.25, product * -0.5


def _column(code: Code, t: TableArguments, q: Value) -> tuple[Value, Value, Value]:
    """Return the center of a column of the table, and the factors of the center and of the origin."""
    is_center = q < t.k
    of_origin = code.select(q.equals(t.k), code.number(2.0), 0.0)
    return code.select(is_center, q, 0), code.select(is_center, code.number(-2.0), 0.0), of_origin


def _read_sums(code: Code, t: SumArguments) -> None:
    """Write the sums cluster by cluster, likewise."""
    full_d = t.d - t.d % code.lanes
    for q in code.range(0, t.k, code.lanes):
        for j in code.range(0, full_d, code.lanes):
            lines, origin = [t.sums.load((j + i) * t.padded_k + q) for i in range(code.lanes)], t.origin.load(j)
            for i, line in enumerate(code.transpose(lines)):
                with code.if_then(q + i < t.k):
                    t.out.store((q + i) * t.d + j, code.fma(line, t.factor, origin * t.weights[q + i]))
    for q in code.range(0, t.k):
        for j in code.range(full_d, t.d):
            t.out[q * t.d + j] = code.fma(t.sums[j * t.padded_k + q], t.factor, t.origin[j] * t.weights[q])


_WRITE_TABLE = Kernel("write_table", _write_table, TableArguments)
_READ_SUMS = Kernel("read_sums", _read_sums, SumArguments)


def write_table(centers: Array, origin: Array, padded_k: int) -> tuple[Array, Array, Array]:
    """Return the table (d, padded_k) of centers c (k, d) and the origin o (d,), and ‖c‖² and o c of each center."""
    k, d = centers.shape
    table, squares, products = _aligned(d * padded_k).reshape(d, padded_k), np.empty(padded_k), np.empty(padded_k)
    arrays = {"centers": centers, "origin": origin, "table": table, "squares": squares, "products": products}
    _run(_WRITE_TABLE, TableNumbers(d, k, padded_k), arrays)
    return table, squares[:k], products[:k]


def read_sums(sums: Array, factor: float, weights: Array, origin: Array) -> Array:
    """Return sums (d, padded_k) by feature, times a factor, as sums (k, d) by cluster around another origin (d,).

    For rows x + o in place of x, they grow by o times the weight (k,) of the cluster.
    """
    (d, padded_k), k = sums.shape, len(weights)
    arrays = {"sums": sums, "weights": weights, "origin": origin, "out": np.empty((k, d))}
    _run(_READ_SUMS, TableNumbers(d, k, padded_k, factor), arrays)
    return arrays["out"]


def _run(kernel: Kernel[Any], numbers: TableNumbers, arrays: dict[str, Array]) -> None:
    """Run a kernel that needs no memory."""
    layout = _layout(kernel)
    Call(load_kernel(kernel, BITS, __package__), numbers, layout, **arrays)(layout.allocate(), numbers)


@cache
def _layout(kernel: Kernel[Any]) -> Layout:
    """Return the layout of the memory, which is empty for all numbers."""
    return Layout(kernel.arguments, TableNumbers(0, 0, 0), BITS)


def _aligned(size: int) -> Array:
    """Return memory (size,) of float64 that begins at a cache line, so that no register lies in two of them."""
    memory = np.empty(size + ALIGNMENT // 8)
    begin = -memory.ctypes.data % ALIGNMENT // 8
    return memory[begin : begin + size]
