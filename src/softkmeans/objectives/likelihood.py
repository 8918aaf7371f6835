"""The negative log-likelihood of the equivalent mixture model."""

from __future__ import annotations

__all__ = ["NegativeLogLikelihood"]

import math

import torch
from torch import Tensor
from typing_extensions import override

from ..model.assignment import AssignmentRule
from ..model.params import Params, PassStats
from .base import Objective, map_values


class NegativeLogLikelihood(Objective):
    """The NLL = F / T + Σw (log k + log Z(T)) of the equivalent mixture, by which T can be learned."""

    name = "nll"

    @override
    def logit_offsets(self, params: Params) -> tuple[Tensor, AssignmentRule]:
        b, rule = super().logit_offsets(params)
        if not self.temperature.per_cluster:
            return b, rule
        log_z = self._log_partitions(params)
        return b - log_z + log_z.min(), rule

    def _log_partitions(self, params: Params) -> Tensor:
        """Return log Z(T): (k,) if each cluster has a temperature, otherwise (1,)."""

        def log_z(t: float) -> float:
            temperature = torch.tensor(t, dtype=torch.float64)
            return float(self.scaling.distance.log_partition(temperature, len(self.scaling.shift)))

        return map_values(log_z, params.temperature[self._temperature_index])

    def log_normalizer(self, params: Params) -> float:
        """Return the normalization constant: a row's log-density is the logsumexp of its logits minus this."""
        return math.log(len(params.log_prior)) + float(self._log_partitions(params).min())

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return -float(sums.stats.objective) + float(sums.stats.n) * self.log_normalizer(params)

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return float(sums.stats.n) * len(self.scaling.shift)

    @override
    def logit_scale(self, params: Params) -> float:
        return 1.0

    @override
    def in_data_units(self, value: float, n: float) -> float:
        # If rows are multiplied by s, densities are multiplied by s ** -d; on the sphere they stay the same.
        log_scale = math.log(self.scaling.scale) if self.scaling.distance.translates else 0.0
        return value + n * len(self.scaling.shift) * log_scale
