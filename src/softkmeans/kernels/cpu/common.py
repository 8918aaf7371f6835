"""Parts of the kernels for dense and for sparse memberships: cutoffs, row factors, the objective, feature strips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .codegen import Code, Value
from .panels import MAX_DISTANCE, check_range, register_starts, variables


def set_cutoffs(code: Code, t: Any) -> None:
    """Set each cluster's cutoff: rows whose distance exceeds their limit by more than this are skipped.

    The membership of such a row is at most 2^-(beta (dist - min_dist)). All rows of a chunk that are skipped for a
    cluster together have at most the fraction `arguments.SKIPPED_FRACTION` of the weight that the cluster has so far.
    """
    for q in code.range(0, t.k, code.lanes):
        weight = code.from_float64(t.weight_total.load(q))
        exponent = code.minimum(-code.log2(weight * t.skipped_fraction), code.full(t.max_exponent))
        t.cutoff.store(q, code.minimum(exponent / t.beta, code.full(MAX_DISTANCE[code.bits])))


def set_row_factors(code: Code, t: Any) -> None:
    """Set each row's factor w / total, by which unnormalized memberships become memberships times weights."""
    for v in register_starts(code):
        t.row_factors.store(v, t.w.load(t.panel_start + v) / t.resp_totals.load(t.panel_start + v))
        t.tile_min_dist.store(t.panel_start + v, t.min_dist.load(v) + t.offset.load(v))


def add_objective(code: Code, t: Any, rows: Value) -> None:
    """Add a tile's Σ w log2 total, Σ w min_dist and Σ w to the objective's sums; check the range of min_dist."""
    log_total_sum, distance_sum, weight_sum = variables(code)
    for p in code.range(0, rows, code.lanes):
        w, min_dist = t.w.load(p), t.tile_min_dist.load(p)
        log_total_sum.set(code.fma(w, code.log2(t.resp_totals.load(p)), log_total_sum))
        distance_sum.set(code.fma(w, min_dist, distance_sum))
        weight_sum.set(weight_sum + w)
        check_range(code, t, min_dist)
    for i, lane_sums in enumerate((log_total_sum, distance_sum, weight_sum)):
        t.objective_sums[i] = t.objective_sums[i] + code.sum_lanes(lane_sums)


def strips(code: Code, t: Any) -> Iterator[tuple[Value, int]]:
    """Split the features into strips of three registers, then two, then one: yield each start and number of registers.

    A strip of one register occurs only if there is just one register: products of such narrow strips are slow.
    """
    n_registers = t.padded_d // code.lanes
    one_left = (n_registers % 3).equals(1)
    one_less = code.select(n_registers > 1, n_registers // 3 - 1, code.integer(0))
    n_threes = code.select(one_left, one_less, n_registers // 3)
    rest = n_registers - n_threes * 3
    for width, begin, number in (
        (3, code.integer(0), n_threes),
        (2, n_threes * 3, rest // 2),
        (1, n_threes * 3 + rest // 2 * 2, rest % 2),
    ):
        for s in code.range(0, number):
            yield (begin + s * width) * code.lanes, width
