"""Parameters of a model, and what a pass computes at them."""

from __future__ import annotations

__all__ = ["Evaluation", "ModelSpec", "Params", "PassStats"]

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
