"""Reference kernels: soft k-means on a block of rows, in plain PyTorch.

The compiled kernels are tested against these functions. For row i and cluster k:

=================  ======================================================
distance           d_ik = d(x_i, c_k)
logit              b_k - beta_k d_ik, where beta_k = 1 / T_k
membership         r_ik = exp(logit_ik) / Σ_j exp(logit_ij)
log-normalizer     log Σ_k exp(logit_ik)
`Stats`            sums over rows, such as Σ w r, Σ w r x and Σ w r d
=================  ======================================================

Memberships and log-normalizers are those of the softmax, the default assignment rule; other rules replace them.

All functions compute in float64, whatever the type of the data (float32 on Apple's GPUs, which have no float64). They
process a block tile by tile, so that each temporary array has at most ``TILE_ENTRIES`` numbers and stays in cache.
"""

from __future__ import annotations

__all__ = [
    "SOFTMAX",
    "accumulate",
    "assign",
    "center_sums",
    "distances",
    "distances_with_slope",
    "entropy_slope",
    "far_rows",
    "has_far_memberships",
    "lognorm",
    "map_tiles",
    "min_distances",
    "nearest",
    "precise_squared_distances",
    "tiles",
]

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from .._utils.one_thread import in_one_thread, map_in_single_threads
from ..arrays.distances import FAR_RATIO, MIN_PRODUCT_RATIO
from ..data.block import Block, join
from ..distances import Distance
from ..model.assignment import Assignment, AssignmentRule, Softmax
from ..model.stats import Stats

T = TypeVar("T")

SOFTMAX = Softmax()  # the default assignment rule
TILE_ENTRIES = 2**18  # rows times clusters: 2 MB in float64, about the second-level cache of a core


def tiles(block: Block, n_clusters: int) -> Iterator[Block]:
    """Split a block into tiles so small that an array (rows of a tile, clusters) stays in cache."""
    return block.split(max(1, TILE_ENTRIES // max(n_clusters, block.rows.shape[1])))


def map_tiles(function: Callable[[Block], T], block: Block, n_clusters: int) -> Iterator[T]:
    """Yield the results of a function of each tile; on the CPU, their bits do not depend on the number of threads."""
    mapped = map_in_single_threads if block.device.type == "cpu" else map
    return iter(mapped(function, tiles(block, n_clusters)))


def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """Return the distances (m, k) of a block's m rows to centers (k, d).

    Centers are transformed like the rows: centered, scaled, and embedded by the distance. At least half of the digits
    are correct.
    """
    return join(map_tiles(lambda tile: _distances(tile.x, c, distance).mT, block, len(c)), len(block))


def assign(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Tensor:
    """Return the memberships of rows in clusters.

    Parameters
    ----------
    block : Block
        m rows.
    c : Tensor (k, d)
        Centers, transformed like the block's rows.
    beta, b : Tensor (k,)
        Coefficients of the logits b_k - beta_k d_ik: the inverse temperatures and the log-priors.
    distance : Distance
        The distance d_ik.
    rule : AssignmentRule
        The assignment rule, which turns logits into memberships.

    Returns
    -------
    resp : Tensor (m, k)
        Memberships. Rows sum to 1, or to less if there is a noise cluster, whose membership is the rest.
    """
    parts = map_tiles(lambda tile: _memberships(tile.x, c, beta, b, distance, rule).mT, block, len(c))
    return join(parts, len(block))


def lognorm(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Tensor:
    """Return the log-normalizer (m,) of each row's memberships; the parameters are those of `assign`."""
    parts = map_tiles(lambda tile: _assignment(tile.x, c, beta, b, distance, rule).objective, block, len(c))
    return join(parts, len(block))


def accumulate(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Stats:
    """Return the sufficient statistics of a block's rows; the parameters are those of `assign`."""
    parts = map_tiles(lambda tile: _tile_stats(tile.x, tile.w, c, beta, b, distance, rule), block, len(c))
    return functools.reduce(operator.add, parts)


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return the index (m,) of each row's nearest center, the lower index in a tie, and its distance (m,)."""
    parts = map_tiles(lambda tile: _nearest(tile.x, c, distance), block, len(c))
    label, min_distance = join(parts, len(block)).mT.contiguous()
    return label.long(), min_distance


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Evaluate candidates for the next center, as k-means++ seeding does.

    Parameters
    ----------
    block : Block
        m rows.
    c : Tensor (k, d)
        Candidate centers, transformed like the block's rows.
    closest : Tensor (m,)
        Distance of each row to the nearest of the centers chosen so far.
    distance : Distance
        The distance.

    Returns
    -------
    distances : Tensor (k, m)
        Distance of each row to its nearest center if one candidate were added to the centers.
    potential : Tensor (k,) of float64
        Weighted sums of these distances over rows.
    """
    updated = torch.minimum(distances(block, c, distance).mT, closest)
    if block.device.type == "cpu":
        return updated, in_one_thread(lambda: updated @ block.w).double()
    return updated, (updated @ block.w).double()


def entropy_slope(
    block: Block,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    distance: Distance,
    rule: AssignmentRule = SOFTMAX,
    noise: float = 0.0,
) -> Tensor:
    """Return the derivative (1,) of a block's entropy in log T, at fixed centers: Σ w Cov_r(d / T, -logit).

    The parameters are those of `assign`, and ``noise``: d / T of the noise cluster, whose logit is an attribute of the
    assignment rule.
    """
    parts = map_tiles(
        lambda tile: _tile_entropy_slope(tile.x, tile.w, c, beta, b, distance, rule, noise), block, len(c)
    )
    return functools.reduce(operator.add, parts)


# The rest works on one tile: rows z (m, d) and weights w (m,). Arrays are (k, m), with clusters first: a sum over
# clusters then adds up long, contiguous rows.


def _distances(z: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Return the distances (k, m) of centers (k, d) to rows (m, d)."""
    return distance.of_squared(_squared(z, c)) if distance.is_radial else distance.between(z, c).mT


def _squared(z: Tensor, c: Tensor) -> Tensor:
    """Return the squared Euclidean distances (k, m) of centers (k, d) to rows (m, d)."""
    return precise_squared_distances(c, z)


def precise_squared_distances(z: Tensor, c: Tensor) -> Tensor:
    """Return squared Euclidean distances (n, k) of rows (n, d) to centers (k, d), with at least half of the digits.

    They are computed by a matrix product, or from differences if the product loses them to cancellation.
    """
    norms = z.square().sum(1, keepdim=True) + c.square().sum(1)
    squared = torch.addmm(norms, z, c.mT, alpha=-2).clamp_min_(0)
    if (squared < MIN_PRODUCT_RATIO * norms).any():
        squared = torch.cdist(z, c, compute_mode="donot_use_mm_for_euclid_dist").square()
    return squared


def _logits(d: Tensor, beta: Tensor, b: Tensor) -> Tensor:
    """Return the logits (k, m) at distances (k, m)."""
    return b[:, None] - beta[:, None] * d


def _assignment(z: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule) -> Assignment:
    """Apply the assignment rule to a tile; clusters come first in what it returns."""
    return rule(_logits(_distances(z, c, distance), beta, b), 0)


def _memberships(z: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule) -> Tensor:
    """Return the memberships (k, m) of the rows of a tile."""
    d = _distances(z, c, distance)
    resp = rule(_logits(d, beta, b), 0).resp
    if has_far_memberships(beta, rule):
        far = far_rows(d.amin(0), c, distance)
        if len(far):
            resp[:, far] = rule(_logits(_relative_distances(z[far], c), beta, b), 0).resp
    return resp


def has_far_memberships(beta: Tensor, rule: AssignmentRule) -> bool:
    """Return whether memberships depend on differences of distances alone, which those of far rows lose."""
    return rule.uses_temperature and not rule.has_noise and bool((beta == beta[0]).all())


def far_rows(min_distance: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Return the indices (r,) of rows far from all centers, given their distances (m,) to the nearest center.

    For these rows, the distances to two centers are nearly equal, and their difference is lost to rounding.
    """
    if not distance.is_squared:
        return min_distance.new_empty(0, dtype=torch.int64)
    size = (c - c[0]).square().sum(1).max()
    return (min_distance > FAR_RATIO * size).nonzero()[:, 0]


def _relative_distances(z: Tensor, c: Tensor) -> Tensor:
    """Return the squared distances (k, m) of centers to rows, less those of the first center, without cancellation."""
    step = c - c[0]
    return (step * (c + c[0])).sum(1)[:, None] - 2 * step @ z.mT


def _nearest(z: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Return the nearest center's index and distance as an array (m, 2) of floats."""
    min_distance, index = _distances(z, c, distance).min(0)
    far = far_rows(min_distance, c, distance)
    if len(far):
        index[far] = _relative_distances(z[far], c).argmin(0)
    return torch.stack([index.to(min_distance), min_distance], 1)


def _tile_stats(
    z: Tensor, w: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule
) -> Stats:
    """Return the sufficient statistics of a tile."""
    d, slope = distances_with_slope(z, c, distance)
    assignment = rule(_logits(d, beta, b), 0)
    update_weight = assignment.update_weight * w
    return Stats(
        **center_sums(z, c, update_weight, slope, distance),
        weight=assignment.resp @ w,
        distortion=(update_weight * d).sum(1),
        objective=w @ assignment.objective,
        n=w.sum(),
    )


def distances_with_slope(z: Tensor, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor | float]:
    """Return the distances (k, m), and their derivatives with respect to the squared Euclidean distances."""
    if distance.constant_slope is not None:
        return _distances(z, c, distance), distance.constant_slope
    if distance.is_radial:
        return distance.with_slope(_squared(z, c))
    return _distances(z, c, distance), 1.0


def center_sums(
    z: Tensor, c: Tensor, update_weight: Tensor, slope: Tensor | float, distance: Distance
) -> dict[str, Tensor]:
    """Return the sums of `Stats` that determine the centers, for rows with weights (k, m), by name."""
    kink_weight = c.new_zeros(len(c))
    if isinstance(slope, Tensor):
        at_kink = slope.isinf()  # rows exactly on a center, where the distance has no derivative
        slope = slope.masked_fill(at_kink, 0.0)
        if at_kink.any():
            kink_weight = (update_weight * at_kink).sum(1)
    irls_weight = update_weight * slope
    weight = irls_weight.sum(1)
    if distance.has_update:
        weighted_sum = irls_weight @ z
    else:  # there is no weighted mean, only a gradient, ∂F/∂c_k = 2 (A_k c_k - S_k)
        weighted_sum = weight[:, None] * c - _center_gradient(z, c, update_weight, distance) / 2
    return {"irls_weight": weight, "weighted_sum": weighted_sum, "kink_weight": kink_weight}


def _center_gradient(z: Tensor, c: Tensor, update_weight: Tensor, distance: Distance) -> Tensor:
    """Return the gradient (k, d) of the sum of distances, with weights (k, m), by automatic differentiation."""
    with torch.enable_grad():
        leaf = c.detach().requires_grad_()
        loss = (update_weight.detach() * distance.between(z, leaf).mT).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def _tile_entropy_slope(
    z: Tensor,
    w: Tensor,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    distance: Distance,
    rule: AssignmentRule,
    noise: float,
) -> Tensor:
    """Return the derivative (1,) of a tile's entropy in log T."""
    scaled = beta[:, None] * _distances(z, c, distance)  # d / T
    logits = b[:, None] - scaled
    resp = rule(logits, 0).resp
    if rule.noise_logit > -math.inf:  # the noise cluster is one more cluster
        scaled = torch.cat([scaled, scaled.new_full((1, len(z)), noise)])
        logits = torch.cat([logits, logits.new_full((1, len(z)), rule.noise_logit)])
        resp = torch.cat([resp, (1 - resp.sum(0, keepdim=True)).clamp_min(0.0)])
    mean_scaled = (resp * scaled).sum(0)
    mean_logit = (resp * logits).sum(0)
    covariance = (resp * (scaled - mean_scaled) * (mean_logit - logits)).sum(0)
    return (w @ covariance)[None]
