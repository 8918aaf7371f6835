"""The maximum-likelihood temperature."""

from __future__ import annotations

__all__ = ["PER_CLUSTER", "MaximumLikelihood"]

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from ..data.scaling import Scaling
from .base import TemperatureRule


@dataclass(frozen=True)
class MaximumLikelihood(TemperatureRule):
    """The T that maximizes the likelihood of the equivalent mixture: T = 2 E / (Σw d) at the optimum.

    Parameters
    ----------
    floor : float
        Lower bound of T, relative to twice the data's variance; it keeps T above 0 if every row coincides with a
        center. The default is far below the squared distances between rows that float64 can distinguish.
    per_cluster : bool
        Whether each cluster learns its own T, as in a spherical mixture (MacKay's second soft k-means).
    """

    floor: float = 1e-20
    per_cluster: bool = False
    learned = True

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return self.update(scaling, math.nan, mean_distortion())

    @override
    def update(self, scaling: Scaling, temperature: float, mean_distortion: float) -> float:
        likeliest = scaling.distance.likeliest_temperature(mean_distortion, scaling.n_features)
        return max(likeliest, self.lower_bound(scaling))

    @override
    def updates(self, scaling: Scaling, temperatures: Tensor, mean_distortions: Tensor) -> Tensor:
        likeliest = scaling.distance.likeliest_temperatures(mean_distortions, scaling.n_features)
        return likeliest.clamp_min(self.lower_bound(scaling))

    def lower_bound(self, scaling: Scaling) -> float:
        """Return the lower bound of T."""
        return self.floor * 2 * (scaling.variance or 1.0)


PER_CLUSTER = MaximumLikelihood(per_cluster=True)
