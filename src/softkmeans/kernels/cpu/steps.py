"""The steps of a pass, written in `emit`. Most work on a panel, three registers of rows; some on a tile, many panels.

``t`` holds arrays and numbers by name, those of `passes.ARGUMENTS`, and for the panel at hand ``t.row``, the number of its
first row, ``t.place``, where it is in its tile, and ``t.m``, how many rows it has. Arrays of clusters or features by rows
have a panel's width a line. A distance may lack a part that is the same for all clusters of a row, the row's ``offset``,
and holds what the log-prior adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .emit import Array, Code, Value, Variable

PANEL = 3  # with four centres it makes twelve sums: they keep two FMA units of latency four busy, and fit 16 registers
FEW = 8  # up to so many features distances are taken by differences, and beyond by matrix products
FAR = {32: 1e30, 64: 1e300}  # a distance beyond which arithmetic fails


def _vectors(code: Code, array: Array, at: Any) -> list[Value]:
    return [array.load(at + v * code.lanes) for v in range(PANEL)]


def _places(code: Code) -> range:
    return range(0, PANEL * code.lanes, code.lanes)


def _variables(code: Code, value: Any = 0.0, number: int = PANEL) -> list[Variable]:
    return [code.variable(code.full(value)) for _ in range(number)]


# -- reading rows


def fill(code: Code, t: Any) -> None:
    """Read the panel's rows into the frame, as they are and stood up as columns; missing ones become 0."""
    panel = PANEL * code.lanes
    for p in code.range(0, t.m):
        _enter(code, t, t.row + p, p * t.padded)
        t.scales[t.place + p] = t.scale
        with code.when(t.unit > 0):
            _normalise(code, t, p)
    for i in code.range(t.m * t.padded, t.padded * panel, code.lanes):
        t.z.store(i, code.full(0.0))
    for p in _places(code):
        for j in code.range(0, t.padded, code.lanes):
            square = [t.z.load((i + p) * t.padded + j) for i in range(code.lanes)]
            for i, column in enumerate(code.transpose(square)):
                t.columns.store((j + i) * panel + p, column)
    _fill_weights(code, t)


def _enter(code: Code, t: Any, row: Value, to: Value) -> None:
    """Bring a row into the frame: (x - high - low) * scale, where high + low has more digits than x."""
    x, whole = row * t.d, t.d - t.d % code.lanes
    for j in code.range(0, whole, code.lanes):
        t.z.store(to + j, (t.x.load(x + j) - t.high.load(j) - t.low.load(j)) * t.scale)
    for j in code.range(whole, t.d):
        t.z[to + j] = (t.x[x + j] - t.high[j] - t.low[j]) * t.scale


def _normalise(code: Code, t: Any, p: Value) -> None:
    """Bring row p of the panel to length 1."""
    (square,) = _variables(code, number=1)
    for j in code.range(0, t.padded, code.lanes):
        x = t.z.load(p * t.padded + j)
        square.set(code.fma(x, x, square))
    inverse = 1.0 / code.sqrt(code.rounded(code.total(square)))
    t.scales[t.place + p] = t.scale * inverse
    for j in code.range(0, t.padded, code.lanes):
        t.z.store(p * t.padded + j, t.z.load(p * t.padded + j) * inverse)


def fill_few(code: Code, t: Any) -> None:
    """Read the panel's rows into the frame as columns, where features are too few to fill registers."""
    panel = PANEL * code.lanes
    with code.either(t.m.same(panel)) as (full, part):
        with full:
            for d in range(1, FEW + 1):
                with code.when(t.d.same(d)):
                    for v in _places(code):
                        for j, x in enumerate(code.strided(t.x, (t.row + v) * d, d)):
                            t.columns.store(j * panel + v, (x - t.high[j] - t.low[j]) * t.scale)
        with part:
            for i in code.range(0, t.d * panel, code.lanes):
                t.columns.store(i, code.full(1.0))  # for missing rows, which count for nothing but must not fail
            for p in code.range(0, t.m):
                for j in code.range(0, t.d):
                    t.columns[j * panel + p] = (t.x[(t.row + p) * t.d + j] - t.high[j] - t.low[j]) * t.scale
    with code.when(t.unit > 0):
        for v in _places(code):
            (square,) = _variables(code, number=1)
            for j in code.range(0, t.d):
                square.set(code.fma(t.columns.load(j * panel + v), t.columns.load(j * panel + v), square))
            inverse = 1.0 / code.sqrt(square)
            for j in code.range(0, t.d):
                t.columns.store(j * panel + v, t.columns.load(j * panel + v) * inverse)
    _fill_weights(code, t)


def _fill_weights(code: Code, t: Any) -> None:
    """Weights of the panel's rows, 0 for missing ones."""
    with code.either((t.weighted < 1) & t.m.same(PANEL * code.lanes)) as (plain, other):
        with plain:
            for v in _places(code):
                t.w.store(t.place + v, code.full(1.0))
        with other:
            for v in _places(code):
                t.w.store(t.place + v, code.full(0.0))
            for p in code.range(0, t.m):
                t.w[t.place + p] = 1.0
            with code.when(t.weighted > 0):
                for p in code.range(0, t.m):
                    t.w[t.place + p] = t.weights[t.row + p]


# -- distances


def subtract(code: Code, t: Any) -> None:
    """Distances by differences, exact, and the least of each row: cheap where features are few."""
    leasts, pairs = _variables(code, FAR[code.bits]), t.k // 2 * 2
    for q in code.range(0, pairs, 2):
        _subtract(code, t, [q, q + 1], leasts)
    for q in code.range(pairs, t.k):
        _subtract(code, t, [q], leasts)
    for v, least in zip(_places(code), leasts, strict=True):
        t.least.store(v, least)
        t.offset.store(v, code.full(0.0))
        t.limit.store(v, least)


def _subtract(code: Code, t: Any, clusters: list[Value], leasts: list[Variable]) -> None:
    """Take the distances to some centres at a time, so that enough sums are under way."""
    panel, sums = PANEL * code.lanes, [_variables(code, t.bias[q]) for q in clusters]
    for j in code.range(0, t.d):
        features = _vectors(code, t.columns, j * panel)
        for q, totals in zip(clusters, sums, strict=True):
            center = code.full(t.centers[q * t.padded + j])
            for x, total in zip(features, totals, strict=True):
                total.set(code.fma(x - center, x - center, total))
    for q, totals in zip(clusters, sums, strict=True):
        for v, total, least in zip(_places(code), totals, leasts, strict=True):
            t.dist.store(q * panel + v, total)
            least.set(code.minimum(total, least))


def multiply(code: Code, t: Any) -> None:
    """Distances by a matrix product, less the rows' squares, their offsets; the least of each row; and its limit.

    Rounding moves a distance by no more than about (d + 4) u (‖c‖ + ‖z‖)², so what may be nearest lies below the limit:
    the least and twice that.
    """
    panel, leasts = PANEL * code.lanes, _variables(code, FAR[code.bits])
    for q in code.range(0, t.k, 4):
        block = _product(
            code, t.padded, [code.full(t.squares[q + i]) for i in range(4)],
            lambda i, j, q=q: t.blocks[q * t.padded + j * 4 + i],
            lambda v, j: t.columns.load(j * panel + v * code.lanes),
        )  # fmt: skip
        for i, line in enumerate(block):
            for v, total, least in zip(_places(code), line, leasts, strict=True):
                t.dist.store((q + i) * panel + v, total)
                least.set(code.minimum(total, least))
    squares = _variables(code)
    for j in code.range(0, t.padded):
        for x, square in zip(_vectors(code, t.columns, j * panel), squares, strict=True):
            square.set(code.fma(x, x, square))
    for v, least, square in zip(_places(code), leasts, squares, strict=True):
        t.least.store(v, least)
        t.offset.store(v, square)
        t.limit.store(v, code.fma(_reach_of(code, t, square), 2.0 * t.rounding, least))


def _reach_of(code: Code, t: Any, square: Value) -> Value:
    """(‖c‖ + ‖z‖)², for the largest centre and rows of given squares."""
    size = code.sqrt(square) + t.largest
    return size * size


def _product(
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
    """Whether products are good enough to take memberships from, as `engine.PRECISE` has it."""
    rough = code.variable(code.int(0))
    for square in _vectors(code, t.offset, 0):
        rough.set(rough + code.mask(_reach_of(code, t, square) * t.roughness > 1.0))
    return rough.same(0)


def set_reach(code: Code, t: Any) -> None:
    """How much farther than the nearest a cluster may be from a row that counts for it.

    A membership is at most 2^-(beta (distance - least)). Those skipped of a cluster, in all rows of a chunk, add up to no
    more than `engine.SKIP` of the weight it has in the chunk already.
    """
    for q in code.range(0, t.k, code.lanes):
        weight = code.rounded(t.weight_total.load(q))
        exponent = code.minimum(-code.log2(weight * t.skip), code.full(t.flush))
        t.reach.store(q, code.minimum(exponent / t.beta, code.full(FAR[code.bits])))


# -- memberships of all clusters


def is_crowded(code: Code, t: Any, *, rows: bool) -> Value:
    """Whether so many clusters are within reach of the panel's rows that it pays to work on all.

    What else would cost is each row within reach (``rows``), or each register with one in it.
    """
    found, limits = code.variable(code.int(0)), _vectors(code, t.limit, 0)
    for q in code.range(0, t.k):
        for x, limit in zip(_vectors(code, t.dist, q * PANEL * code.lanes), limits, strict=True):
            mask = code.mask(x <= limit + t.reach[q])
            found.set(found + (code.count(mask) if rows else code.select(mask > 0, code.int(1), code.int(0))))
    return found > (t.k * (PANEL * code.lanes // 8) if rows else t.k * PANEL // 2)


def weigh_all(code: Code, t: Any) -> None:
    """Unnormalised memberships 2^(beta (least - distance)) of all clusters, and their sum."""
    panel = PANEL * code.lanes
    for v in code.range(0, panel, code.lanes):
        least, (total,) = t.least.load(v), _variables(code, number=1)
        for q in code.range(0, t.k):
            y = code.exp2((least - t.dist.load(q * panel + v)) * t.beta)
            t.y.store(q * panel + v, y)
            total.set(total + y)
        t.total.store(t.place + v, total)


def share_out(code: Code, t: Any) -> None:
    """Each row's factor w / total from memberships to shares."""
    for v in _places(code):
        t.factor.store(v, t.w.load(t.place + v) / t.total.load(t.place + v))
        t.depth.store(t.place + v, t.least.load(v) + t.offset.load(v))


def sum_up(code: Code, t: Any, rows: Value) -> None:
    """Add up a tile's Σ w log2 total, Σ w least distance and Σ w; note whether arithmetic held."""
    entropic, distant, number = _variables(code)
    for p in code.range(0, rows, code.lanes):
        w, least = t.w.load(p), t.depth.load(p)
        entropic.set(code.fma(w, code.log2(t.total.load(p)), entropic))
        distant.set(code.fma(w, least, distant))
        number.set(number + w)
        note_far(code, t, least)
    for i, total in enumerate((entropic, distant, number)):
        t.objective[i] = t.objective[i] + code.total(total)


def note_far(code: Code, t: Any, distance: Value) -> None:
    """Note a distance that arithmetic can't hold."""
    with code.when(code.mask(distance < FAR[code.bits]) < 2**code.lanes - 1):
        t.far[0] = code.int(1)


def _accumulate(code: Code, array: Array, at: Any, pairs: list[tuple[Any, Any]]) -> None:
    """Add products, or single terms, to a register in memory."""
    total = array.load(at)
    for x, y in pairs:
        total = total + x if y is None else code.fma(x, y, total)
    array.store(at, total)


def share_all(code: Code, t: Any, *, columns: bool) -> None:
    """Make memberships shares r w; add up weights and distortions, and where features are few the ``columns`` too."""
    panel, factors, offsets = PANEL * code.lanes, _vectors(code, t.factor, 0), _vectors(code, t.offset, 0)
    for q in code.range(0, t.k):
        shares = [y * factor for y, factor in zip(_vectors(code, t.y, q * panel), factors, strict=True)]
        gaps = _vectors(code, t.dist, q * panel)
        if not columns:
            gaps = [gap + offset for gap, offset in zip(gaps, offsets, strict=True)]
        _accumulate(code, t.weight, q * code.lanes, [(r, None) for r in shares])
        _accumulate(code, t.distortion, q * code.lanes, list(zip(shares, gaps, strict=True)))
        if columns:
            for j in code.range(0, t.d):
                features = _vectors(code, t.columns, j * panel)
                _accumulate(code, t.moment, (q * t.d + j) * code.lanes, list(zip(shares, features, strict=True)))
        else:
            for v, r in zip(_places(code), shares, strict=True):
                t.shares.store(q * t.stride + t.place + v, r)


def share_none(code: Code, t: Any) -> None:
    """Leave the panel out of the tile's product."""
    for q in code.range(0, t.k):
        for v in _places(code):
            t.shares.store(q * t.stride + t.place + v, code.full(0.0))


def _strips(code: Code, t: Any) -> Iterator[tuple[Value, int]]:
    """Split the features into strips of three registers, then two, then one: give where each begins, and its width.

    A single register is left only where there is no other: products of so narrow a strip are slow.
    """
    left = t.padded // code.lanes
    threes = code.select((left % 3).same(1), code.select(left > 1, left // 3 - 1, code.int(0)), left // 3)
    rest = left - threes * 3
    for width, begin, number in (
        (3, code.int(0), threes),
        (2, threes * 3, rest // 2),
        (1, threes * 3 + rest // 2 * 2, rest % 2),
    ):
        for s in code.range(0, number):
            yield (begin + s * width) * code.lanes, width


def add_products(code: Code, t: Any, first: Value, rows: Value) -> None:
    """Add Σ r z of a tile to the sums, strip by strip; a strip's sums lie together, so as to stream through the cache."""
    for begin, width in _strips(code, t):
        features = width * code.lanes
        _fill_strip(code, t, first, rows, begin, features)
        for q in code.range(0, t.k, 4):
            block = _product(
                code, rows, [code.full(0.0)] * 4,
                lambda i, p, q=q: t.shares[(q + i) * t.stride + p],
                lambda v, p, features=features: t.strip.load(p * features + v * code.lanes),
                width,
            )  # fmt: skip
            for i, line in enumerate(block):
                for v, total in enumerate(line):
                    at = begin * t.fours + (q + i) * features + v * code.lanes
                    t.sums.store(at, t.sums.load(at) + code.double(total))


def _fill_strip(code: Code, t: Any, first: Value, rows: Value, begin: Value, features: int) -> None:
    """Read some features of a tile's rows once more: the rows are in the cache still, where a copy would not be."""
    for p in code.range(0, rows):
        x, to, scale = (first + p) * t.d, p * features, t.scales[p]
        for v in range(0, features, code.lanes):
            j = begin + v
            with code.either(t.d - j > code.lanes - 1) as (whole, part):
                with whole:
                    t.strip.store(to + v, (t.x.load(x + j) - t.high.load(j) - t.low.load(j)) * scale)
                with part:
                    t.strip.store(to + v, code.full(0.0))
                    for i in code.range(j, t.d):
                        t.strip[to + v + i - j] = (t.x[x + i] - t.high[i] - t.low[i]) * scale


# -- memberships of the clusters within reach


def find_near(code: Code, t: Any) -> None:
    """List the registers with a row within reach: where they are among the distances, and in which lanes.

    Every register is written to the end of the list, which only then moves on or not: a branch would be guessed wrong.
    """
    limits, near = _vectors(code, t.limit, 0), t.near
    near.set(code.int(0))
    for q in code.range(0, t.k):
        for v, x in enumerate(_vectors(code, t.dist, q * PANEL * code.lanes)):
            mask = code.mask(x <= limits[v] + t.reach[q])
            t.listed[near] = ((q * PANEL + v) << 16) + mask
            near.set(near + code.select(mask > 0, code.int(1), code.int(0)))


def _near(code: Code, t: Any) -> Iterator[tuple[Value, Value, Value, Value, Value]]:
    """Loop over the list: the number in it, where the distances are, which cluster, where in the panel, which lanes."""
    for i in code.range(0, t.near):
        entry = t.listed[i]
        register = entry >> 16
        yield i, register * code.lanes, register // PANEL, register % PANEL * code.lanes, entry & 0xFFFF


def refine_near(code: Code, t: Any) -> None:
    """Take the listed distances anew by differences, row by row, and the least of each row from them."""
    for v in _places(code):
        t.offset.store(v, code.full(0.0))
        t.least.store(v, code.full(FAR[code.bits]))
    for _, at, q, p, lanes in _near(code, t):
        t.dist.store(at, code.full(FAR[code.bits]))
        for lane in code.lanes_of(lanes):
            (total,) = _variables(code, number=1)
            for j in code.range(0, t.padded, code.lanes):
                gap = t.z.load((p + lane) * t.padded + j) - t.centers.load(q * t.padded + j)
                total.set(code.fma(gap, gap, total))
            t.dist[at + lane] = code.rounded(code.total(total)) + t.bias[q]
        t.least.store(p, code.minimum(t.dist.load(at), t.least.load(p)))


def weigh_near(code: Code, t: Any) -> None:
    """Unnormalised memberships of the listed, and each row's sum."""
    for v in _places(code):
        t.total.store(t.place + v, code.full(0.0))
    for i, at, _, p, _ in _near(code, t):
        y = code.exp2((t.least.load(p) - t.dist.load(at)) * t.beta)
        t.y.store(i * code.lanes, y)
        t.total.store(t.place + p, t.total.load(t.place + p) + y)


def share_near(code: Code, t: Any, *, columns: bool) -> None:
    """Make the listed memberships shares r w; add up weights, distortions, and ``columns`` or rows."""
    panel = PANEL * code.lanes
    for i, at, q, p, lanes in _near(code, t):
        r = t.y.load(i * code.lanes) * t.factor.load(p)
        _accumulate(code, t.weight, q * code.lanes, [(r, None)])
        _accumulate(code, t.distortion, q * code.lanes, [(r, t.dist.load(at) + t.offset.load(p))])
        if columns:
            for j in code.range(0, t.d):
                _accumulate(code, t.moment, (q * t.d + j) * code.lanes, [(r, t.columns.load(j * panel + p))])
        else:
            t.y.store(i * code.lanes, r)
            for lane in code.lanes_of(lanes):
                _add_row(code, t, q, p + lane, code.double(t.y[i * code.lanes + lane]))


def _add_row(code: Code, t: Any, q: Value, p: Value, share: Value) -> None:
    for begin, width in _strips(code, t):
        for v in range(0, width * code.lanes, code.lanes):
            at = begin * t.fours + q * width * code.lanes + v
            t.sums.store(at, code.fma(code.double(t.z.load(p * t.padded + begin + v)), share, t.sums.load(at)))


# -- what becomes of it


def flush(code: Code, lanes: Array, totals: Array, number: Any) -> None:
    """Add registers' lanes up into float64 totals, and clear them."""
    for i in code.range(0, number):
        totals[i] = totals[i] + code.total(lanes.load(i * code.lanes))
        lanes.store(i * code.lanes, code.full(0.0))


def put_nearest(code: Code, t: Any) -> None:
    """Write each row's nearest cluster (the first of equals), its distance, and log2 of the row's total."""
    for v in _places(code):
        t.label.store(v, code.full(-1.0))
        t.factor.store(v, code.log2(t.total.load(t.place + v)))
        note_far(code, t, t.least.load(v))
    for _, at, q, p, _ in _near(code, t):
        first = code.select(t.label.load(p) < 0.0, code.floated(q), t.label.load(p))
        t.label.store(p, code.select(t.dist.load(at).same(t.least.load(p)), first, t.label.load(p)))
    for p in code.range(0, t.m):
        t.out_label[t.row + p] = code.truncated(t.label[p])
        t.out_distance[t.row + p] = t.least[p]
        t.out_log_total[t.row + p] = t.factor[p]


def put_memberships(code: Code, t: Any) -> None:
    """Write each row's memberships."""
    for i in code.range(t.row * t.k, (t.row + t.m) * t.k):
        t.out_resp[i] = 0.0
    for i, _, q, p, lanes in _near(code, t):
        t.y.store(i * code.lanes, t.y.load(i * code.lanes) / t.total.load(t.place + p))
        for lane in code.lanes_of(lanes):
            with code.when(p + lane < t.m):
                t.out_resp[(t.row + p + lane) * t.k + q] = t.y[i * code.lanes + lane]


def put_closer(code: Code, t: Any) -> None:
    """Write, centre by centre, the lesser of the rows' distances and what they had, and add it up, weighted."""
    panel = PANEL * code.lanes
    for q in code.range(0, t.k):
        with code.either(t.m.same(panel)) as (full, part):
            with full:
                for v in _places(code):
                    least = code.minimum(t.dist.load(q * panel + v), t.closest.load(t.row + v))
                    t.dist.store(q * panel + v, least)
                    t.out_resp.store(q * t.n + t.row + v, least)
            with part:
                for p in code.range(0, t.m):
                    least = code.minimum(t.dist[q * panel + p], t.closest[t.row + p])
                    t.dist[q * panel + p] = least
                    t.out_resp[q * t.n + t.row + p] = least
        pairs = [(t.dist.load(q * panel + v), t.w.load(t.place + v)) for v in _places(code)]
        _accumulate(code, t.weight, q * code.lanes, pairs)
    for least in _vectors(code, t.least, 0):
        note_far(code, t, least)
