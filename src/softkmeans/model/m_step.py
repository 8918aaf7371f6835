"""The M-step of expectation-maximization: new centers from sufficient statistics."""

from __future__ import annotations

__all__ = ["distortion_after", "em_step"]

import torch
from torch import Tensor

from .params import Params
from .stats import Stats


def _means(stats: Stats, fallback: Tensor) -> Tensor:
    """Return the weighted means (k, d) of the clusters; clusters without weight get the fallback centers (k, d)."""
    irls_weight = stats.irls_weight[:, None]  # (k, 1)
    has_weight = irls_weight > torch.finfo(irls_weight.dtype).tiny
    return torch.where(has_weight, stats.weighted_sum / irls_weight, fallback)


def em_step(params: Params, stats: Stats) -> Tensor:
    """Return the EM step (k, d) of the centers, to the weighted means of their rows; 0 for clusters without weight.

    If the distance has a kink at the center, rows that coincide with the center shorten the step (Vardi & Zhang, "The
    multivariate L1-median and associated data depth", PNAS 2000).
    """
    step = _means(stats, params.centers) - params.centers
    if not stats.kink_weight.any():  # the rest would change nothing, and takes long for many features
        return step
    resultant = 2 * stats.irls_weight[:, None] * torch.linalg.vector_norm(step, dim=1, keepdim=True)
    moves = resultant > 0
    shrinkage = torch.where(moves, stats.kink_weight[:, None] / torch.where(moves, resultant, 1.0), 0.0)
    return step * (1 - shrinkage.clamp_max(1.0))


def distortion_after(centers: Tensor, params: Params, stats: Stats) -> Tensor:
    """Return the distortion (k,) of each cluster at new centers (k, d), with the old memberships.

    It is an upper bound for distances that are concave in the squared distance. With the weighted mean m,
    Σ w r g ‖x - c‖² changes by A (‖c_new - m‖² - ‖c_old - m‖²). Rows that coincided with the center, at the kink,
    end up ‖c_new - c_old‖ away from it.
    """
    means = _means(stats, params.centers)
    change = (centers - means).square().sum(1) - (params.centers - means).square().sum(1)
    distortion: Tensor = stats.distortion + stats.irls_weight * change
    if stats.kink_weight.any():
        distortion = distortion + stats.kink_weight * torch.linalg.vector_norm(centers - params.centers, dim=1)
    return distortion.clamp_min(0.0)
