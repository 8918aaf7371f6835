"""The squared Euclidean distance and the Euclidean distance."""

from __future__ import annotations

__all__ = ["Euclidean", "SquaredEuclidean"]

import math

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from .._utils.few_numbers import as_array, from_array, log
from ..arrays.density import log_power_partition
from .base import Array, Distance


class PowerDensity:
    """The density proportional to exp(-‖x - c‖^p / T), under which ‖x - c‖^p has a Gamma(d / p, T) distribution."""

    power: int

    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        """Return log Z(T), differentiable in T."""
        return log_power_partition(self.power, torch.log(temperature), n_features)

    def log_partition_at(self, temperature: float, n_features: int) -> float:
        """Return log Z(T) for one temperature that needs no gradient."""
        log_temperature = math.log(temperature) if temperature > 0 else -math.inf
        return log_power_partition(self.power, log_temperature, n_features)

    def log_partitions(self, temperatures: Tensor, n_features: int) -> Tensor:
        """Return log Z(T) for each of the temperatures (k,)."""
        return from_array(log_power_partition(self.power, log(as_array(temperatures)), n_features))

    def mean_distortion(self, temperature: float, n_features: int) -> float:
        """Return the mean distance."""
        return temperature * n_features / self.power

    def mean_distortions(self, temperatures: Tensor, n_features: int) -> Tensor:
        """Return the mean distance for each of the temperatures (k,)."""
        return temperatures * n_features / self.power

    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        """Return the maximum-likelihood T."""
        return self.power * mean_distortion / n_features

    def likeliest_temperatures(self, mean_distortions: Tensor, n_features: int) -> Tensor:
        """Return the maximum-likelihood T for each of the mean distances (k,)."""
        return self.power * mean_distortions / n_features


class SquaredEuclidean(PowerDensity, Distance):
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
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        return rng.normal(center, math.sqrt(temperature / 2), (n_samples, len(center)))


class Euclidean(PowerDensity, Distance):
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
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        direction = rng.standard_normal((n_samples, len(center)))
        radius = rng.gamma(len(center), temperature, (n_samples, 1))
        rows: Array = center + radius * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return rows
