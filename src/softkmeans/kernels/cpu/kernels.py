"""The compiled kernels: passes over a chunk of rows, tile by tile and panel by panel.

A panel is three registers of rows, whose distances to all centers are computed together. A tile is several panels,
whose memberships are kept for one matrix product. A chunk is the rows of one call of a kernel.

Each kernel has a variant for every number of features up to `panels.MAX_FEW_FEATURES`, which computes distances from
differences, and a variant for more features, which computes them by a matrix product.
"""

from __future__ import annotations

__all__ = ["ARGUMENTS", "KERNELS", "SETTINGS"]

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

from . import common, dense, outputs, panels, sparse
from .codegen import Code, Value

# The arguments of a kernel by type, in order. They become attributes of ``t``; callers pass 0 for unused ones. In
# shapes, P is the number of rows of a panel, "lanes" the number of floats in a register, and "tile" the maximum number
# of rows of a tile.
ARGUMENTS = {
    "floats": [
        # Inputs
        "x",  # (chunk_rows, d) the rows
        "weights",  # (chunk_rows,) their weights
        "shift_high",  # (padded_d,) what is subtracted from rows, in two parts: high + low has more digits than either
        "shift_low",  # (padded_d,)
        "centers",  # (k, padded_d) the centers c, shifted and scaled
        "center_groups",  # (padded_k / 4, padded_d, 4) -2 c, by groups of four centers, for the matrix product
        "bias",  # (k,) -b / beta: the log-prior as a part of the distance
        "center_terms",  # (padded_k,) bias + ‖c‖²; a huge number for padding
        "settings",  # the numbers of `SETTINGS`
        # Scratch memory of a panel or a tile
        "z",  # (P, padded_d) the panel's rows, shifted and scaled
        "columns",  # (padded_d, P) the same, transposed
        "row_scales",  # (tile,) factor by which each row was multiplied
        "w",  # (tile,) weights, 0 for missing rows
        "strip",  # (tile, 3 lanes) some features of the tile's rows, for the matrix product
        "dist",  # (padded_k, P) squared distances plus bias, less the rows' offsets
        "min_dist",  # (P,) the smallest of each row's distances
        "dist_limit",  # (P,) the least distance, plus twice the largest rounding error
        "offset",  # (P,) the part of a row's distances that ``dist`` leaves out, since it is equal for all clusters
        "cutoff",  # (k,) how far above its row's limit a distance may lie before the membership is skipped
        "resp",  # (k, P) memberships: first unnormalized, then normalized and times the weights
        "resp_totals",  # (tile,) sums of each row's unnormalized memberships
        "tile_min_dist",  # (tile,) min_dist + offset
        "row_factors",  # (P,) w / resp_totals
        "labels",  # (P,) index of the nearest center
        "tile_resp",  # (padded_k, resp_stride) memberships times weights of the tile
        "weight_lanes",  # (k, lanes) Σ w r, a sum for each lane
        "distortion_lanes",  # (k, lanes) Σ w r d
        "weighted_sum_lanes",  # (k, d, lanes) Σ w r z, for few features
        # More inputs, and outputs for each row
        "closest",  # (chunk_rows,) distance to the nearest of the centers chosen so far
        "out_distance",  # (chunk_rows,) distance to the nearest center
        "out_log_total",  # (chunk_rows,) log2 of the sum of unnormalized memberships
        "out_resp",  # (chunk_rows, k) memberships, or (k, n) distances of `min_distances`
    ],
    "doubles": [  # sums over the chunk
        "weight_total",  # (k,)
        "distortion_total",  # (k,)
        "weighted_sum_total",  # (k, d), for few features
        "objective_sums",  # (3,) Σ w log2 resp_totals, Σ w min_dist, Σ w
        "weighted_sum_strips",  # (padded_k, padded_d) Σ w r z for many features, strip by strip
    ],
    "integers": [
        "near_list",  # entries of `sparse.find_near`
        "out_of_range",  # (1,) whether a distance was too large for the kernel's floats
        "out_label",  # (chunk_rows,) index of the nearest center
    ],
    "numbers": [
        "chunk_rows",  # rows of the chunk
        "n",  # rows of the block
        "d",  # features
        "padded_d",  # d, rounded up to full registers
        "k",  # clusters
        "padded_k",  # k, rounded up to a multiple of four
        "tile_rows",  # rows of a tile
        "resp_stride",  # numbers from one cluster to the next in tile_resp
        "has_weights",  # whether rows have weights
        "normalize",  # whether rows are divided by their length
        "with_resp",  # whether memberships are written
    ],
}
SETTINGS = [
    "inverse_scale",  # factor by which rows are multiplied after the shift
    "beta",  # an unnormalized membership is 2^(beta (min_dist - dist))
    "product_error",  # largest rounding error of a product, relative to (‖c‖ + ‖z‖)²
    "max_center_norm",  # the largest ‖c‖
    "error_factor",  # (‖c‖ + ‖z‖)² times this is the error of a log-membership, over `arguments.MAX_PRODUCT_ERROR`
    "max_exponent",  # memberships below 2^-max_exponent are skipped
    "skipped_fraction",  # the fraction of a cluster's weight that may be skipped for each row
]


def _set_attributes(code: Code, t: Any, few: int) -> None:
    """Set the attributes of ``t`` that are not arguments: settings, constants and the length of the near list."""
    if few:
        t.d, t.padded_d = few, -(-few // code.lanes) * code.lanes
    for i, name in enumerate(SETTINGS):
        setattr(t, name, t.settings[i])
    t.n_near = code.variable(code.integer(0))


def _tiles(code: Code, t: Any) -> Iterator[tuple[Value, Value]]:
    """Loop over tiles: yield the index of the first row, and the number of rows."""
    for first in code.range(0, t.chunk_rows, t.tile_rows):
        yield first, code.select(t.chunk_rows - first < t.tile_rows, t.chunk_rows - first, t.tile_rows)


def _panels(code: Code, t: Any, first: Value, rows: Value) -> Iterator[Value]:
    """Loop over the panels of a tile: yield where each begins in the tile."""
    size = panels.PANEL_REGISTERS * code.lanes
    for start in code.range(0, rows, size):
        t.panel_start, t.first_row = start, first + start
        t.panel_rows = code.select(rows - start < size, rows - start, code.integer(size))
        yield start


def _compute_distances(code: Code, t: Any, few: int) -> None:
    """Read the panel's rows and compute their distances."""
    if few:
        panels.read_few_features(code, t)
        panels.distances_by_differences(code, t)
    else:
        panels.read_rows(code, t)
        panels.distances_by_product(code, t)


def accumulate(code: Code, t: Any, few: int) -> None:
    """Compute the sums that make `Stats`.

    The first panel of a tile decides whether the tile's memberships are computed for all clusters, or only for those
    within the cutoff. If a matrix product is too imprecise for a panel, its memberships are computed in the second way,
    with distances from differences.
    """
    _set_attributes(code, t, few)
    use_dense = code.variable(~code.true())
    for first, rows in _tiles(code, t):
        common.set_cutoffs(code, t)
        for start in _panels(code, t, first, rows):
            _compute_distances(code, t, few)
            with code.if_then(start < 1):
                use_dense.set(dense.is_cheaper(code, t, by_row=not few))
            precise = panels.is_product_precise(code, t) if not few else code.true()
            with code.if_else(use_dense & precise) as (all_clusters, near_clusters):
                with all_clusters:
                    dense.compute_memberships(code, t)
                    common.set_row_factors(code, t)
                    dense.add_memberships(code, t, with_rows=bool(few))
                with near_clusters:
                    sparse.find_near(code, t)
                    with code.if_then(~precise):
                        sparse.refine_distances(code, t)
                    sparse.compute_memberships(code, t)
                    common.set_row_factors(code, t)
                    sparse.add_memberships(code, t, from_columns=bool(few))
                    with code.if_then(use_dense):
                        dense.clear_memberships(code, t)
        if not few:
            with code.if_then(use_dense):
                dense.add_products(code, t, first, rows)
        panels.add_lanes(code, t.weight_lanes, t.weight_total, t.k)
        panels.add_lanes(code, t.distortion_lanes, t.distortion_total, t.k)
        panels.add_lanes(code, t.weighted_sum_lanes, t.weighted_sum_total, t.k * t.d if few else code.integer(0))
        common.add_objective(code, t, rows)


def assign(code: Code, t: Any, few: int) -> None:
    """Write each row's nearest cluster, its distance and its log-normalizer, and if asked for its memberships."""
    _set_attributes(code, t, few)
    common.set_cutoffs(code, t)
    for first, rows in _tiles(code, t):
        for _ in _panels(code, t, first, rows):
            _compute_distances(code, t, few)
            sparse.find_near(code, t)
            if not few:
                sparse.refine_distances(code, t)
            sparse.compute_memberships(code, t)
            outputs.write_nearest(code, t)
            with code.if_then(t.with_resp > 0):
                outputs.write_memberships(code, t)


def min_distances(code: Code, t: Any, few: int) -> None:
    """Write the smaller of each row's distance to a candidate center and ``closest``, and sum it over rows."""
    _set_attributes(code, t, few)
    for first, rows in _tiles(code, t):
        for _ in _panels(code, t, first, rows):
            (panels.read_few_features if few else panels.read_rows)(code, t)
            panels.distances_by_differences(code, t)
            outputs.write_min_distances(code, t)
        panels.add_lanes(code, t.weight_lanes, t.weight_total, t.k)


Kernel = Callable[[Code, SimpleNamespace], None]
KERNELS: dict[str, Kernel] = {
    f"{kernel.__name__}_{few or 'many'}": partial(kernel, few=few)
    for kernel in (accumulate, assign, min_distances)
    for few in range(panels.MAX_FEW_FEATURES + 1)
}
