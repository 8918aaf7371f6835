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
        logs = _log_polar_density(angle, temperature, n_features) + log_weight
        return log_sphere_area(n_features - 1) + torch.logsumexp(logs, 0)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        t = torch.tensor(temperature, dtype=torch.float64, device="cpu")
        angle, log_weight = _polar_nodes(t, n_features)
        logs = _log_polar_density(angle, t, n_features) + log_weight
        return float(torch.softmax(logs, 0) @ (2 * (angle / 2).sin().square()))

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        def residual(log_temperature: float) -> float:
            return self.mean_distortion(math.exp(log_temperature), n_features) - mean_distortion

        low = math.log(1e-18)
        high = math.log(1e6)
        if residual(low) >= 0:  # all rows are on their centers
            return math.exp(low)
        if residual(high) <= 0:  # the rows are uniform on the sphere
            return math.exp(high)
        return math.exp(scipy.optimize.brentq(residual, low, high, xtol=1e-14, rtol=1e-14))

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
QUADRATURE_NODES = torch.from_numpy(_nodes)
QUADRATURE_LOG_WEIGHTS = torch.from_numpy(_weights).log()


def _polar_nodes(temperature: Tensor, n_features: int) -> tuple[Tensor, Tensor]:
    """Return angles and log-weights of a Gauss-Legendre quadrature over the single peak of the polar density.

    It uses tensor operations only.
    """
    spread = (n_features - 2) * temperature
    cosine = 2 / (spread + (spread.square() + 4).sqrt())  # at the peak, sin² a = (d - 2) T cos a
    peak = (spread * cosine).clamp_max(1.0).sqrt().asin()
    reach = 12 * (temperature / (cosine + 1 / cosine)).sqrt()  # 12 standard deviations, from the curvature at the peak
    low = (peak - reach).clamp_min(0.0)
    high = (peak + reach).clamp_max(math.pi)
    half = (high - low) / 2
    return low + half * (1 + QUADRATURE_NODES), QUADRATURE_LOG_WEIGHTS + half.log()
