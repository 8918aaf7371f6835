"""The normalization constants of the densities that belong to the distances, and moments of the polar one."""

from __future__ import annotations

__all__ = [
    "log_polar_partition",
    "log_power_partition",
    "log_sphere_area",
    "polar_moments",
    "quadrature",
]

import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = NDArray[Any]


@cache
def quadrature() -> tuple[Array, Array]:
    """Return nodes and weights of a Gauss-Legendre quadrature on [-1, 1]; they are computed at first use."""
    nodes, weights = np.polynomial.legendre.leggauss(128)
    return nodes, weights


def log_sphere_area(n_features: int) -> float:
    """Return the log of the area of the unit sphere in d dimensions, 2 π^(d/2) / Γ(d/2)."""
    return math.log(2) + n_features / 2 * math.log(math.pi) - math.lgamma(n_features / 2)


L = TypeVar("L", Array, "Tensor", float)


def log_power_partition(power: int, log_temperatures: L, n_features: int) -> L:
    """Return log ∫ exp(-‖x‖^power / T) dx, given log T: an array, a tensor or a number."""
    shape = n_features / power
    return log_sphere_area(n_features) + math.lgamma(shape) - math.log(power) + shape * log_temperatures


def log_polar_partition(temperatures: Array, n_features: int) -> Array:
    """Return log ∫ exp((cos a - 1) / T) dx over the unit sphere for temperatures (k,)."""
    integral = polar_moments(tuple(temperatures.tolist()), n_features).log_integral
    logs: Array = log_sphere_area(n_features - 1) + integral
    return logs


class PolarMoments(NamedTuple):
    """The polar density, exp((cos a - 1) / T) sin(a)^(d - 2), for temperatures (k,).

    Attributes
    ----------
    log_integral, mean, variance : ndarray (k,)
        The logarithm of its integral, and mean and variance of the distance.
    """

    log_integral: Array
    mean: Array
    variance: Array


@lru_cache(maxsize=16)
def polar_moments(temperatures: tuple[float, ...], n_features: int) -> PolarMoments:
    """Compute the moments by quadrature over the single peak; a pass needs those of the same temperatures often."""
    t = np.array(temperatures)[:, None]
    spread = (n_features - 2) * t
    cosine = 2 / (spread + np.sqrt(spread * spread + 4))
    peak = np.arcsin(np.sqrt(np.minimum(spread * cosine, 1.0)))
    reach = 12 * np.sqrt(t / (cosine + 1 / cosine))
    low = np.maximum(peak - reach, 0.0)
    half = (np.minimum(peak + reach, math.pi) - low) / 2
    nodes, weights = quadrature()
    angle = low + half * (1 + nodes)
    distance = 2 * np.sin(angle / 2) ** 2
    logs = np.log(half * weights) - distance / t
    if n_features > 2:
        logs += (n_features - 2) * np.log(np.sin(angle))
    largest = logs.max(1)
    weight = np.exp(logs - largest[:, None])
    total = weight.sum(1)
    mean = (weight * distance).sum(1) / total
    variance = (weight * (distance - mean[:, None]) ** 2).sum(1) / total
    return PolarMoments(largest + np.log(total), mean, variance)
