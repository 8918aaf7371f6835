"""A point of the search, what a pass finds there, and where EM's step leads from it."""

from __future__ import annotations

__all__ = ["Evaluation", "ModelSpec", "Params", "PassStats", "distortion_after", "em_step"]

from typing import NamedTuple

import torch
from torch import Tensor

from .assignment import AssignmentRule, Softmax
from .stats import Stats


class Params(NamedTuple):
    """A point of the search, in the space the fit works in.

    Attributes
    ----------
    centers : Tensor (k, d)
        Embedded centers.
    temperature : Tensor (k,)
        T > 0 of each cluster; all the same unless the rule says otherwise.
    log_prior : Tensor (k,) or (k + 1,)
        Log of each cluster's prior; with a cluster of noise, that comes last.
    """

    centers: Tensor
    temperature: Tensor
    log_prior: Tensor


class ModelSpec(NamedTuple):
    """Which member of the family is fitted; the default is soft k-means itself.

    Attributes
    ----------
    rule : AssignmentRule
        From logits to memberships.
    learn_priors : bool
        Whether priors are learned with the centers.
    noise : float or None
        The distance at which the cluster of noise is from every row, in the space the fit works in, if there is one.
    frozen : Tensor (k,) of bool or None
        Which centers stay where they start.
    """

    rule: AssignmentRule = Softmax()
    learn_priors: bool = False
    noise: float | None = None
    frozen: Tensor | None = None


class PassStats(NamedTuple):
    """Stats of some rows at some Params, and what more an objective needs of them.

    Attributes
    ----------
    stats : Stats
        All that the free energy and the likelihood need.
    extra : Tensor
        ∂E/∂c (k, d) where the distortion E is the objective, ∂H/∂log T (1,) where T solves for the entropy; else
        nothing (0,).
    """

    stats: Stats
    extra: Tensor = torch.empty(0)

    def __add__(self, other: PassStats) -> PassStats:  # type: ignore[override]
        return PassStats(self.stats + other.stats, self.extra + other.extra)


class Evaluation(NamedTuple):
    """A point, the summary of all rows there, and the objective."""

    params: Params
    sums: PassStats
    value: float


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
