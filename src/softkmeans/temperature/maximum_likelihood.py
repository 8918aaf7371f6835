"""The temperature that makes the data likeliest."""

from __future__ import annotations

__all__ = ["MaximumLikelihood"]

import math
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from ..data.scaling import Scaling
from .base import TemperatureRule


@dataclass(frozen=True)
class MaximumLikelihood(TemperatureRule):
    """The temperature at which the equivalent mixture makes the data likeliest: T = 2 E / (Σw d) at the optimum.

    Parameters
    ----------
    floor : float
        T stays above this times twice the data's variance, and so above 0 when every row sits on a center. The
        default is far below the squared distances of rows that float64 can tell apart in clusters of any kind.
    per_cluster : bool
        Whether each cluster learns its own: the spherical mixture (MacKay's second soft k-means).
    """

    floor: float = 1e-20
    per_cluster: bool = False
    learned = True

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return self.update(scaling, math.nan, mean_distortion())

    @override
    def update(self, scaling: Scaling, temperature: float, mean_distortion: float) -> float:
        likeliest = scaling.distance.likeliest_temperature(mean_distortion, len(scaling.shift))
        return max(likeliest, self.least(scaling))

    def least(self, scaling: Scaling) -> float:
        """Give what T stays above."""
        return self.floor * 2 * (scaling.variance or 1.0)
