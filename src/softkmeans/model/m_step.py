"""The M-step of expectation-maximization: new centers from sufficient statistics."""

from __future__ import annotations

__all__ = ["distortion_after", "em_step"]

import torch
from torch import Tensor

from .params import Params
from .stats import Stats


def _means(stats: Stats, otherwise: Tensor) -> Tensor:
    """Weighted means (k, d) of the clusters' rows; the centers given for clusters without weight."""
    irls_weight = stats.irls_weight[:, None]  # (k, 1)
    alive = irls_weight > torch.finfo(irls_weight.dtype).tiny
    return torch.where(alive, stats.weighted_sum / torch.where(alive, irls_weight, 1.0), otherwise)


def em_step(params: Params, stats: Stats) -> Tensor:
    """How far (k, d) EM moves each center: to the weighted mean of its rows; a cluster without weight stays.

    Where rows sit on a center and the distance has a kink there, they hold the center back (Vardi & Zhang, "The
    multivariate L1-median and associated data depth", PNAS 2000).
    """
    step = _means(stats, params.centers) - params.centers
    resultant = 2 * stats.irls_weight[:, None] * torch.linalg.vector_norm(step, dim=1, keepdim=True)
    held = torch.where(resultant > 0, stats.kink_weight[:, None] / torch.where(resultant > 0, resultant, 1.0), 0.0)
    return step * (1 - held.clamp_max(1.0))


def distortion_after(centers: Tensor, params: Params, stats: Stats) -> Tensor:
    """E of each cluster (k,) at new centers and the old responsibilities, or, for concave distances, a bound on it.

    Around the mean m, A ‖x - c‖² changes by A (‖c_new - m‖² - ‖c_old - m‖²),
    and rows on a kink end up ‖c_new - c_old‖ away.
    """
    means, norm = _means(stats, params.centers), torch.linalg.vector_norm
    spread = norm(centers - means, dim=1).square() - norm(params.centers - means, dim=1).square()
    moved = norm(centers - params.centers, dim=1)
    after: Tensor = stats.distortion + stats.irls_weight * spread + stats.kink_weight * moved
    return after.clamp_min(0.0)
