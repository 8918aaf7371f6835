"""Memberships of the few clusters within reach of a row: a soft step at the price of a hard one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .codegen import Code, Value
from .common import strips
from .panels import FAR, PANEL, add_to, features, places, variables, vectors


def find_near(code: Code, t: Any) -> None:
    """List the registers with a row within reach: where they are among the distances, and in which lanes.

    Every register is written to the end of the list, which only then moves on or not: a branch would be guessed wrong.
    """
    limits, near = vectors(code, t.limit, 0), t.near
    near.set(code.whole(0))
    for q in code.range(0, t.k):
        for v, x in enumerate(vectors(code, t.dist, q * PANEL * code.lanes)):
            mask = code.mask(x <= limits[v] + t.reach[q])
            t.listed[near] = ((q * PANEL + v) << 16) + mask
            near.set(near + code.select(mask > 0, code.whole(1), code.whole(0)))


def listed(code: Code, t: Any) -> Iterator[tuple[Value, Value, Value, Value, Value]]:
    """Loop over the list: the number in it, where the distances are, which cluster, where in the panel, which lanes."""
    for i in code.range(0, t.near):
        entry = t.listed[i]
        register = entry >> 16
        yield i, register * code.lanes, register // PANEL, register % PANEL * code.lanes, entry & 0xFFFF


def refine_near(code: Code, t: Any) -> None:
    """Take the listed distances anew by differences, row by row, and the least of each row from them."""
    for v in places(code):
        t.offset.store(v, code.full(0.0))
        t.least.store(v, code.full(FAR[code.bits]))
    for _, at, q, p, lanes in listed(code, t):
        t.dist.store(at, code.full(FAR[code.bits]))
        for lane in code.lanes_of(lanes):
            (total,) = variables(code, number=1)
            for j in code.range(0, t.padded, code.lanes):
                gap = t.z.load((p + lane) * t.padded + j) - t.centers.load(q * t.padded + j)
                total.set(code.fma(gap, gap, total))
            t.dist[at + lane] = code.rounded(code.total(total)) + t.bias[q]
        t.least.store(p, code.minimum(t.dist.load(at), t.least.load(p)))


def weigh_near(code: Code, t: Any) -> None:
    """Unnormalized memberships of the listed, and each row's sum."""
    for v in places(code):
        t.total.store(t.place + v, code.full(0.0))
    for i, at, _, p, _ in listed(code, t):
        y = code.exp2((t.least.load(p) - t.dist.load(at)) * t.beta)
        t.y.store(i * code.lanes, y)
        t.total.store(t.place + p, t.total.load(t.place + p) + y)


def share_near(code: Code, t: Any, *, columns: bool) -> None:
    """Make the listed memberships shares r w; add up weights, distortions, and ``columns`` or rows."""
    panel = PANEL * code.lanes
    for i, at, q, p, lanes in listed(code, t):
        r = t.y.load(i * code.lanes) * t.factor.load(p)
        add_to(code, t.weight, q * code.lanes, [(r, None)])
        add_to(code, t.distortion, q * code.lanes, [(r, t.dist.load(at) + t.offset.load(p))])
        if columns:
            for j in features(code, t):
                add_to(code, t.moment, (q * t.d + j) * code.lanes, [(r, t.columns.load(j * panel + p))])
        else:
            t.y.store(i * code.lanes, r)
            for lane in code.lanes_of(lanes):
                _add_row(code, t, q, p + lane, code.double(t.y[i * code.lanes + lane]))


def _add_row(code: Code, t: Any, q: Value, p: Value, share: Value) -> None:
    for begin, width in strips(code, t):
        for v in range(0, width * code.lanes, code.lanes):
            at = begin * t.fours + q * width * code.lanes + v
            t.sums.store(at, code.fma(code.double(t.z.load(p * t.padded + begin + v)), share, t.sums.load(at)))
