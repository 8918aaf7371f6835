"""Outputs for each row: the nearest cluster, memberships, and distances for seeding."""

from __future__ import annotations

from ..compiler import Code
from .arguments import PANEL_REGISTERS, AssignArguments, MinDistancesArguments, RowGradientArguments
from .members import FuzzyAssignArguments
from .panels import add_to, check_range, features, load_panel, register_starts
from .sparse import near_registers


def write_totals(code: Code, t: AssignArguments) -> None:
    """Write each row's distance to the nearest center, and log2 of the sum of memberships."""
    for v in register_starts(code):
        t.log_totals.store(v, code.log2(t.resp_totals.load(t.panel_start + v)))
        check_range(code, t, t.min_dist.load(v) + t.offset.load(v))
    for p in code.range(0, t.panel_rows):
        t.out_distance[t.first_row + p] = t.min_dist[p] + t.offset[p]  # 0 if distances were refined
        t.out_log_total[t.first_row + p] = t.log_totals[p]


def write_objective(code: Code, t: FuzzyAssignArguments) -> None:
    """Write Σ u^m d of each row."""
    for v in register_starts(code):
        check_range(code, t, t.min_dist.load(v))
        objective = t.min_dist.load(v) * t.inverse_power(t.resp_totals.load(t.panel_start + v))
        t.log_totals.store(v, objective)
    for p in code.range(0, t.panel_rows):
        t.out_distance[t.first_row + p] = t.log_totals[p]


def write_all_memberships(code: Code, t: FuzzyAssignArguments) -> None:
    """Write each row's memberships, none of which is skipped."""
    size = PANEL_REGISTERS * code.lanes
    for p in code.range(0, t.panel_rows):
        factor, out = 1.0 / t.resp_totals[t.panel_start + p], (t.first_row + p) * t.k
        for q in code.range(0, t.k):
            t.out_resp[out + q] = t.resp[q * size + p] * factor


def write_memberships(code: Code, t: AssignArguments) -> None:
    """Write each row's memberships."""
    for i in code.range(t.first_row * t.k, (t.first_row + t.panel_rows) * t.k):
        t.out_resp[i] = 0.0
    for i, _, q, p, mask in near_registers(code, t):
        t.resp.store(i * code.lanes, t.resp.load(i * code.lanes) / t.resp_totals.load(t.panel_start + p))
        for lane in code.set_bits(mask):
            with code.if_then(p + lane < t.panel_rows):
                t.out_resp[(t.first_row + p + lane) * t.k + q] = t.resp[i * code.lanes + lane]


def write_row_gradient(code: Code, t: RowGradientArguments) -> None:
    """Write the gradient of each row, a factor times w Σ u (z - c); y is Σ u c, and u is r or, for distortions, q."""
    size = PANEL_REGISTERS * code.lanes
    for p in code.range(0, t.panel_rows):
        w, out = t.w[t.panel_start + p] * t.gradient_factor, (t.first_row + p) * t.d
        mean_weight = w / t.resp_totals[t.panel_start + p]
        w = mean_weight * t.y_totals[p]
        if t.few:
            for j in features(code, t):
                at = j * size + p
                t.out_gradient[out + j] = w * t.columns[at] - mean_weight * t.y[at]
        else:
            row, full_registers = p * t.padded_d, t.d - t.d % code.lanes
            for v in code.range(0, full_registers, code.lanes):
                mean = t.y.load(row + v) * mean_weight
                t.out_gradient.store(out + v, t.z.load(row + v) * w - mean)
            for v in code.range(full_registers, t.d):
                t.out_gradient[out + v] = w * t.z[row + v] - mean_weight * t.y[row + v]
    for min_dist, offset in zip(load_panel(code, t.min_dist, 0), load_panel(code, t.offset, 0), strict=True):
        check_range(code, t, min_dist + offset)


def write_min_distances(code: Code, t: MinDistancesArguments) -> None:
    """Write, candidate by candidate, the smaller of the rows' distances and ``closest``, and add it up with weights."""
    size = PANEL_REGISTERS * code.lanes
    for q in code.range(0, t.k):
        with code.if_else(t.panel_rows.equals(size)) as (full, part):
            with full:
                for v in register_starts(code):
                    smaller = code.minimum(t.dist.load(q * size + v), t.closest.load(t.first_row + v))
                    t.dist.store(q * size + v, smaller)
                    t.out_distances.store(q * t.n + t.first_row + v, smaller)
            with part:
                for p in code.range(0, t.panel_rows):
                    smaller = code.minimum(t.dist[q * size + p], t.closest[t.first_row + p])
                    t.dist[q * size + p] = smaller
                    t.out_distances[q * t.n + t.first_row + p] = smaller
        pairs = [(t.dist.load(q * size + v), t.w.load(t.panel_start + v)) for v in register_starts(code)]
        add_to(code, t.weight_lanes, q * code.lanes, pairs)
    for min_dist in load_panel(code, t.min_dist, 0):
        check_range(code, t, min_dist)
