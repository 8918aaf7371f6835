"""Parts of the kernels for dense and for sparse memberships: cutoffs, row factors, the objective, feature strips."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..compiler import Code, Value
from .arguments import MAX_DISTANCE, AccumulateArguments, HessianArguments, MembershipArguments
from .panels import check_range, register_starts, variables
from .strips import split_features


def set_cutoffs(code: Code, t: MembershipArguments) -> None:
    """Set each cluster's cutoff: rows whose distance exceeds their limit by more than this are skipped.

    The membership of such a row is at most 2^-(beta (dist - min_dist)). All rows of a chunk that are skipped for a
    cluster together have at most the fraction `prepare.SKIPPED_FRACTION` of the weight that the cluster has so far.
    """
    for q in code.range(0, t.k, code.lanes):
        weight = code.from_float64(t.weight_total.load(q))
        skipped = code.select(weight > 0.0, weight * t.skipped_fraction, 0.0)
        exponent = code.minimum(-code.log2(skipped), code.full(t.max_exponent))
        t.cutoff.store(q, code.minimum(exponent / t.beta, code.full(MAX_DISTANCE[code.bits])))


def set_row_factors(code: Code, t: AccumulateArguments) -> None:
    """Set each row's factor w / total, by which unnormalized memberships become memberships times weights."""
    for v in register_starts(code):
        t.set_row_factors(v)


def add_objective(code: Code, t: AccumulateArguments, rows: Value) -> None:
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


def excess(code: Code, t: MembershipArguments, q: Value, at: Value, p: Value) -> Value:
    """Return a register of e for cluster q: the distances above each row's smallest one, or derivatives of logits."""
    return t.slope_of(at) if isinstance(t, HessianArguments) else t.excess(q, at, p)


def centered(code: Code, t: MembershipArguments, q: Value, at: Value, p: Value) -> Value:
    """Return a register of e less each row's mean; ``p`` is the position in the panel."""
    return excess(code, t, q, at, p) - t.mean_excess.load(p)


def gradient_weight(code: Code, t: MembershipArguments, q: Value, r: Value, slope: Value) -> Value:
    """Return by how much a row counts in the weighted sums: q = r - β s, or its derivative along a direction."""
    if isinstance(t, HessianArguments):
        r = r * t.direction_beta[q]
    return r - slope * (t.beta_of(q) * math.log(2))


def strips(code: Code, t: AccumulateArguments) -> Iterator[tuple[Value, int]]:
    """Loop over the strips of features: yield each one's first feature and number of registers."""
    return split_features((t.n_threes, t.n_twos, t.n_ones), code.lanes, code.range)
