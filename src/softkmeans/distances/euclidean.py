"""The squared Euclidean distance and the Euclidean distance."""

from __future__ import annotations

__all__ = ["Euclidean", "SquaredEuclidean"]

import math

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from ..arrays.density import log_sphere_area
from .base import Array, Distance


class SquaredEuclidean(Distance):
    """The squared Euclidean distance ‖x - c‖² of classical soft k-means.

    Centers are weighted means. The density is a Gaussian of variance T / 2.
    """

    name = "sqeuclidean"
    power = 2
    is_tested = True
    is_squared = True
    constant_slope = 1.0

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        return squared

    @override
    def to_squared(self, d: Tensor) -> Tensor:
        return d

    @override
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        return n_features / 2 * torch.log(math.pi * temperature)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        return temperature * n_features / 2

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        return 2 * mean_distortion / n_features

    @override
    def log_partitions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return self.log_partition(temperatures, n_features)

    @override
    def mean_distortions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return temperatures * n_features / 2

    @override
    def likeliest_temperatures(self, mean_distortions: Tensor, n_features: int) -> Tensor:
        return 2 * mean_distortions / n_features

    @override
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        return rng.normal(center, math.sqrt(temperature / 2), (n_samples, len(center)))


class Euclidean(Distance):
    """The Euclidean distance ‖x - c‖, which is robust to outliers: centers are weighted geometric medians.

    Under its density, proportional to exp(-‖x - c‖ / T), the radius has a Gamma(d, T) distribution.
    """

    name = "euclidean"
    power = 1
    is_tested = True

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        positive = squared > 0  # at 0 the derivative of the root is infinite, so the root is not taken there
        return torch.where(positive, squared, 1.0).sqrt() * positive

    @override
    def with_slope(self, squared: Tensor) -> tuple[Tensor, Tensor]:
        d = self.of_squared(squared)
        return d, 0.5 / d

    @override
    def slope_and_curvature(self, squared: Tensor) -> tuple[Tensor, Tensor]:
        positive = squared > 0
        slope = torch.where(positive, 0.5 / torch.where(positive, squared, 1.0).sqrt(), 0.0)
        return slope, torch.where(positive, -slope / (2 * torch.where(positive, squared, 1.0)), 0.0)

    @override
    def to_squared(self, d: Tensor) -> Tensor:
        return d.square()

    @override
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        return log_sphere_area(n_features) + math.lgamma(n_features) + n_features * torch.log(temperature)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        return temperature * n_features

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        return mean_distortion / n_features

    @override
    def log_partitions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return self.log_partition(temperatures, n_features)

    @override
    def mean_distortions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return temperatures * n_features

    @override
    def likeliest_temperatures(self, mean_distortions: Tensor, n_features: int) -> Tensor:
        return mean_distortions / n_features

    @override
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        direction = rng.standard_normal((n_samples, len(center)))
        radius = rng.gamma(len(center), temperature, (n_samples, 1))
        rows: Array = center + radius * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return rows
