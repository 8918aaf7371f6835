"""The cosine distance."""

from __future__ import annotations

__all__ = ["Cosine"]

import math

import numpy as np
import scipy  # loads its submodules when they are used
import torch
from torch import Tensor
from typing_extensions import override

from ._sphere import log_sphere_area
from .base import Array, Distance


class Cosine(Distance):
    """The cosine distance 1 - cos(x, c), in which only the directions of rows and centers count.

    Its density is the von Mises-Fisher distribution with κ = 1 / T.
    """

    name = "cosine"
    power = 0
    translates = False
    constant_slope = 0.5
    is_tested = True
    min_features = 2  # with one feature, the only directions are +1 and -1

    @override
    def embed(self, x: Tensor) -> Tensor:
        return _unit(x)

    @override
    def retract(self, c: Tensor) -> Tensor:
        return _unit(c)

    @override
    def tangent(self, c: Tensor, gradient: Tensor) -> Tensor:
        return gradient - (gradient * c).sum(-1, keepdim=True) * c

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        return squared / 2  # on the unit sphere, 1 - cos = ‖x - c‖² / 2

    @override
    def to_squared(self, d: Tensor) -> Tensor:
        return 2 * d

    @override
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        angle, log_weight = (a.to(temperature) for a in _polar_nodes(temperature.detach().cpu().double(), n_features))
        logs = _log_polar_density(angle, temperature[..., None], n_features) + log_weight
        return log_sphere_area(n_features - 1) + torch.logsumexp(logs, -1)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        return float(self.mean_distortions(torch.tensor(temperature, dtype=torch.float64, device="cpu"), n_features))

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        mean = torch.tensor([mean_distortion], dtype=torch.float64, device="cpu")
        return float(self.likeliest_temperatures(mean, n_features))

    @override
    def log_partitions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return self.log_partition(temperatures, n_features)

    @override
    def mean_distortions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return _polar_moments(temperatures.cpu().double(), n_features)[0].to(temperatures)

    @override
    def likeliest_temperatures(self, mean_distortions: Tensor, n_features: int) -> Tensor:
        """Solve for log T by Newton's method, which is kept between bounds by bisection."""
        mean = mean_distortions.cpu().double()
        low, high = (torch.full_like(mean, math.log(t)) for t in (MIN_TEMPERATURE, MAX_TEMPERATURE))
        resultant = (1 - mean).clamp(1e-12, 1 - 1e-12)  # Banerjee et al., JMLR 2005, for the first guess
        guess = ((1 - resultant.square()) / (resultant * (n_features - resultant.square()))).log()
        log_t = torch.where(mean < 0.1, (2 * mean.clamp_min(1e-300) / (n_features - 1)).log(), guess).clamp(low, high)
        for _ in range(MAX_NEWTON_STEPS):
            value, variance = _polar_moments(log_t.exp(), n_features)
            residual = value - mean
            low, high = torch.where(residual < 0, log_t, low), torch.where(residual > 0, log_t, high)
            step = residual * log_t.exp() / variance.clamp_min(1e-300)  # the derivative in log T is variance / T
            after = log_t - step
            after = torch.where((after > low) & (after < high), after, (low + high) / 2)
            moved = (after - log_t).abs().max()
            log_t = after
            if moved < 1e-14:
                break
        return log_t.exp().to(mean_distortions)

    @override
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        unit = center / np.linalg.norm(center)
        draws = scipy.stats.vonmises_fisher(unit, 1 / temperature).rvs(n_samples, random_state=rng)
        rows: Array = draws.reshape(n_samples, len(center))
        return rows


def _unit(x: Tensor) -> Tensor:
    """Scale rows (..., d) to length 1; a row of zeros stays 0, with a finite gradient."""
    largest = x.detach().abs().amax(-1, keepdim=True)  # dividing by it first, so that no square over- or underflows
    scaled = x / torch.where(largest > 0, largest, 1.0)
    norm = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return scaled / torch.where(norm > 0, norm, 1.0)


def _log_polar_density(angle: Tensor, temperature: Tensor, n_features: int) -> Tensor:
    """Return log[exp((cos a - 1) / T) sin(a)^(d-2)], in a form that is accurate for small angles."""
    return -2 * (angle / 2).sin().square() / temperature + (n_features - 2) * angle.sin().log()


_nodes, _weights = np.polynomial.legendre.leggauss(128)  # Gauss-Legendre quadrature on [-1, 1]
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-18, 1e6  # if all rows are on their centers; if they are uniform on the sphere
MAX_NEWTON_STEPS = 120  # as many as bisection needs
QUADRATURE_NODES = torch.from_numpy(_nodes)
QUADRATURE_LOG_WEIGHTS = torch.from_numpy(_weights).log()


def _polar_moments(temperature: Tensor, n_features: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance (...,) of the distance under the density, for temperatures (...,)."""
    angle, log_weight = _polar_nodes(temperature, n_features)
    weight = torch.softmax(_log_polar_density(angle, temperature[..., None], n_features) + log_weight, -1)
    distance = 2 * (angle / 2).sin().square()
    mean = (weight * distance).sum(-1)
    return mean, (weight * (distance - mean[..., None]).square()).sum(-1)


def _polar_nodes(temperature: Tensor, n_features: int) -> tuple[Tensor, Tensor]:
    """Return angles and log-weights (..., m) of a Gauss-Legendre quadrature over the single peak of the polar density.

    It uses tensor operations only.
    """
    spread = (n_features - 2) * temperature[..., None]
    cosine = 2 / (spread + (spread.square() + 4).sqrt())  # at the peak, sin² a = (d - 2) T cos a
    peak = (spread * cosine).clamp_max(1.0).sqrt().asin()
    reach = 12 * (temperature[..., None] / (cosine + 1 / cosine)).sqrt()  # 12 standard deviations, by the curvature
    low = (peak - reach).clamp_min(0.0)
    high = (peak + reach).clamp_max(math.pi)
    half = (high - low) / 2
    return low + half * (1 + QUADRATURE_NODES), QUADRATURE_LOG_WEIGHTS + half.log()
