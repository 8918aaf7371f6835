"""The objective of fuzzy c-means."""

from __future__ import annotations

__all__ = ["FuzzyDistortion"]

import math
from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import override

from ..model.assignment import AssignmentRule, Fuzzy
from ..model.params import Params, PassStats
from ..model.stats import Stats
from .free_energy import FreeEnergy


class FuzzyDistortion(FreeEnergy):
    """The objective J = Σ w u^m d of fuzzy c-means, at the optimal memberships u. T is 1 and has no meaning."""

    name = "fuzzy"

    @override
    def logit_offsets(self, params: Params) -> tuple[Tensor, AssignmentRule]:
        rule, noise = self.spec.rule, self.spec.noise
        assert isinstance(rule, Fuzzy)  # noqa: S101 -- for mypy
        return torch.zeros_like(params.temperature), rule if noise is None else replace(rule, noise_logit=-noise)

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return -float(sums.stats.objective)

    @override
    def distortion(self, stats: Stats) -> float:
        return -float(stats.objective)

    @override
    def entropy(self, params: Params, sums: PassStats) -> float:
        return math.nan  # cannot be computed from the sums

    @override
    def mean_entropy(self, params: Params, sums: PassStats) -> float:
        return math.inf
