"""Memberships of all clusters, where many are within reach of a row, and their sums by matrix products."""

from __future__ import annotations

from typing import Any

from .codegen import Code, Value
from .common import strips
from .panels import PANEL, add_to, features, places, product, variables, vectors


def is_crowded(code: Code, t: Any, *, rows: bool) -> Value:
    """Whether so many clusters are within reach of the panel's rows that it pays to work on all.

    What else would cost is each row within reach (``rows``), or each register with one in it.
    """
    found, limits = code.variable(code.whole(0)), vectors(code, t.limit, 0)
    for q in code.range(0, t.k):
        for x, limit in zip(vectors(code, t.dist, q * PANEL * code.lanes), limits, strict=True):
            mask = code.mask(x <= limit + t.reach[q])
            found.set(found + (code.count(mask) if rows else code.select(mask > 0, code.whole(1), code.whole(0))))
    many: Value = t.k * (PANEL * code.lanes // 8) if rows else t.k * PANEL // 2
    return found > many


def weigh_all(code: Code, t: Any) -> None:
    """Unnormalized memberships 2^(beta (least - distance)) of all clusters, and their sum."""
    panel = PANEL * code.lanes
    for v in code.range(0, panel, code.lanes):
        least, (total,) = t.least.load(v), variables(code, number=1)
        for q in code.range(0, t.k):
            y = code.exp2((least - t.dist.load(q * panel + v)) * t.beta)
            t.y.store(q * panel + v, y)
            total.set(total + y)
        t.total.store(t.place + v, total)


def share_all(code: Code, t: Any, *, columns: bool) -> None:
    """Make memberships shares r w; add up weights and distortions, and where features are few the ``columns`` too."""
    panel, factors, offsets = PANEL * code.lanes, vectors(code, t.factor, 0), vectors(code, t.offset, 0)
    for q in code.range(0, t.k):
        shares = [y * factor for y, factor in zip(vectors(code, t.y, q * panel), factors, strict=True)]
        gaps = vectors(code, t.dist, q * panel)
        if not columns:
            gaps = [gap + offset for gap, offset in zip(gaps, offsets, strict=True)]
        add_to(code, t.weight, q * code.lanes, [(r, None) for r in shares])
        add_to(code, t.distortion, q * code.lanes, list(zip(shares, gaps, strict=True)))
        if columns:
            for j in features(code, t):
                column = vectors(code, t.columns, j * panel)
                add_to(code, t.moment, (q * t.d + j) * code.lanes, list(zip(shares, column, strict=True)))
        else:
            for v, r in zip(places(code), shares, strict=True):
                t.shares.store(q * t.stride + t.place + v, r)


def share_none(code: Code, t: Any) -> None:
    """Leave the panel out of the tile's product."""
    for q in code.range(0, t.k):
        for v in places(code):
            t.shares.store(q * t.stride + t.place + v, code.full(0.0))


def add_products(code: Code, t: Any, first: Value, rows: Value) -> None:
    """Add Σ r z of a tile to the sums, strip by strip; a strip's sums lie together, to stream through the cache."""
    for begin, width in strips(code, t):
        span = width * code.lanes
        _fill_strip(code, t, first, rows, begin, span)
        for q in code.range(0, t.k, 4):
            block = product(
                code, rows, [code.full(0.0)] * 4,
                lambda i, p, q=q: t.shares[(q + i) * t.stride + p],
                lambda v, p, span=span: t.strip.load(p * span + v * code.lanes),
                width,
            )  # fmt: skip
            for i, line in enumerate(block):
                for v, total in enumerate(line):
                    at = begin * t.fours + (q + i) * span + v * code.lanes
                    t.sums.store(at, t.sums.load(at) + code.double(total))


def _fill_strip(code: Code, t: Any, first: Value, rows: Value, begin: Value, span: int) -> None:
    """Read some features of a tile's rows once more: the rows are in the cache still, where a copy would not be."""
    for p in code.range(0, rows):
        x, to, scale = (first + p) * t.d, p * span, t.scales[p]
        for v in range(0, span, code.lanes):
            j = begin + v
            with code.either(t.d - j > code.lanes - 1) as (whole, part):
                with whole:
                    t.strip.store(to + v, (t.x.load(x + j) - t.high.load(j) - t.low.load(j)) * scale)
                with part:
                    t.strip.store(to + v, code.full(0.0))
                    for i in code.range(j, t.d):
                        t.strip[to + v + i - j] = (t.x[x + i] - t.high[i] - t.low[i]) * scale
