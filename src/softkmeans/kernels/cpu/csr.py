"""Rows of a CSR matrix, of which a pass reads the stored values only.

A row z = x - s of the centered data, with the shift s, has no zeros. So z is never formed: with products over the
stored values of x,

    ‖z - c‖² = ‖z‖² + (‖c‖² + 2 s c - 2 x c),    ‖z‖² = ‖x‖² - 2 x s + ‖s‖²,

where ‖z‖² is the row's offset, and the shift is a further column of the table of the centers. Weighted sums are those
of x; the caller subtracts W s. Distances that a product computes too imprecisely are computed again, from all features.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..compiler import ALIGNMENT, FLOAT, FLOAT32, INT32, INT64, Array, Code, Value
from .arguments import (
    PANEL_REGISTERS,
    AccumulateArguments,
    Input,
    Number,
    PassArguments,
    PassNumbers,
    Scratch,
    Setting,
    Sum,
)
from .panels import inverse_length, read_weights, register_starts, variables
from .strips import TABLE_WIDTHS, split_features, table_strips

PREFETCH_DISTANCE = 16  # stored values from the one that is used to the one whose lines are prefetched
LARGE_TABLE = 2**17  # numbers of a table that, with the sums, does not fit into a cache of 2 MB


def _n_entries(p: PassNumbers) -> int:
    """Return the number of stored values of a chunk."""
    return p.n_doubles + p.n_singles


class CsrArguments(PassArguments):
    """What kernels for the rows of a CSR matrix work with. Clusters are padded, so that there is room for the shift."""

    is_csr = True

    padded_k = Number(lambda p: p.padded_k, "columns of the table of the centers")
    table_sixes = Number(lambda p: table_strips(p.padded_k // p.lanes)[0], "strips of six registers of the table")
    table_threes = Number(lambda p: table_strips(p.padded_k // p.lanes)[1], "strips of three registers")
    table_twos = Number(lambda p: table_strips(p.padded_k // p.lanes)[2], "strips of two registers")
    table_ones = Number(lambda p: table_strips(p.padded_k // p.lanes)[3], "strips of one register")

    small_ratio = Setting(lambda p: p.small_ratio, "squared distances below this times (‖c‖ + ‖z‖)² are imprecise")
    shift_square = Setting(lambda p: p.shift_square, "‖s‖², the squared norm of the shift, scaled")

    n_singles = Number(lambda p: p.n_singles, "stored values with 32 bits; either none or all of them")
    n_prefetches = Number(
        lambda p: max(0, _n_entries(p) - PREFETCH_DISTANCE) if p.d * p.padded_k > LARGE_TABLE else 0,
        "stored values at which lines of the table or of the sums are prefetched",
    )
    x = Input(FLOAT, lambda p: (p.n_doubles,), "the stored values, row by row, if they have 64 bits")
    x_single = Input(FLOAT32, lambda p: (p.n_singles,), "the same, if they have 32 bits")
    indices = Input(INT32, lambda p: (_n_entries(p),), "their features")
    row_starts = Input(INT64, lambda p: (p.chunk_rows + 1,), "where the values of each row begin")
    shift_high = Input(FLOAT, lambda p: (p.d,), "subtracted from rows, before they are scaled")
    shift_low = Input(FLOAT, lambda p: (0,), "not needed")
    centers = Input(FLOAT, lambda p: (p.k, p.d), "the centers c, shifted and scaled")
    center_groups = Input(FLOAT, lambda p: (p.d, p.padded_k), "-2 c and -2 s, feature by feature")
    center_terms = Input(FLOAT, lambda p: (p.padded_k,), "bias + ‖c‖² + 2 s c")

    z = Scratch(FLOAT, lambda p: (p.padded_d,), "one row with all its features; 0 but for difference_squared")
    columns = Scratch(FLOAT, lambda p: (0,), "not needed")
    products = Scratch(FLOAT, lambda p: (p.panel_rows, p.padded_k), "products of the panel's rows and the table")


class CsrAccumulateArguments(CsrArguments, AccumulateArguments):
    """The same for kernels that compute sums."""

    row_resp = Scratch(FLOAT, lambda p: (p.tile_rows, p.padded_k), "tile_resp, transposed")
    strip = Scratch(FLOAT, lambda p: (0,), "not needed")

    weighted_sum_total = Sum(lambda p: (p.d, p.padded_k), "Σ w r x, feature by feature")
    weighted_sum_strips = Sum(lambda p: (0,), "not needed")


def _entries(code: Code, t: CsrArguments, p: Value) -> Iterator[Value]:
    """Loop over the positions of the stored values of row p of the panel; missing rows have none."""
    exists = p < t.panel_rows
    row = t.first_row + code.select(exists, p, 0)
    return code.range(t.row_starts[row], t.row_starts[row + code.select(exists, code.integer(1), 0)])


def _value(code: Code, t: CsrArguments, i: Value) -> Value:
    """Return the i-th of the stored values. The processor predicts the branch: it is the same for all values."""
    x = code.variable(0.0)
    with code.if_else(t.n_singles > 0) as (single, double):
        with single:
            x.set(code.to_float64(t.x_single[i]))
        with double:
            x.set(t.x[i])
    return x


def _strips(code: Code, t: CsrArguments) -> Iterator[tuple[Value, int]]:
    """Loop over the strips of the table's columns: yield each one's first column and number of registers."""
    counts = t.table_sixes, t.table_threes, t.table_twos, t.table_ones
    return split_features(counts, code.lanes, code.range, TABLE_WIDTHS)


def _with_and_without_prefetch(code: Code, t: CsrArguments) -> Iterator[bool]:
    """Write a loop twice: yield whether it prefetches. One that does takes longer if the table is in a cache."""
    with code.if_else(t.n_prefetches > 0) as (large_table, small_table):
        with large_table:
            yield True
        with small_table:
            yield False


def _prefetch(code: Code, t: CsrArguments, array: Array, i: Value, begin: Value, width: int) -> None:
    """Prefetch the part of the table or of the sums that a value after the i-th needs."""
    with code.if_then(i < t.n_prefetches):
        at = t.indices[i + PREFETCH_DISTANCE] * t.padded_k + begin
        for start in range(0, width * code.lanes, ALIGNMENT * 8 // code.bits):
            array.prefetch(at + start)


def read_products(code: Code, t: CsrArguments) -> None:
    """Write distances, less the rows' squared norms, to ``dist``, and these norms to ``offset``."""
    size = PANEL_REGISTERS * code.lanes
    for p in code.range(0, t.panel_rows):
        _read_row(code, t, p)
    for p in code.range(t.panel_rows, size):  # missing rows are rows of zeros, whose weight is 0
        t.offset[p] = 0.0
        for q in code.range(0, t.padded_k, code.lanes):
            t.products.store(p * t.padded_k + q, code.full(0.0))
    for q in code.range(0, t.padded_k, code.lanes):
        for v in register_starts(code):
            lines = [t.products.load((v + lane) * t.padded_k + q) for lane in range(code.lanes)]
            for i, line in enumerate(code.transpose(lines)):
                t.dist.store((q + i) * size + v, line + t.center_terms[q + i])
    for v in register_starts(code):
        square = t.offset.load(v) + t.dist.load(t.k * size + v) + t.shift_square
        t.offset.store(v, code.select(square < 0.0, 0.0, square))  # NaN stays
    read_weights(code, t)


def _read_row(code: Code, t: CsrArguments, p: Value) -> None:
    """Compute the squared norm of row p of the panel, and its products with the columns of the table."""
    square, length_factor = code.variable(0.0), code.variable(1.0)
    for begin, width in _strips(code, t):
        sums = variables(code, number=width)
        square.set(code.number(0.0))
        for prefetches in _with_and_without_prefetch(code, t):
            for i in _entries(code, t, p):
                if prefetches:
                    _prefetch(code, t, t.center_groups, i, begin, width)
                x, at = _value(code, t, i) * t.inverse_scale, t.indices[i] * t.padded_k + begin
                square.set(code.fma(x, x, square))
                for v, total in enumerate(sums):
                    total.set(code.fma(code.full(x), t.center_groups.load(at + v * code.lanes), total))
        with code.if_then(t.normalize > 0):
            length_factor.set(inverse_length(code, square))
        for v, total in enumerate(sums):
            t.products.store(p * t.padded_k + begin + v * code.lanes, total * length_factor)
    t.offset[p] = square * length_factor * length_factor
    t.row_scales[t.panel_start + p] = t.inverse_scale * length_factor


def difference_squared(code: Code, t: CsrArguments, q: Value, p: Value) -> Value:
    """Return the squared distance of row p of the panel from center q, from differences of all features."""
    scale, full_registers = t.row_scales[t.panel_start + p], t.d - t.d % code.lanes
    for i in _entries(code, t, p):
        t.z[t.indices[i]] = _value(code, t, i)
    (total,), rest = variables(code, number=1), code.variable(0.0)
    for j in code.range(0, full_registers, code.lanes):
        difference = (t.z.load(j) - t.shift_high.load(j)) * scale - t.centers.load(q * t.d + j)
        total.set(code.fma(difference, difference, total))
    for j in code.range(full_registers, t.d):
        difference = (t.z[j] - t.shift_high[j]) * scale - t.centers[q * t.d + j]
        rest.set(code.fma(difference, difference, rest))
    for i in _entries(code, t, p):
        t.z[t.indices[i]] = 0.0
    return code.from_float64(code.sum_lanes(total)) + rest


def add_row(code: Code, t: CsrAccumulateArguments, q: Value, p: Value, r: Value) -> None:
    """Add row p of the panel, times r, to the weighted sum of cluster q."""
    sums, factor = t.weighted_sum_total, r * code.to_float64(t.row_scales[t.panel_start + p])
    for i in _entries(code, t, p):
        at = t.indices[i] * t.padded_k + q
        sums[at] = code.fma(_value(code, t, i), factor, sums[at])


def add_products(code: Code, t: CsrAccumulateArguments, first: Value, rows: Value) -> None:
    """Add Σ r x of a tile to the sums, in the features that occur."""
    for p in code.range(0, rows, code.lanes):
        for q in code.range(0, t.padded_k, code.lanes):
            square = [t.tile_resp.load((q + i) * t.resp_stride + p) for i in range(code.lanes)]
            for i, line in enumerate(code.transpose(square)):
                t.row_resp.store((p + i) * t.padded_k + q, line)
    sums = t.weighted_sum_total
    for begin, width in _strips(code, t):
        for p in code.range(0, rows):
            scale, at = t.row_scales[p], p * t.padded_k + begin
            resp = [code.to_float64(t.row_resp.load(at + v * code.lanes) * scale) for v in range(width)]
            for prefetches in _with_and_without_prefetch(code, t):
                for entry in code.range(t.row_starts[first + p], t.row_starts[first + p + 1]):
                    if prefetches:
                        _prefetch(code, t, sums, entry, begin, width)
                    x, to = code.full(_value(code, t, entry)), t.indices[entry] * t.padded_k + begin
                    for register, r in enumerate(resp):
                        total = sums.load(to + register * code.lanes)
                        sums.store(to + register * code.lanes, code.fma(x, r, total))
