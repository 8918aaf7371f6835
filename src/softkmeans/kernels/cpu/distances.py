"""The distances of a panel's rows to all centers, from differences or by a matrix product.

Distances include the bias, which stands for the log-prior. They may lack the part that is equal for all clusters of a
row, the row's ``offset``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ..compiler import Code, Value, Variable
from . import csr
from .arguments import MAX_DISTANCE, PANEL_REGISTERS, HessianArguments, PassArguments, group_size
from .members import NonlinearArguments
from .panels import features, load_panel, read_few_features, read_rows, register_starts, variables

DEPTH = 128  # features of float32 rows whose panel takes half of a first-level cache: 24 kB with registers of 64 bytes


def read_panel(code: Code, t: PassArguments) -> None:
    """Read the panel's rows: those with few features, those of a CSR matrix, or others."""
    if t.few:
        read_few_features(code, t)
    elif isinstance(t, csr.CsrArguments):
        csr.read_products(code, t)
    else:
        read_rows(code, t)


def distances_by_differences(code: Code, t: PassArguments) -> None:
    """Compute distances from differences, without cancellation, and the least distance of each row."""
    min_dists, pairs = [code.variable(t.largest_dist()) for _ in register_starts(code)], t.k // 2 * 2
    for q in code.range(0, pairs, 2):
        _subtract(code, t, [q, q + 1], min_dists)
    for q in code.range(pairs, t.k):
        _subtract(code, t, [q], min_dists)
    for v, min_dist in zip(register_starts(code), min_dists, strict=True):
        t.min_dist.store(v, min_dist)
        t.offset.store(v, code.full(0.0))
        t.dist_limit.store(v, min_dist)


def _subtract(code: Code, t: PassArguments, clusters: list[Value], min_dists: list[Variable]) -> None:
    """Compute the distances to one or two centers; two make enough independent sums to hide the latency of an FMA."""
    size, sums = PANEL_REGISTERS * code.lanes, [variables(code, t.bias[q] if t.is_affine else 0.0) for q in clusters]
    add_squared_differences(code, t, clusters, sums)
    for q, totals in zip(clusters, sums, strict=True):
        for v, total, min_dist in zip(register_starts(code), totals, min_dists, strict=True):
            dist = total if t.is_affine else t.of_squared(q, q * size + v, total)
            t.dist.store(q * size + v, dist)
            min_dist.set(code.minimum(dist, min_dist))


def add_squared_differences(code: Code, t: PassArguments, clusters: list[Value], sums: list[list[Variable]]) -> None:
    """Add the squared differences of the panel's rows from some centers to sums, for few features."""
    for j in features(code, t):
        column = load_panel(code, t.columns, j * PANEL_REGISTERS * code.lanes)
        for q, totals in zip(clusters, sums, strict=True):
            center = code.full(t.centers[q * t.padded_d + j])
            for x, total in zip(column, totals, strict=True):
                total.set(code.fma(x - center, x - center, total))


def distances_by_product(code: Code, t: PassArguments) -> None:
    """Compute distances, less the rows' squared norms (their offsets), by a matrix product, and each row's limit.

    Rounding changes a distance by about (d + 4) u (‖c‖ + ‖z‖)² at most, where u is the unit roundoff. So the distance
    to the truly nearest center is at most the limit: the least computed distance plus twice this error.
    """
    size, min_dists = PANEL_REGISTERS * code.lanes, variables(code, MAX_DISTANCE[code.bits])
    for q, line in product_distances(code, t):
        for v, total, min_dist in zip(register_starts(code), line, min_dists, strict=True):
            if not t.is_csr:
                t.dist.store(q * size + v, total)
            min_dist.set(code.minimum(total, min_dist))
    for v, min_dist, square in zip(register_starts(code), min_dists, squared_norms(code, t), strict=True):
        t.min_dist.store(v, min_dist)
        t.offset.store(v, square)
        t.dist_limit.store(v, code.fma(squared_size(code, t, square), 2.0 * t.product_error, min_dist))


def product_distances(code: Code, t: PassArguments) -> Iterator[tuple[Value, list[Any]]]:
    """Loop over centers: yield each one, and its distances less the rows' squared norms."""
    if t.is_csr:  # which `csr.read_products` has computed
        for q in code.range(0, t.k):
            yield q, load_panel(code, t.dist, q * PANEL_REGISTERS * code.lanes)
        return
    begin = _products_of_first_features(code, t)
    for q, group in loop_groups(code, t):
        for i, line in enumerate(_products(code, t, q, group, begin)):
            yield q + i, line


def loop_groups(code: Code, t: PassArguments) -> Iterator[tuple[Value, int]]:
    """Loop over groups of centers: yield the first center of each, and their number; the last group may have four."""
    wide, padded_k = group_size(code.bits, code.lanes), (t.k + 3) // 4 * 4
    full = padded_k // wide * wide
    for q in code.range(0, full, wide):
        yield q, wide
    if wide > 4:
        for q in code.range(full, padded_k, 4):
            yield q, 4


def _products_of_first_features(code: Code, t: PassArguments) -> Value:
    """Store the products of all but the last features in ``dist``, and return where the last ones begin.

    The products are computed in parts, whose features of the panel's rows fit into the first-level cache.
    """
    depth, size = DEPTH * 32 // code.bits, PANEL_REGISTERS * code.lanes
    begin = (t.padded_d - 1) // depth * depth
    with code.if_then(begin > 0):
        for q in code.range(0, (t.k + 3) // 4 * 4):
            for v in register_starts(code):
                t.dist.store(q * size + v, code.full(t.center_terms[q]))
    for first in code.range(0, begin, depth):
        for q, group in loop_groups(code, t):
            starts = _partial_products(code, t, q, group)
            for i, line in enumerate(_products_of(code, t, q, group, (first, first + depth), starts)):
                for v, total in zip(register_starts(code), line, strict=True):
                    t.dist.store((q + i) * size + v, total)
    return begin


def _partial_products(code: Code, t: PassArguments, q: Value, group: int) -> list[list[Variable]]:
    """Return variables with the products so far."""
    size = PANEL_REGISTERS * code.lanes
    return [[code.variable(x) for x in load_panel(code, t.dist, (q + i) * size)] for i in range(group)]


def _products(code: Code, t: PassArguments, q: Value, group: int, begin: Value) -> list[list[Variable]]:
    """Return the squared distances, less the rows' squared norms, of the panel's rows from a group of centers.

    Products of the features before ``begin`` are already in ``dist``.
    """
    sums = [variables(code, t.center_terms[q + i]) for i in range(group)]
    with code.if_then(begin > 0):
        for line, partial in zip(sums, _partial_products(code, t, q, group), strict=True):
            for total, x in zip(line, partial, strict=True):
                total.set(x)
    return _products_of(code, t, q, group, (begin, t.padded_d), sums)


def _products_of(
    code: Code, t: PassArguments, q: Value, group: int, features: tuple[Any, Any], sums: list[list[Variable]]
) -> list[list[Variable]]:
    """Add the products of some features of the panel's rows and of a group of centers to sums."""
    return add_product(
        code, features, sums,
        lambda i, j: t.center_groups[q * t.padded_d + j * group + i],
        lambda v, j: t.columns.load(j * PANEL_REGISTERS * code.lanes + v * code.lanes),
    )  # fmt: skip


def squared_norms(code: Code, t: PassArguments) -> list[Any]:
    """Return the squared norms of the panel's rows."""
    if t.is_csr:
        return load_panel(code, t.offset, 0)
    squares = variables(code)
    for j in code.range(0, t.padded_d):
        for x, square in zip(load_panel(code, t.columns, j * PANEL_REGISTERS * code.lanes), squares, strict=True):
            square.set(code.fma(x, x, square))
    return squares


def nonlinear_distances(code: Code, t: NonlinearArguments) -> None:
    """Compute ``dist`` from a matrix product where it is a function of the squared distance.

    If the relative errors of small distances count, these are computed again, from differences.
    """
    size, squares = PANEL_REGISTERS * code.lanes, squared_norms(code, t)
    smallest, min_dists = (
        [code.variable(start) for _ in squares] for start in (code.full(MAX_DISTANCE[code.bits]), t.largest_dist())
    )
    for q, line in product_distances(code, t):
        for v, total, square, least in zip(register_starts(code), line, squares, smallest, strict=True):
            squared = total + square
            if t.refines_small:
                squared = code.select(squared > 0.0, squared, 0.0)
                least.set(code.minimum(squared, least))
            t.dist.store(q * size + v, squared)
    for v, least, square in zip(register_starts(code), smallest, squares, strict=True):
        t.squares.store(v, square)
        t.min_squared.store(v, least)
    if t.refines_small:
        _refine_small(code, t)
    for q in code.range(0, t.k):
        for v, min_dist in zip(register_starts(code), min_dists, strict=True):
            dist = t.of_squared(q, q * size + v, t.dist.load(q * size + v))
            t.dist.store(q * size + v, dist)
            min_dist.set(code.minimum(dist, min_dist))
    for v, min_dist, square in zip(register_starts(code), min_dists, squares, strict=True):
        error = t.product_error_at(code.sqrt(square) + t.max_center_norm)
        t.min_dist.store(v, min_dist)
        t.offset.store(v, code.full(0.0))
        t.dist_limit.store(v, code.fma(error, 2.0, min_dist))


def _refine_small(code: Code, t: NonlinearArguments) -> None:
    """Compute the squared distances that are small compared with the norms again, from differences."""
    size, any_small = PANEL_REGISTERS * code.lanes, code.variable(code.integer(0))
    limits = [squared_size(code, t, square) * t.small_ratio for square in load_panel(code, t.squares, 0)]
    for least, limit in zip(load_panel(code, t.min_squared, 0), limits, strict=True):
        any_small.set(any_small + code.mask(least < limit))
    with code.if_then(any_small > 0):
        for q in code.range(0, t.k):
            for v, limit in zip(register_starts(code), limits, strict=True):
                at = q * size + v
                for lane in code.set_bits(code.mask(t.dist.load(at) < limit)):
                    t.dist[at + lane] = difference_squared(code, t, q, v + lane)
                t.min_squared.store(v, code.minimum(t.dist.load(at), t.min_squared.load(v)))


def difference_squared(code: Code, t: PassArguments, q: Value, p: Value) -> Value:
    """Return the squared distance of row p of the panel from center q, from differences."""
    if isinstance(t, csr.CsrArguments):
        return csr.difference_squared(code, t, q, p)
    (total,) = variables(code, number=1)
    for j in code.range(0, t.padded_d, code.lanes):
        difference = t.z.load(p * t.padded_d + j) - t.centers.load(q * t.padded_d + j)
        total.set(code.fma(difference, difference, total))
    return code.from_float64(code.sum_lanes(total))


def slopes_along_direction(code: Code, t: HessianArguments) -> None:
    """Compute the derivatives of distances and logits along the direction, for the panel's rows and all centers.

    For rows that do not move, a distance d changes by d' = 2 (c - z) v, and a logit by direction_b + direction_beta d
    - β d'.
    """
    size = PANEL_REGISTERS * code.lanes
    for q, group in loop_groups(code, t):
        block = product(
            code, t.d if t.few else t.padded_d, [code.full(t.direction_terms[q + i]) for i in range(group)],
            lambda i, j, q=q, group=group: t.direction_groups[q * t.padded_d + j * group + i],
            lambda v, j: t.columns.load(j * size + v * code.lanes),
        )  # fmt: skip
        for i, line in enumerate(block):
            for v, slope in zip(register_starts(code), line, strict=True):
                at = (q + i) * size + v
                distance, beta = t.distance_of(q + i, at, v), code.full(t.beta_of(q + i) * math.log(2))
                of_beta, of_b = code.full(t.direction_beta[q + i]), code.full(t.direction_b[q + i])
                t.dist_slopes.store(at, slope)
                t.logit_slopes.store(at, code.fma(distance, of_beta, of_b) - beta * slope)


def squared_size(code: Code, t: PassArguments, square: Value) -> Value:
    """Return (‖c‖ + ‖z‖)² for the largest center, given the rows' squared norms."""
    size = code.sqrt(square) + t.max_center_norm
    return size * size


def product(
    code: Code,
    depth: Value,
    starts: list[Value],
    factor: Callable[..., Value],
    vector: Callable[..., Value],
    width: int = PANEL_REGISTERS,
) -> list[list[Variable]]:
    """Compute a block of a matrix product, start_i + Σ_j factor(i, j) vector(v, j), with all sums in registers."""
    sums = [[code.variable(start) for _ in range(width)] for start in starts]
    return add_product(code, (0, depth), sums, factor, vector)


def add_product(
    code: Code,
    span: tuple[Any, Any],
    sums: list[list[Variable]],
    factor: Callable[..., Value],
    vector: Callable[..., Value],
) -> list[list[Variable]]:
    """Add the products for j in a range to the sums of a block, and return them."""
    for j in code.range(*span):
        loaded = [vector(v, j) for v in range(len(sums[0]))]
        for i, line in enumerate(sums):
            number = code.full(factor(i, j))
            for x, total in zip(loaded, line, strict=True):
                total.set(code.fma(number, x, total))
    return sums


def is_product_precise(code: Code, t: PassArguments) -> Value:
    """Return whether memberships from the matrix product are within `arguments.MAX_PRODUCT_ERROR` for all rows."""
    imprecise = code.variable(code.integer(0))
    for v in register_starts(code):
        if isinstance(t, NonlinearArguments):
            size = code.sqrt(t.squares.load(v)) + t.max_center_norm
            error = t.exponent_error(size, t.min_squared.load(v))
        else:
            error = squared_size(code, t, t.offset.load(v)) * t.error_factor
        imprecise.set(imprecise + code.mask(error > 1.0))
    return imprecise.equals(0)


def is_precise(code: Code, t: PassArguments) -> Value:
    """Return whether the product is precise enough for memberships, and of CSR rows for each row's least distance."""
    if not isinstance(t, csr.CsrArguments) or not t.is_affine:
        return is_product_precise(code, t)
    small = code.variable(code.integer(0))
    for v in register_starts(code):
        limit = squared_size(code, t, t.offset.load(v)) * t.small_ratio
        small.set(small + code.mask(t.min_dist.load(v) + t.offset.load(v) < limit))
    return is_product_precise(code, t) & small.equals(0)
