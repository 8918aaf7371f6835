"""A panel: rows brought into registers, and their distances to all centers.

A panel is three registers of rows; a tile is many panels. ``t`` holds a kernel's arrays and numbers by name, those of
`kernels.ARGUMENTS`, and for the panel at hand ``t.row``, the number of its first row, ``t.place``, where it is in its
tile, and ``t.m``, how many rows it has. Arrays of clusters, or features, by rows have a panel's width a line. A
distance holds what the log-prior adds, and may lack a part that is the same for all clusters of a row: the row's
``offset``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .codegen import Array, Code, Value, Variable

PANEL = 3  # with four centers it makes twelve sums: they keep two FMA units of latency four busy, and fit 16 registers
FEW = 8  # up to so many features distances are taken by differences, and beyond by matrix products
FAR = {32: 1e30, 64: 1e300}  # a distance beyond which arithmetic fails


def vectors(code: Code, array: Array, at: Any) -> list[Value]:
    """Load the registers of a panel."""
    return [array.load(at + v) for v in places(code)]


def places(code: Code) -> range:
    """Give where the registers of a panel begin."""
    return range(0, PANEL * code.lanes, code.lanes)


def features(code: Code, t: Any) -> Iterable[Any]:
    """Loop over the features: each of a few has instructions of its own."""
    return range(t.d) if isinstance(t.d, int) else code.range(0, t.d)


def variables(code: Code, value: Any = 0.0, number: int = PANEL) -> list[Variable]:
    """Make variables that hold registers, full of one value at first."""
    return [code.variable(code.full(value)) for _ in range(number)]


def add_to(code: Code, array: Array, at: Any, pairs: list[tuple[Any, Any]]) -> None:
    """Add products, or single terms, to a register in memory."""
    total = array.load(at)
    for x, y in pairs:
        total = total + x if y is None else code.fma(x, y, total)
    array.store(at, total)


def flush(code: Code, lanes: Array, totals: Array, number: Any) -> None:
    """Add registers' lanes up into float64 totals, and clear them."""
    for i in code.range(0, number):
        totals[i] = totals[i] + code.total(lanes.load(i * code.lanes))
        lanes.store(i * code.lanes, code.full(0.0))


def note_far(code: Code, t: Any, distance: Value) -> None:
    """Note a distance that arithmetic can't hold."""
    with code.when(code.mask(distance < FAR[code.bits]) < 2**code.lanes - 1):
        t.far[0] = code.whole(1)


# -- reading rows


def fill(code: Code, t: Any) -> None:
    """Read the panel's rows into the frame, as they are and stood up as columns; missing ones become 0."""
    panel = PANEL * code.lanes
    for p in code.range(0, t.m):
        _enter(code, t, t.row + p, p * t.padded)
        t.scales[t.place + p] = t.scale
        with code.when(t.unit > 0):
            _normalize(code, t, p)
    for i in code.range(t.m * t.padded, t.padded * panel, code.lanes):
        t.z.store(i, code.full(0.0))
    for v in places(code):
        for j in code.range(0, t.padded, code.lanes):
            square = [t.z.load((v + lane) * t.padded + j) for lane in range(code.lanes)]
            for feature, column in enumerate(code.transpose(square)):
                t.columns.store((j + feature) * panel + v, column)
    _fill_weights(code, t)


def _enter(code: Code, t: Any, row: Value, to: Value) -> None:
    """Bring a row into the frame: (x - high - low) * scale, where high + low has more digits than x."""
    x, whole = row * t.d, t.d - t.d % code.lanes
    for j in code.range(0, whole, code.lanes):
        t.z.store(to + j, (t.x.load(x + j) - t.high.load(j) - t.low.load(j)) * t.scale)
    for j in code.range(whole, t.d):
        t.z[to + j] = (t.x[x + j] - t.high[j] - t.low[j]) * t.scale


def _normalize(code: Code, t: Any, p: Value) -> None:
    """Bring row p of the panel to length 1."""
    (square,) = variables(code, number=1)
    for j in code.range(0, t.padded, code.lanes):
        x = t.z.load(p * t.padded + j)
        square.set(code.fma(x, x, square))
    inverse = _inverse_length(code, code.rounded(code.total(square)))
    t.scales[t.place + p] = t.scale * inverse
    for j in code.range(0, t.padded, code.lanes):
        t.z.store(p * t.padded + j, t.z.load(p * t.padded + j) * inverse)


def _inverse_length(code: Code, square: Value) -> Value:
    """1 / √square; NaN, which `note_far` finds, where the square has over- or underflowed."""
    holds = (square < FAR[code.bits]) & (square > 1 / FAR[code.bits])
    return code.select(holds, 1.0 / code.sqrt(square), float("nan"))


def fill_few(code: Code, t: Any) -> None:
    """Read the panel's rows into the frame as columns, where features are too few to fill registers."""
    panel = PANEL * code.lanes
    with code.either(t.m.same(panel)) as (full, part):
        with full:
            for v in places(code):
                for j, x in enumerate(code.strided(t.x, (t.row + v) * t.d, t.d)):
                    t.columns.store(j * panel + v, (x - t.high[j] - t.low[j]) * t.scale)
        with part:
            for i in code.range(0, t.d * panel, code.lanes):
                t.columns.store(i, code.full(1.0))  # for missing rows, which count for nothing but must not fail
            for p in code.range(0, t.m):
                for j in features(code, t):
                    t.columns[j * panel + p] = (t.x[(t.row + p) * t.d + j] - t.high[j] - t.low[j]) * t.scale
    with code.when(t.unit > 0):
        for v in places(code):
            (square,) = variables(code, number=1)
            for j in features(code, t):
                square.set(code.fma(t.columns.load(j * panel + v), t.columns.load(j * panel + v), square))
            inverse = _inverse_length(code, square)
            for j in features(code, t):
                t.columns.store(j * panel + v, t.columns.load(j * panel + v) * inverse)
    _fill_weights(code, t)


def _fill_weights(code: Code, t: Any) -> None:
    """Weights of the panel's rows, 0 for missing ones."""
    with code.either((t.weighted < 1) & t.m.same(PANEL * code.lanes)) as (plain, other):
        with plain:
            for v in places(code):
                t.w.store(t.place + v, code.full(1.0))
        with other:
            for v in places(code):
                t.w.store(t.place + v, code.full(0.0))
            for p in code.range(0, t.m):
                t.w[t.place + p] = 1.0
            with code.when(t.weighted > 0):
                for p in code.range(0, t.m):
                    t.w[t.place + p] = t.weights[t.row + p]


# -- distances


def subtract(code: Code, t: Any) -> None:
    """Distances by differences, exact, and the least of each row: cheap where features are few."""
    leasts, pairs = variables(code, FAR[code.bits]), t.k // 2 * 2
    for q in code.range(0, pairs, 2):
        _subtract(code, t, [q, q + 1], leasts)
    for q in code.range(pairs, t.k):
        _subtract(code, t, [q], leasts)
    for v, least in zip(places(code), leasts, strict=True):
        t.least.store(v, least)
        t.offset.store(v, code.full(0.0))
        t.limit.store(v, least)


def _subtract(code: Code, t: Any, clusters: list[Value], leasts: list[Variable]) -> None:
    """Take the distances to some centers at a time, so that enough sums are under way."""
    panel, sums = PANEL * code.lanes, [variables(code, t.bias[q]) for q in clusters]
    for j in features(code, t):
        column = vectors(code, t.columns, j * panel)
        for q, totals in zip(clusters, sums, strict=True):
            center = code.full(t.centers[q * t.padded + j])
            for x, total in zip(column, totals, strict=True):
                total.set(code.fma(x - center, x - center, total))
    for q, totals in zip(clusters, sums, strict=True):
        for v, total, least in zip(places(code), totals, leasts, strict=True):
            t.dist.store(q * panel + v, total)
            least.set(code.minimum(total, least))


def multiply(code: Code, t: Any) -> None:
    """Distances by a matrix product, less the rows' squares, their offsets; the least of each row; and its limit.

    Rounding moves a distance by no more than about (d + 4) u (‖c‖ + ‖z‖)², so what may be nearest lies below the limit:
    the least and twice that.
    """
    panel, leasts = PANEL * code.lanes, variables(code, FAR[code.bits])
    for q in code.range(0, t.k, 4):
        block = product(
            code, t.padded, [code.full(t.squares[q + i]) for i in range(4)],
            lambda i, j, q=q: t.blocks[q * t.padded + j * 4 + i],
            lambda v, j: t.columns.load(j * panel + v * code.lanes),
        )  # fmt: skip
        for i, line in enumerate(block):
            for v, total, least in zip(places(code), line, leasts, strict=True):
                t.dist.store((q + i) * panel + v, total)
                least.set(code.minimum(total, least))
    squares = variables(code)
    for j in code.range(0, t.padded):
        for x, square in zip(vectors(code, t.columns, j * panel), squares, strict=True):
            square.set(code.fma(x, x, square))
    for v, least, square in zip(places(code), leasts, squares, strict=True):
        t.least.store(v, least)
        t.offset.store(v, square)
        t.limit.store(v, code.fma(_reach_of(code, t, square), 2.0 * t.rounding, least))


def _reach_of(code: Code, t: Any, square: Value) -> Value:
    """(‖c‖ + ‖z‖)², for the largest center and rows of given squares."""
    size: Value = code.sqrt(square) + t.largest
    return size * size


def product(
    code: Code,
    depth: Value,
    starts: list[Value],
    factor: Callable[..., Value],
    vector: Callable[..., Value],
    width: int = PANEL,
) -> list[list[Variable]]:
    """A block of a matrix product, start_i + Σ_j factor(i, j) vector(v, j), whose sums all stay in registers."""
    sums = [[code.variable(start) for _ in range(width)] for start in starts]
    for j in code.range(0, depth):
        loaded = [vector(v, j) for v in range(width)]
        for i, line in enumerate(sums):
            number = code.full(factor(i, j))
            for x, total in zip(loaded, line, strict=True):
                total.set(code.fma(number, x, total))
    return sums


def is_precise(code: Code, t: Any) -> Value:
    """Whether products are good enough to take memberships from, as `arguments.PRECISE` has it."""
    rough = code.variable(code.whole(0))
    for square in vectors(code, t.offset, 0):
        rough.set(rough + code.mask(_reach_of(code, t, square) * t.roughness > 1.0))
    return rough.same(0)
