"""The compiled kernels: passes over a chunk of rows, tile by tile and panel by panel.

A panel is three registers of rows, whose distances to all centers are computed together. A tile is several panels,
whose memberships are kept for one matrix product. A chunk is the rows of one call of a kernel.

Each kernel has a variant for every number of features up to `MAX_FEW_FEATURES`, which computes distances from
differences, and a variant for more features, which computes them by a matrix product.
"""

from __future__ import annotations

__all__ = ["KERNELS", "compute_distances", "kernel_name", "variants"]

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, TypeVar

from ..compiler import Code, Kernel
from . import common, csr, dense, distances, outputs, panels, sparse
from .arguments import (
    MAX_FEW_FEATURES,
    AccumulateArguments,
    AssignArguments,
    DistortionArguments,
    DistortionGradientArguments,
    HessianArguments,
    MinDistancesArguments,
    PassArguments,
    RowGradientArguments,
    SlopeArguments,
)
from .loops import loop_panels, loop_tiles
from .members import (
    MEMBERS,
    FuzzyAssignArguments,
    NonlinearArguments,
    PreciseArguments,
    RootUpdateArguments,
    UpdateArguments,
    with_member,
)
from .nearest import NearestArguments, nearest

A = TypeVar("A", bound=PassArguments)


def compute_distances(code: Code, t: PassArguments) -> None:
    """Read the panel's rows and compute their distances."""
    distances.read_panel(code, t)
    if t.few:
        distances.distances_by_differences(code, t)
    elif isinstance(t, NonlinearArguments):
        distances.nonlinear_distances(code, t)
    else:
        distances.distances_by_product(code, t)


def accumulate(code: Code, t: AccumulateArguments) -> None:
    """Compute the sums that make `Stats`, those of the distortion's gradient, or those of a Hessian product.

    The class of the arguments decides which.

    The first panel of a tile decides whether the tile's memberships are computed for all clusters, or only for those
    within the cutoff. If a matrix product is too imprecise for a panel, its memberships are computed in the second way,
    with distances from differences.
    """
    use_dense = code.variable(code.true() if t.is_dense else ~code.true())
    for first, rows in loop_tiles(code, t):
        if not t.is_dense:
            common.set_cutoffs(code, t)
        for start in loop_panels(code, t, first, rows):
            compute_distances(code, t)
            if isinstance(t, HessianArguments):
                distances.slopes_along_direction(code, t)
            if t.is_dense:
                _add_dense(code, t)
                continue
            with code.if_then(start < 1):
                use_dense.set(dense.is_cheaper(code, t, by_row=not t.few))
            precise = distances.is_product_precise(code, t) if not t.few else code.true()
            with code.if_else(use_dense & precise) as (all_clusters, near_clusters):
                with all_clusters:
                    _add_dense(code, t)
                with near_clusters:
                    sparse.find_near(code, t)
                    with code.if_then(~precise):
                        sparse.refine_distances(code, t)
                    sparse.compute_memberships(code, t)
                    common.set_row_factors(code, t)
                    if isinstance(t, RootUpdateArguments):
                        _add_kinks(code, t, sparse.near_registers(code, t))
                    sparse.add_memberships(code, t, from_columns=bool(t.few))
                    with code.if_then(use_dense):
                        dense.clear_memberships(code, t)
        if not t.few:
            with code.if_then(use_dense):
                dense.add_products(code, t, first, rows)
        panels.add_lanes(code, t.weight_lanes, t.weight_total, t.k)
        panels.add_lanes(code, t.distortion_lanes, t.distortion_total, t.k)
        if isinstance(t, UpdateArguments):
            panels.add_lanes(code, t.update_lanes, t.update_total, t.k)
        if isinstance(t, RootUpdateArguments):
            panels.add_lanes(code, t.kink_lanes, t.kink_total, t.k)
        if isinstance(t, SlopeArguments):
            panels.add_lanes(code, t.slope_lanes, t.slope_total, t.k)
            panels.add_lanes(code, t.slope_distortion_lanes, t.slope_distortion_total, t.k)
        panels.add_lanes(code, t.weighted_sum_lanes, t.weighted_sum_total, t.k * t.d if t.few else code.integer(0))
        common.add_objective(code, t, rows)


def _add_dense(code: Code, t: AccumulateArguments) -> None:
    """Add the memberships of all clusters of a panel to the sums."""
    dense.compute_memberships(code, t)
    common.set_row_factors(code, t)
    if isinstance(t, RootUpdateArguments):
        _add_kinks(code, t, dense.all_registers(code, t))
    dense.add_memberships(code, t, with_rows=bool(t.few))


def _add_kinks(code: Code, t: RootUpdateArguments, registers: Iterator[Any]) -> None:
    """Add the memberships of rows on a center, where 1 / d is 0, to the sums. Few panels have such rows."""
    with code.if_then(code.mask(t.min_inverse <= 0.0) > 0):
        for i, at, q, p, _ in registers:
            r = t.resp.load(i * code.lanes) * t.row_factors.load(p)
            if isinstance(t, SlopeArguments):
                r = common.gradient_weight(code, t, q, r, r * common.centered(code, t, q, at, p))
            r = t.rule_weight(at, p, r)
            on_center = code.select(t.inverse_roots.load(at) <= 0.0, r, 0.0)
            panels.add_to(code, t.kink_lanes, q * code.lanes, [(on_center, None)])
        t.min_inverse.set(code.full(1.0))


def accumulate_distortion(code: Code, t: DistortionArguments) -> None:
    """Compute the sums that make `DistortionStats`."""
    accumulate(code, t)


def hessian_product(code: Code, t: HessianArguments) -> None:
    """Compute the sums of the product of a Hessian with a direction: see `second_order`."""
    accumulate(code, t)


def row_gradient(code: Code, t: RowGradientArguments) -> None:
    """Write the gradient of the objective with respect to each row: 2 w (z - Σ r c), or with q in place of r."""
    use_dense = code.variable(~code.true())
    common.set_cutoffs(code, t)
    for first, rows in loop_tiles(code, t):
        for start in loop_panels(code, t, first, rows):
            compute_distances(code, t)
            with code.if_then(start < 1):
                use_dense.set(dense.is_cheaper(code, t, by_row=not t.few))
            precise = distances.is_product_precise(code, t) if not t.few else code.true()
            with code.if_else(use_dense & precise) as (all_clusters, near_clusters):
                with all_clusters:
                    dense.compute_memberships(code, t)
                    dense.average_centers(code, t)
                with near_clusters:
                    sparse.find_near(code, t)
                    with code.if_then(~precise):
                        sparse.refine_distances(code, t)
                    sparse.compute_memberships(code, t)
                    sparse.average_centers(code, t)
            outputs.write_row_gradient(code, t)


def row_gradient_distortion(code: Code, t: DistortionGradientArguments) -> None:
    """Write the gradient of the distortion with respect to each row."""
    row_gradient(code, t)


def assign(code: Code, t: AssignArguments) -> None:
    """Write each row's distance to the nearest center and its log-normalizer, and if asked for its memberships."""
    if not t.is_dense:
        common.set_cutoffs(code, t)
    for first, rows in loop_tiles(code, t):
        for _ in loop_panels(code, t, first, rows):
            compute_distances(code, t)
            if isinstance(t, FuzzyAssignArguments):
                dense.compute_memberships(code, t)
                outputs.write_objective(code, t)
                with code.if_then(t.with_resp > 0):
                    outputs.write_all_memberships(code, t)
                continue
            sparse.find_near(code, t)
            if t.is_csr:
                with code.if_then(~distances.is_precise(code, t)):
                    sparse.refine_distances(code, t)
            elif not t.few:
                sparse.refine_distances(code, t)
            sparse.compute_memberships(code, t)
            outputs.write_totals(code, t)
            with code.if_then(t.with_resp > 0):
                outputs.write_memberships(code, t)


def min_distances(code: Code, t: MinDistancesArguments) -> None:
    """Write the smaller of each row's distance to a candidate center and ``closest``, and sum it over rows."""
    for first, rows in loop_tiles(code, t):
        for _ in loop_panels(code, t, first, rows):
            if t.is_csr:
                compute_distances(code, t)
            else:
                distances.read_panel(code, t)
                distances.distances_by_differences(code, t)
            outputs.write_min_distances(code, t)
        panels.add_lanes(code, t.weight_lanes, t.weight_total, t.k)


def kernel_name(name: str, d: int, member: str = "", *, is_csr: bool = False) -> str:
    """Return the name of the variant of a kernel for a number of features, or CSR, and a member of the family."""
    return f"{name}{member}_{'csr' if is_csr else d if d <= MAX_FEW_FEATURES else 'many'}"


def variants(
    write: Callable[[Code, A], None], arguments: type[A], members: Iterable[str] = ("",)
) -> Iterator[Kernel[Any]]:
    """Yield the variants of a kernel for members of the family.

    Each has one for many features, and one for each small number of them.
    """
    for member in members:
        yield from _variants(write, with_member(arguments, member), member)


def _variants(write: Callable[[Code, A], None], arguments: type[A], member: str) -> Iterator[Kernel[Any]]:
    """Yield the variants of a kernel for numbers of features."""
    for few in range(MAX_FEW_FEATURES + 1):

        @wraps(write)
        def write_variant(code: Code, t: A, few: int = few) -> None:
            t.set_few_features(few)
            write(code, t)

        yield Kernel(f"{write.__name__}{member}_{few or 'many'}", write_variant, arguments)


def csr_variants(
    write: Callable[[Code, A], None], arguments: type[A], members: Iterable[str], *first: type[PassArguments]
) -> Iterator[Kernel[Any]]:
    """Yield the variants of a kernel for rows of a CSR matrix; ``first`` are classes of arguments that come first."""
    for member in members:
        yield Kernel(kernel_name(write.__name__, 0, member, is_csr=True), write, with_member(arguments, member, *first))


MIXTURES = ["", "_softmax", "_root"]  # the members whose memberships are those of a mixture
KERNELS: dict[str, Kernel[Any]] = {
    kernel.name: kernel
    for kernel in (
        *variants(accumulate, AccumulateArguments, MEMBERS),
        *variants(accumulate_distortion, DistortionArguments, MIXTURES),
        *variants(hessian_product, HessianArguments, ["", "_softmax"]),
        *variants(row_gradient, RowGradientArguments, MIXTURES),
        *variants(row_gradient_distortion, DistortionGradientArguments, MIXTURES),
        *variants(assign, AssignArguments, MEMBERS),
        *variants(nearest, NearestArguments),
        *variants(min_distances, MinDistancesArguments, ["", "_root"]),
        *csr_variants(accumulate, AccumulateArguments, MEMBERS, csr.CsrAccumulateArguments),
        *csr_variants(accumulate_distortion, DistortionArguments, MIXTURES, csr.CsrAccumulateArguments),
        *csr_variants(assign, AssignArguments, MEMBERS, csr.CsrArguments),
        *csr_variants(nearest, NearestArguments, [""], csr.CsrArguments),
        *csr_variants(min_distances, MinDistancesArguments, [""], csr.CsrArguments, PreciseArguments),
        *csr_variants(min_distances, MinDistancesArguments, ["_root"], csr.CsrArguments),
    )
}
