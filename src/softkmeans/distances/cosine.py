"""The cosine distance."""

from __future__ import annotations

__all__ = ["Cosine"]

import math

import numpy as np
import scipy  # loads its submodules when they are used
import torch
from torch import Tensor
from typing_extensions import override

from ..arrays.density import log_sphere_area, polar_moments, quadrature
from .base import Array, Distance


class Cosine(Distance):
    """The cosine distance 1 - cos(x, c), in which only the directions of rows and centers count.

    Its density is the von Mises-Fisher distribution with κ = 1 / T.
    """

    name = "cosine"
    power = 0
    translates = False
    scales_rows = True
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
        logs = _log_polar_density(angle, temperature, n_features) + log_weight
        return log_sphere_area(n_features - 1) + torch.logsumexp(logs, 0)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        return float(polar_moments((temperature,), n_features).mean[0])

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        return float(_solve_temperatures(np.array([mean_distortion]), n_features)[0])

    @override
    def log_partitions(self, temperatures: Tensor, n_features: int) -> Tensor:
        log_integral = polar_moments(tuple(temperatures.tolist()), n_features).log_integral
        return log_sphere_area(n_features - 1) + temperatures.new_tensor(log_integral)

    @override
    def mean_distortions(self, temperatures: Tensor, n_features: int) -> Tensor:
        return temperatures.new_tensor(polar_moments(tuple(temperatures.tolist()), n_features).mean)

    @override
    def likeliest_temperatures(self, mean_distortions: Tensor, n_features: int) -> Tensor:
        return mean_distortions.new_tensor(_solve_temperatures(np.array(mean_distortions.tolist()), n_features))

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


MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-18, 1e6  # if all rows are on their centers; if they are uniform on the sphere
MAX_NEWTON_STEPS = 120  # as many as bisection needs
NODES, LOG_WEIGHTS = map(torch.from_numpy, (quadrature()[0], np.log(quadrature()[1])))


def _solve_temperatures(mean: Array, n_features: int) -> Array:
    """Return the temperatures (k,) at which the mean distances are as given.

    Newton's method for log T, kept between bounds by bisection, starts from the approximation of Banerjee et al.,
    "Clustering on the unit hypersphere using von Mises-Fisher distributions", JMLR 2005.
    """
    low, high = (np.full(len(mean), math.log(t)) for t in (MIN_TEMPERATURE, MAX_TEMPERATURE))
    resultant = np.clip(1 - mean, 1e-12, 1 - 1e-16)
    distant = (1 - resultant**2) / (resultant * (n_features - resultant**2))
    near = 2 * np.maximum(mean, 1e-300) / (n_features - 1)  # where 1 - mean has lost digits
    log_t = np.clip(np.log(np.where(mean < 1e-4, near, distant)), low, high)
    for _ in range(MAX_NEWTON_STEPS):
        moments = polar_moments(tuple(np.exp(log_t).tolist()), n_features)
        residual = moments.mean - mean
        low, high = np.where(residual < 0, log_t, low), np.where(residual > 0, log_t, high)
        step = residual * np.exp(log_t) / np.maximum(moments.variance, 1e-300)  # the derivative is variance / T
        after = log_t - step
        after = np.where((after >= low) & (after <= high), after, (low + high) / 2)
        moved = np.abs(after - log_t).max()
        log_t = after
        if moved < 1e-8:  # the error is of the order of its square
            break
    solved: Array = np.exp(log_t)
    return solved


def _polar_nodes(temperature: Tensor, n_features: int) -> tuple[Tensor, Tensor]:
    """Return angles and log-weights of a Gauss-Legendre quadrature over the single peak of the polar density.

    It uses tensor operations only, for exports; `arrays.density.polar_moments` computes the same.
    """
    spread = (n_features - 2) * temperature
    cosine = 2 / (spread + (spread.square() + 4).sqrt())  # at the peak, sin² a = (d - 2) T cos a
    peak = (spread * cosine).clamp_max(1.0).sqrt().asin()
    reach = 12 * (temperature / (cosine + 1 / cosine)).sqrt()  # 12 standard deviations, from the curvature at the peak
    low = (peak - reach).clamp_min(0.0)
    high = (peak + reach).clamp_max(math.pi)
    half = (high - low) / 2
    return low + half * (1 + NODES), LOG_WEIGHTS + half.log()
