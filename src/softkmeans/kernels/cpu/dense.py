"""Memberships of all clusters, for panels with many clusters within the cutoff, and their sums by matrix products."""

from __future__ import annotations

from collections.abc import Iterator

from ..compiler import Code, Value
from . import csr
from .arguments import (
    PANEL_REGISTERS,
    AccumulateArguments,
    HessianArguments,
    MembershipArguments,
    RowGradientArguments,
    SlopeArguments,
)
from .common import centered, excess, gradient_weight, strips
from .distances import loop_groups, product
from .members import UpdateArguments
from .panels import add_to, features, load_panel, register_starts, variables


def is_cheaper(code: Code, t: MembershipArguments, *, by_row: bool) -> Value:
    """Return whether it is cheaper to compute all memberships of the panel than those within the cutoff.

    The cost of those within the cutoff is estimated by their number (``by_row``), or by the number of registers that
    hold any of them.
    """
    cost, limits = code.variable(code.integer(0)), load_panel(code, t.dist_limit, 0)
    for q in code.range(0, t.k):
        for x, limit in zip(load_panel(code, t.dist, q * PANEL_REGISTERS * code.lanes), limits, strict=True):
            mask = code.mask(x <= limit + t.cutoff[q])
            mask_cost = code.count_bits(mask) if by_row else code.select(mask > 0, code.integer(1), code.integer(0))
            cost.set(cost + mask_cost)
    max_cost = t.k * (PANEL_REGISTERS * code.lanes // 8) if by_row else t.k * PANEL_REGISTERS // 2
    return cost > max_cost


def compute_memberships(code: Code, t: MembershipArguments) -> None:
    """Compute the unnormalized memberships 2^(beta (min_dist - dist)) of all clusters, and their sum for each row.

    With slopes, compute each row's mean of e, too.
    """
    size = PANEL_REGISTERS * code.lanes
    for v in code.range(0, size, code.lanes):
        total, moment = code.variable(t.first_total(v)), code.variable(t.first_moment(v))
        for q in code.range(0, t.k):
            r = t.weigh(q * size + v, v)
            t.resp.store(q * size + v, r)
            total.set(total + r)
            if t.has_slopes:
                moment.set(code.fma(r, excess(code, t, q, q * size + v, v), moment))
        t.resp_totals.store(t.panel_start + v, total)
        if t.has_slopes:
            t.mean_excess.store(v, moment / total)


def all_registers(code: Code, t: AccumulateArguments) -> Iterator[tuple[Value, Value, Value, Value, int]]:
    """Loop over all registers, as `sparse.near_registers` loops over those within the cutoff."""
    for q in code.range(0, t.k):
        for v in range(PANEL_REGISTERS):
            i = q * PANEL_REGISTERS + v
            yield i, i * code.lanes, q, code.integer(v * code.lanes), 2**code.lanes - 1


def add_memberships(code: Code, t: AccumulateArguments, *, with_rows: bool) -> None:
    """Normalize and weight all memberships; add them and their distortions to the sums.

    For few features (``with_rows``), the rows are added, too. Else the memberships are kept for the tile's product.
    """
    size, factors = PANEL_REGISTERS * code.lanes, load_panel(code, t.row_factors, 0)
    for q in code.range(0, t.k):
        resp = [r * factor for r, factor in zip(load_panel(code, t.resp, q * size), factors, strict=True)]
        positions = [(q * size + v, code.integer(v)) for v in register_starts(code)]
        distortions = [t.distortion_of(at, v) for at, v in positions]
        add_to(code, t.weight_lanes, q * code.lanes, [(r, None) for r in resp])
        add_to(code, t.distortion_lanes, q * code.lanes, list(zip(resp, distortions, strict=True)))
        if isinstance(t, SlopeArguments):
            distances = [t.distance_of(q, at, v) for at, v in positions]
            slopes = [r * centered(code, t, q, at, v) for r, (at, v) in zip(resp, positions, strict=True)]
            add_to(code, t.slope_lanes, q * code.lanes, [(slope, None) for slope in slopes])
            add_to(code, t.slope_distortion_lanes, q * code.lanes, list(zip(slopes, distances, strict=True)))
            if isinstance(t, HessianArguments):
                dist_slopes = load_panel(code, t.dist_slopes, q * size)
                add_to(code, t.slope_distortion_lanes, q * code.lanes, list(zip(resp, dist_slopes, strict=True)))
            resp = [gradient_weight(code, t, q, r, slope) for r, slope in zip(resp, slopes, strict=True)]
        resp = [t.update_weight(at, v, r) for r, (at, v) in zip(resp, positions, strict=True)]
        if isinstance(t, UpdateArguments):
            add_to(code, t.update_lanes, q * code.lanes, [(r, None) for r in resp])
        if with_rows:
            for j in features(code, t):
                column = load_panel(code, t.columns, j * size)
                add_to(code, t.weighted_sum_lanes, (q * t.d + j) * code.lanes, list(zip(resp, column, strict=True)))
        else:
            for v, r in zip(register_starts(code), resp, strict=True):
                t.tile_resp.store(q * t.resp_stride + t.panel_start + v, r)


def average_centers(code: Code, t: RowGradientArguments) -> None:
    """Compute Σ r c of each row of the panel, unnormalized: by a matrix product, or for few features by columns."""
    size, totals = PANEL_REGISTERS * code.lanes, variables(code)
    for q in code.range(0, t.k):
        for start, total in zip(register_starts(code), totals, strict=True):
            at = q * size + start
            r = t.resp.load(at)
            if t.has_slopes:
                r = gradient_weight(code, t, q, r, r * centered(code, t, q, at, code.integer(start)))
            r = t.center_weight(q, at, r)
            total.set(total + r)
            t.resp.store(at, r)
    for start, total in zip(register_starts(code), totals, strict=True):
        t.y_totals.store(start, total)
    if t.few:
        for v in code.range(0, size, code.lanes):
            sums = variables(code, number=t.few)
            for q in code.range(0, t.k):
                r = t.resp.load(q * size + v)
                for j, total in enumerate(sums):
                    total.set(code.fma(r, code.full(t.centers[q * t.padded_d + j]), total))
            for j, total in enumerate(sums):
                t.y.store(j * size + v, total)
        return
    full = t.padded_d - t.padded_d % size
    for begin in code.range(0, full, size):
        _average_features(code, t, begin, PANEL_REGISTERS)
    for begin in code.range(full, t.padded_d, code.lanes):
        _average_features(code, t, begin, 1)


def _average_features(code: Code, t: RowGradientArguments, begin: Value, width: int) -> None:
    """Compute some registers of features of Σ r c, for four rows at a time."""
    size = PANEL_REGISTERS * code.lanes
    for p in code.range(0, size, 4):
        block = product(
            code, t.k, [code.full(0.0)] * 4,
            lambda i, q, p=p: t.resp[q * size + p + i],
            lambda v, q: t.centers.load(q * t.padded_d + begin + v * code.lanes),
            width,
        )  # fmt: skip
        for i, line in enumerate(block):
            for v, total in enumerate(line):
                t.y.store((p + i) * t.padded_d + begin + v * code.lanes, total)


def clear_memberships(code: Code, t: AccumulateArguments) -> None:
    """Set the panel's memberships to 0 in the tile's product, because its rows have already been added."""
    for q in code.range(0, t.k):
        for v in register_starts(code):
            t.tile_resp.store(q * t.resp_stride + t.panel_start + v, code.full(0.0))


def add_products(code: Code, t: AccumulateArguments, first: Value, rows: Value) -> None:
    """Add Σ r z of a tile to the sums, strip by strip.

    The sums of a strip are contiguous in memory, so that the processor can prefetch them.
    """
    if isinstance(t, csr.CsrAccumulateArguments):
        csr.add_products(code, t, first, rows)
        return
    for begin, width in strips(code, t):
        span = width * code.lanes
        _fill_strip(code, t, first, rows, begin, span)
        for q, group in loop_groups(code, t):
            block = product(
                code, rows, [code.full(0.0)] * group,
                lambda i, p, q=q: t.tile_resp[(q + i) * t.resp_stride + p],
                lambda v, p, span=span: t.strip.load(p * span + v * code.lanes),
                width,
            )  # fmt: skip
            for i, line in enumerate(block):
                for v, total in enumerate(line):
                    at = begin * t.padded_k + (q + i) * span + v * code.lanes
                    t.weighted_sum_strips.store(at, t.weighted_sum_strips.load(at) + code.to_float64(total))


def _fill_strip(code: Code, t: AccumulateArguments, first: Value, rows: Value, begin: Value, span: int) -> None:
    """Read some features of a tile's rows again: the rows are still in cache, while a copy of all would not fit."""
    for p in code.range(0, rows):
        x, to, scale = (first + p) * t.d, p * span, t.row_scales[p]
        for v in range(0, span, code.lanes):
            j = begin + v
            with code.if_else(t.d - j > code.lanes - 1) as (full, part):
                with full:
                    t.strip.store(to + v, (t.x.load(x + j) - t.shift_high.load(j) - t.shift_low.load(j)) * scale)
                with part:
                    t.strip.store(to + v, code.full(0.0))
                    for i in code.range(j, t.d):
                        t.strip[to + v + i - j] = (t.x[x + i] - t.shift_high[i] - t.shift_low[i]) * scale
