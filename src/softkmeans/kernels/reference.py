"""The obvious PyTorch version of the kernels: the oracle that faster ones are tested against.

It works in float64 whatever the data's type, tile by tile, so that at most ``TILE`` numbers a temporary are held.
"""

from __future__ import annotations

__all__ = ["accumulate", "assign", "distances", "lognorm", "min_distances", "nearest", "tiles"]

import functools
import math
import operator
from collections.abc import Iterator

import torch
from torch import Tensor

from ..data.block import Block, join
from ..distances import Distance, squared_distances
from ..model.assignment import AssignmentRule, Softmax
from ..model.stats import Stats

PLAIN = Softmax()
TILE = 2**18  # rows times clusters: 2 MB in float64, about a core's second-level cache


def tiles(block: Block, n_clusters: int) -> Iterator[Block]:
    """Cut a block so that an array of a tile's rows by clusters stays in cache."""
    return block.split(max(1, TILE // max(n_clusters, block.rows.shape[1])))


def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """Distances (m, k) of a block's rows to centers (k, d) in its frame, good to half their digits or better."""
    return join((_distances(tile.x, c, distance).mT for tile in tiles(block, len(c))), len(block))


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Compare the rows' distances to centers (k, d) with what they have, ``closest`` (m,), as seeding does.

    Returns
    -------
    distances : Tensor (k, m)
        What each row would have if one center were added.
    potential : Tensor (k,) of float64
        Their weighted sums.
    """
    options = torch.minimum(distances(block, c, distance).mT, closest)
    return options, (options @ block.w).double()


def assign(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = PLAIN
) -> Tensor:
    """Memberships of rows in clusters.

    Parameters
    ----------
    block : Block
        m rows.
    c : Tensor (k, d)
        Embedded centers, in the block's frame.
    beta, b : Tensor (k,)
        The logits are b_k - beta_k d_ik.
    distance : Distance
        Gives d_ik.
    rule : AssignmentRule
        From logits to memberships.

    Returns
    -------
    resp : Tensor (m, k)
        Memberships; rows sum to 1, or less where they may belong to no cluster.
    """
    return join((rule(_logits(tile.x, c, beta, b, distance), 0).resp.mT for tile in tiles(block, len(c))), len(block))


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Give the number (m,) of each row's nearest center, the lower one where two are as near, and its distance (m,)."""
    found = (_distances(tile.x, c, distance).min(0) for tile in tiles(block, len(c)))
    both = join((torch.stack([near.indices.to(near.values), near.values], 1) for near in found), len(block))
    label, far = both.mT.contiguous()
    return label.long(), far


def lognorm(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = PLAIN
) -> Tensor:
    """Give the log-normalizer (m,) of each row's memberships; the parameters are those of `assign`."""
    return join((rule(_logits(tile.x, c, beta, b, distance), 0).objective for tile in tiles(block, len(c))), len(block))


def accumulate(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = PLAIN
) -> Stats:
    """Sum up a block's rows into Stats; the parameters are those of `assign`."""
    parts = (_tile(tile.x, tile.w, c, beta, b, distance, rule) for tile in tiles(block, len(c)))
    return functools.reduce(operator.add, parts)


def _tile(z: Tensor, w: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule) -> Stats:
    d = _distances(z, c, distance)  # (k, m): clusters first, so that what is done along them runs over long rows
    shares = rule(b[:, None] - beta[:, None] * d, 0)
    update_weight = shares.update_weight * w
    slope = distance.slope(d)  # () or (k, m)
    kink = slope.isinf() if isinstance(slope, Tensor) else torch.zeros((), dtype=torch.bool)
    irls_weight = update_weight * (slope.masked_fill(kink, 0.0) if isinstance(slope, Tensor) else slope)
    return Stats(
        weight=shares.resp @ w,
        irls_weight=irls_weight.sum(1),
        weighted_sum=irls_weight @ z,
        kink_weight=(update_weight * kink).sum(1) if kink.any() else torch.zeros_like(beta),
        distortion=(update_weight * d).sum(1),
        objective=w @ shares.objective,
        n=w.sum(),
    )


def entropy_slope(
    block: Block,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    distance: Distance,
    rule: AssignmentRule = PLAIN,
    noise: float = 0.0,
) -> Tensor:
    """Sum up how much (1,) a block's entropy rises as log T rises by 1 and centers stay: Σ w Cov_r(d / T, -logit).

    The parameters are those of `assign`; ``noise`` is the d / T of belonging to no cluster, whose logit the rule has.
    """

    def of(z: Tensor, w: Tensor) -> Tensor:
        logit_scale = beta[:, None] * _distances(z, c, distance)  # (k, m)
        logits = b[:, None] - logit_scale
        resp = rule(logits, 0).resp
        if rule.outside > -math.inf:
            logit_scale, logits = (
                torch.cat([each, each.new_full((1, len(z)), value)])
                for each, value in ((logit_scale, noise), (logits, rule.outside))
            )
            resp = torch.cat([resp, (1 - resp.sum(0, keepdim=True)).clamp_min(0.0)])
        return (w @ (resp * (logit_scale - (resp * logit_scale).sum(0)) * ((resp * logits).sum(0) - logits)).sum(0))[
            None
        ]

    return functools.reduce(operator.add, (of(tile.x, tile.w) for tile in tiles(block, len(c))))


def _logits(z: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance) -> Tensor:
    return b[:, None] - beta[:, None] * _distances(z, c, distance)


def _distances(z: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Distances (k, m) of embedded centers to embedded rows; by differences where the product cancels."""
    squared = squared_distances(c, z)
    norms = c.square().sum(1, keepdim=True) + z.square().sum(1)
    if (squared < 1e-7 * norms).any():  # both are far from the origin and near each other
        squared = torch.cdist(c, z, compute_mode="donot_use_mm_for_euclid_dist").square()
    return distance.of_squared(squared)
