"""The negative log-likelihood of the equivalent mixture model."""

from __future__ import annotations

__all__ = ["NegativeLogLikelihood"]

import math

from torch import Tensor
from typing_extensions import override

from ..model.logits import log_normalizer
from ..model.params import Params, PassStats
from .base import Objective


class NegativeLogLikelihood(Objective):
    """The NLL = F / T + Σw (log k + log Z(T)) of the equivalent mixture, by which T can be learned."""

    name = "nll"
    _normalizer: tuple[Tensor, float] | None = None

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return -float(sums.stats.objective) + float(sums.stats.n) * self._log_normalizer(params)

    def _log_normalizer(self, params: Params) -> float:
        """Return the normalization constant of the mixture, kept because each pass uses it several times."""
        if self._normalizer is None or self._normalizer[0] is not params.temperature:
            self._normalizer = (params.temperature, log_normalizer(params, self.spec, self.scaling.distance))
        return self._normalizer[1]

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return float(sums.stats.n) * self.scaling.n_features

    @override
    def logit_scale(self, params: Params) -> float:
        return 1.0

    @override
    def in_data_units(self, value: float, n: float) -> float:
        # If rows are multiplied by s, densities are multiplied by s ** -d; on the sphere they stay the same.
        log_scale = math.log(self.scaling.scale) if self.scaling.distance.translates else 0.0
        return value + n * self.scaling.n_features * log_scale
