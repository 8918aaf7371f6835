"""The objectives of softmax memberships: free energy, likelihood, and distortion."""

from __future__ import annotations

__all__ = ["Distortion", "FreeEnergy", "NegativeLogLikelihood"]

import math

import torch
from torch import Tensor
from typing_extensions import override

from .. import functional
from ..data.block import Block
from ..kernels import tiles
from ..model.assignment import AssignmentRule
from ..model.params import Params, PassStats
from .base import Objective, each


class FreeEnergy(Objective):
    """F = -T Σ w log Σ exp(b - d / T), at a temperature that is not learned."""

    name = "free_energy"

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return self.free_energy(params, sums)

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return self.distortion(sums.stats)

    @override
    def logit_scale(self, params: Params) -> float:
        return float(params.temperature[0])

    @override
    def in_data_units(self, value: float, n: float) -> float:
        return value * self.scaling.unit


class NegativeLogLikelihood(Objective):
    """NLL = F / T + Σw (log k + log Z(T)) of the equivalent mixture, the objective that can learn T."""

    name = "nll"

    @override
    def logit_offsets(self, params: Params) -> tuple[Tensor, AssignmentRule]:
        b, rule = super().logit_offsets(params)
        if not self.temperature.per_cluster:
            return b, rule
        log_z = self._log_partitions(params)
        return b - log_z + log_z.min(), rule

    def _log_partitions(self, params: Params) -> Tensor:
        """Log Z(T) of each cluster (k,), or (1,) if all share a temperature."""

        def log_z(t: float) -> float:
            one = torch.tensor(t, dtype=torch.float64)
            return float(self.scaling.distance.log_partition(one, len(self.scaling.shift)))

        return each(log_z, params.temperature[self._which])

    def level(self, params: Params) -> float:
        """Give what a row's log-density is less than its logsumexp of the logits."""
        return math.log(len(params.log_prior)) + float(self._log_partitions(params).min())

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return -float(sums.stats.objective) + float(sums.stats.n) * self.level(params)

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return float(sums.stats.n) * len(self.scaling.shift)

    @override
    def logit_scale(self, params: Params) -> float:
        return 1.0

    @override
    def in_data_units(self, value: float, n: float) -> float:
        # A density over rows s times as wide is s ** -d as high; on the sphere nothing changes.
        widening = math.log(self.scaling.scale) if self.scaling.distance.translates else 0.0
        return value + n * len(self.scaling.shift) * widening


class Distortion(FreeEnergy):
    """E = Σ w r d with its full gradient, through r; by autograd, and for solvers that need no more than a gradient."""

    name = "distortion"
    has_update = False  # EM lowers F

    @override
    def accumulate(self, block: Block, params: Params) -> PassStats:
        c, t = params.centers.detach().requires_grad_(), float(params.temperature[0])
        gradient = torch.zeros_like(params.centers)
        with torch.enable_grad():
            for tile in tiles(block, len(c)):
                each = functional.distortion(tile.x, c, t, self.scaling.distance, reduction="none")
                gradient += torch.autograd.grad(tile.w @ each, c)[0]
        return super().accumulate(block, params)._replace(extra=gradient)

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return self.distortion(sums.stats)

    @override
    def gradient(self, params: Params, sums: PassStats) -> Tensor:
        return self._tangent(params, sums.extra).flatten()
