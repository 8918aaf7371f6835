"""Any distance, with centers that move to plain weighted means."""

from __future__ import annotations

__all__ = ["MeanUpdate"]

import numpy as np
from torch import Tensor
from typing_extensions import override

from .base import Array, Distance


class MeanUpdate(Distance):
    """Another distance, whose centers move to plain weighted means, as in the textbook, whatever the distance.

    Where the mean is not what minimizes the weighted distances, no objective falls with these steps.

    Parameters
    ----------
    distance : Distance
        The other one.
    """

    def __init__(self, distance: Distance) -> None:
        self.distance, self.name, self.power = distance, distance.name, distance.power
        self.translates, self.min_features = distance.translates, distance.min_features

    @override
    def embed(self, x: Tensor) -> Tensor:
        return self.distance.embed(x)

    @override
    def tangent(self, c: Tensor, gradient: Tensor) -> Tensor:
        return self.distance.tangent(c, gradient)

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        return self.distance.of_squared(squared)

    @override
    def slope(self, d: Tensor) -> float:
        return 1.0

    @override
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        return self.distance.log_partition(temperature, n_features)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        return self.distance.mean_distortion(temperature, n_features)

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        return self.distance.likeliest_temperature(mean_distortion, n_features)

    @override
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        return self.distance.sample_around(center, temperature, n_samples, rng)
