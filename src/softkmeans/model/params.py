"""The parameters of a model, and the sums that one pass over the data computes at given parameters."""

from __future__ import annotations

__all__ = ["MIN_PRIOR", "Evaluation", "ModelSpec", "Params", "PassStats"]

from typing import NamedTuple

import torch
from torch import Tensor

from .._utils.few_numbers import as_array
from ..arrays.model import MIN_PRIOR
from .assignment import AssignmentRule, Softmax
from .stats import Stats


class Params(NamedTuple):
    """The parameters that a fit optimizes, in the units of the scaled data.

    Attributes
    ----------
    centers : Tensor (k, d)
        Centers, embedded by `Distance.embed`.
    temperature : Tensor (k,)
        T > 0 of each cluster; all equal unless the temperature rule is per cluster.
    log_prior : Tensor (k,) or (k + 1,)
        Log of the prior of each cluster; that of the noise cluster, if there is one, is the last.
    """

    centers: Tensor
    temperature: Tensor
    log_prior: Tensor

    @property
    def shared_temperature(self) -> float:
        """The temperature, if clusters share one."""
        return float(as_array(self.temperature)[0])


class ModelSpec(NamedTuple):
    """The variant of the model that is fitted; the default is plain soft k-means.

    Attributes
    ----------
    rule : AssignmentRule
        Maps logits to memberships.
    learn_priors : bool
        Whether priors are learned together with the centers.
    noise : float or None
        Distance of the noise cluster from every row, in the units of the scaled data; None without a noise cluster.
    frozen : Tensor (k,) of bool or None
        True for the centers that keep their initial values.
    per_cluster : bool
        Whether each cluster has its own temperature.
    """

    rule: AssignmentRule = Softmax()
    learn_priors: bool = False
    noise: float | None = None
    frozen: Tensor | None = None
    per_cluster: bool = False


class PassStats(NamedTuple):
    """The Stats of some rows at given Params, and the further sums that some objectives need.

    Attributes
    ----------
    stats : Stats
        The sums that every objective needs.
    extra : Tensor
        ∂H/∂log T (1,) if T is determined by the entropy H; otherwise
        empty (0,).
    """

    stats: Stats
    extra: Tensor = torch.empty(0, device="cpu")

    def __add__(self, other: PassStats) -> PassStats:  # type: ignore[override]
        return PassStats(self.stats + other.stats, self.extra + other.extra)


class Evaluation(NamedTuple):
    """Parameters, the sums over all rows at these parameters, and the value of the objective."""

    params: Params
    sums: PassStats
    value: float
