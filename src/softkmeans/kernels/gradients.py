"""Reference kernels for gradients: of the distortion by centers, and of the distortion and the objective by rows.

For row i with distances d_ik, memberships r_ik and weight w_i:

=====================  ==================================================================
mean distance          Σ_k r_ik d_ik, the row's distortion
slope                  s_ik = r_ik (d_ik - mean), the derivative of the distortion by logits
gradient weight        q_ik = r_ik - β_k s_ik, the derivative of the distortion by distances
`DistortionStats`      the sums of `Stats` with q in place of r, and sums of slopes
=====================  ==================================================================

Like those of `reference`, the functions compute in float64, tile by tile.
"""

from __future__ import annotations

__all__ = ["Logits", "accumulate_distortion", "row_distortions", "row_gradient"]

import functools
import operator
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.block import Block, join
from ..distances import Distance
from ..model.assignment import AssignmentRule
from ..model.stats import DistortionStats
from .reference import SOFTMAX, center_sums, distances, distances_with_slope, map_tiles


class Logits(NamedTuple):
    """What determines the memberships of rows.

    Attributes
    ----------
    c : Tensor (k, d)
        Centers, transformed like the rows.
    beta, b : Tensor (k,)
        Coefficients of the logits b_k - beta_k d_ik.
    distance : Distance
        The distance d_ik.
    rule : AssignmentRule
        The assignment rule, with the logit of the noise cluster if there is one.
    noise_distance : float
        Distance of the noise cluster from every row.
    """

    c: Tensor
    beta: Tensor
    b: Tensor
    distance: Distance
    rule: AssignmentRule = SOFTMAX
    noise_distance: float = 0.0

    def resp(self, d: Tensor) -> Tensor:
        """Return the memberships (k, m) at distances (k, m)."""
        return self.rule(self.b[:, None] - self.beta[:, None] * d, 0).resp

    def mean_distance(self, resp: Tensor, d: Tensor, shift: Tensor | float = 0.0) -> Tensor:
        """Return each row's mean (m,) of distances (k, m), from which a shift (m,) has been subtracted."""
        mean = (resp * d).sum(0)
        if not self.rule.has_noise:
            return mean
        return mean + (1 - resp.sum(0)).clamp_min(0.0) * (self.noise_distance - shift)

    def slope(self, resp: Tensor, d: Tensor) -> Tensor:
        """Return the slopes s (k, m)."""
        smallest = d.amin(0)
        excess = d - smallest  # so that rounding of large distances does not hide small differences
        return resp * (excess - self.mean_distance(resp, excess, smallest))


def accumulate_distortion(block: Block, logits: Logits) -> DistortionStats:
    """Return the statistics of a block's rows for the distortion, whose gradient includes that of the memberships."""
    parts = map_tiles(lambda tile: _tile_stats(tile.x, tile.w, logits), block, len(logits.c))
    return functools.reduce(operator.add, parts)


def row_distortions(block: Block, logits: Logits) -> Tensor:
    """Return the distortion (m,) of each row, Σ_k r d."""

    def of_tile(tile: Block) -> Tensor:
        d = distances(tile, logits.c, logits.distance).mT
        return logits.mean_distance(logits.resp(d), d)

    return join(map_tiles(of_tile, block, len(logits.c)), len(block))


def row_gradient(block: Block, logits: Logits, *, of_distortion: bool) -> Tensor:
    """Return the gradient of the log-partition function, or of the distortion, with respect to each row.

    Parameters
    ----------
    block : Block
        m embedded rows.
    logits : Logits
        The memberships.
    of_distortion : bool
        Which of the two functions.

    Returns
    -------
    gradient : Tensor (m, d)
        The gradient for each row, times the row's weight.
    """
    parts = map_tiles(lambda tile: _tile_row_gradient(tile.x, tile.w, logits, of_distortion), block, len(logits.c))
    return join(parts, len(block))


def _tile_stats(z: Tensor, w: Tensor, logits: Logits) -> DistortionStats:
    """Return the statistics of a tile's rows z (m, d) with weights w (m,)."""
    d, derivative = distances_with_slope(z, logits.c, logits.distance)
    resp, _, objective = logits.rule(logits.b[:, None] - logits.beta[:, None] * d, 0)
    slope = logits.slope(resp, d) * w
    return DistortionStats(
        **center_sums(z, logits.c, resp * w - logits.beta[:, None] * slope, derivative, logits.distance),
        weight=resp @ w,
        distortion=(resp * w * d).sum(1),
        objective=w @ objective,
        n=w.sum(),
        slope=slope.sum(1),
        slope_distortion=(slope * d).sum(1),
    )


def _tile_row_gradient(z: Tensor, w: Tensor, logits: Logits, of_distortion: bool) -> Tensor:
    """Return the gradient (m, d) with respect to a tile's rows z (m, d) with weights w (m,)."""
    distance, c = logits.distance, logits.c
    d, derivative = distances_with_slope(z, c, distance)
    resp = logits.resp(d)
    weight = resp - logits.beta[:, None] * logits.slope(resp, d) if of_distortion else -logits.beta[:, None] * resp
    weight = weight * w
    if not distance.is_radial:
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            differentiable = distance.between(leaf, c)
        return torch.autograd.grad(differentiable, leaf, weight.mT)[0]
    if isinstance(derivative, Tensor):
        derivative = derivative.masked_fill(derivative.isinf(), 0.0)  # rows on a center, where there is a kink
    weight = 2 * weight * derivative
    return weight.sum(0)[:, None] * z - weight.mT @ c
