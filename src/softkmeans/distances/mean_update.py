"""A distance whose centers move to plain weighted means."""

from __future__ import annotations

__all__ = ["MeanUpdate"]

import numpy as np
from torch import Tensor
from typing_extensions import override

from .base import Array, Distance


class MeanUpdate(Distance):
    """A wrapper of a distance that moves centers to plain weighted means, as textbooks do for every distance.

    If the mean does not minimize the weighted distances, this update minimizes no objective.

    Parameters
    ----------
    distance : Distance
        The wrapped distance.
    """

    def __init__(self, distance: Distance) -> None:
        self.distance = distance
        self.name = distance.name
        self.power = distance.power
        self.translates = distance.translates
        self.min_features = distance.min_features

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
