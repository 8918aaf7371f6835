"""Memberships of only the clusters within a row's cutoff: a pass takes little longer than one of hard k-means."""

from __future__ import annotations

from collections.abc import Iterator

from ..compiler import Code, Value
from . import csr
from .arguments import (
    MAX_DISTANCE,
    PANEL_REGISTERS,
    AccumulateArguments,
    HessianArguments,
    MembershipArguments,
    RowGradientArguments,
    SlopeArguments,
)
from .common import centered, excess, gradient_weight, strips
from .distances import difference_squared
from .members import UpdateArguments
from .panels import add_to, features, load_panel, register_starts


def find_near(code: Code, t: MembershipArguments) -> None:
    """List the registers of distances with a row within the cutoff: their position, and a mask of such rows.

    Every register is written behind the last entry, but the list only grows if a row is within the cutoff. This avoids
    a branch, which the processor would often predict wrongly.
    """
    limits, n_near = load_panel(code, t.dist_limit, 0), t.n_near
    n_near.set(code.integer(0))
    for q in code.range(0, t.k):
        for v, x in enumerate(load_panel(code, t.dist, q * PANEL_REGISTERS * code.lanes)):
            mask = code.mask(x <= limits[v] + t.cutoff[q])
            t.near_list[n_near] = ((q * PANEL_REGISTERS + v) << 16) + mask
            n_near.set(n_near + code.select(mask > 0, code.integer(1), code.integer(0)))


def near_registers(code: Code, t: MembershipArguments) -> Iterator[tuple[Value, Value, Value, Value, Value]]:
    """Loop over the list: yield the entry's index, position in ``dist``, cluster, position in the panel, and mask."""
    for i in code.range(0, t.n_near):
        entry = t.near_list[i]
        register = entry >> 16
        at = register * code.lanes
        cluster = register // PANEL_REGISTERS
        start_in_panel = register % PANEL_REGISTERS * code.lanes
        yield i, at, cluster, start_in_panel, entry & 0xFFFF


def refine_distances(code: Code, t: MembershipArguments) -> None:
    """Compute the listed distances again, from differences, and from them the least distance of each row."""
    for v in register_starts(code):
        t.offset.store(v, code.full(0.0))
        t.min_dist.store(v, t.largest_dist())
    for _, at, q, p, mask in near_registers(code, t):
        t.dist.store(at, code.full(MAX_DISTANCE[code.bits]))
        for lane in code.set_bits(mask):
            t.dist[at + lane] = difference_squared(code, t, q, p + lane)
        t.dist.store(at, t.of_squared(q, at, t.dist.load(at)))
        t.min_dist.store(p, code.minimum(t.dist.load(at), t.min_dist.load(p)))


def compute_memberships(code: Code, t: MembershipArguments) -> None:
    """Compute the unnormalized memberships of the listed registers, and their sum for each row.

    With slopes, compute each row's mean of e, too.
    """
    for v in register_starts(code):
        t.resp_totals.store(t.panel_start + v, t.first_total(v))
        if t.has_slopes:
            t.mean_excess.store(v, t.first_moment(v))
    for i, at, q, p, _ in near_registers(code, t):
        r = t.weigh(at, p)
        t.resp.store(i * code.lanes, r)
        t.resp_totals.store(t.panel_start + p, t.resp_totals.load(t.panel_start + p) + r)
        if t.has_slopes:
            t.mean_excess.store(p, code.fma(r, excess(code, t, q, at, p), t.mean_excess.load(p)))
    if t.has_slopes:
        for v in register_starts(code):
            t.mean_excess.store(v, t.mean_excess.load(v) / t.resp_totals.load(t.panel_start + v))


def add_memberships(code: Code, t: AccumulateArguments, *, from_columns: bool) -> None:
    """Normalize and weight the listed memberships; add them, their distortions and their rows to the sums.

    Rows are read from ``columns``, for few features, or from ``z``.
    """
    size = PANEL_REGISTERS * code.lanes
    for i, at, q, p, mask in near_registers(code, t):
        r = t.resp.load(i * code.lanes) * t.row_factors.load(p)
        add_to(code, t.weight_lanes, q * code.lanes, [(r, None)])
        add_to(code, t.distortion_lanes, q * code.lanes, [(r, t.distortion_of(at, p))])
        if isinstance(t, SlopeArguments):
            distance = t.distance_of(q, at, p)
            slope = r * centered(code, t, q, at, p)
            add_to(code, t.slope_lanes, q * code.lanes, [(slope, None)])
            add_to(code, t.slope_distortion_lanes, q * code.lanes, [(slope, distance)])
            if isinstance(t, HessianArguments):
                add_to(code, t.slope_distortion_lanes, q * code.lanes, [(r, t.dist_slopes.load(at))])
            r = gradient_weight(code, t, q, r, slope)
        r = t.update_weight(at, p, r)
        if isinstance(t, UpdateArguments):
            add_to(code, t.update_lanes, q * code.lanes, [(r, None)])
        if from_columns:
            for j in features(code, t):
                add_to(code, t.weighted_sum_lanes, (q * t.d + j) * code.lanes, [(r, t.columns.load(j * size + p))])
        else:
            t.resp.store(i * code.lanes, r)
            for lane in code.set_bits(mask):
                _add_row(code, t, q, p + lane, code.to_float64(t.resp[i * code.lanes + lane]))


def average_centers(code: Code, t: RowGradientArguments) -> None:
    """Compute Σ r c of each row of the panel, unnormalized, over the listed memberships."""
    size = PANEL_REGISTERS * code.lanes
    for i in code.range(0, t.padded_d * size, code.lanes):
        t.y.store(i, code.full(0.0))
    for v in register_starts(code):
        t.y_totals.store(v, code.full(0.0))
    for i, at, q, p, mask in near_registers(code, t):
        r = t.resp.load(i * code.lanes)
        if t.has_slopes:
            r = gradient_weight(code, t, q, r, r * centered(code, t, q, at, p))
        r = t.center_weight(q, at, r)
        add_to(code, t.y_totals, p, [(r, None)])
        if t.few:
            for j in features(code, t):
                add_to(code, t.y, j * size + p, [(r, code.full(t.centers[q * t.padded_d + j]))])
        else:
            t.resp.store(i * code.lanes, r)
            for lane in code.set_bits(mask):
                r_lane = code.full(t.resp[i * code.lanes + lane])
                for begin in code.range(0, t.padded_d, code.lanes):
                    y, center = (p + lane) * t.padded_d + begin, t.centers.load(q * t.padded_d + begin)
                    add_to(code, t.y, y, [(r_lane, center)])


def _add_row(code: Code, t: AccumulateArguments, q: Value, p: Value, r: Value) -> None:
    """Add row p of the panel, times r, to the weighted sum of cluster q."""
    if isinstance(t, csr.CsrAccumulateArguments):
        csr.add_row(code, t, q, p, r)
        return
    sums = t.weighted_sum_strips
    for begin, width in strips(code, t):
        for v in range(0, width * code.lanes, code.lanes):
            at = begin * t.padded_k + q * width * code.lanes + v
            sums.store(at, code.fma(code.to_float64(t.z.load(p * t.padded_d + begin + v)), r, sums.load(at)))
