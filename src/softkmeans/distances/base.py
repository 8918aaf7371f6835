"""The distances, each with the probability density behind it. A new distance is a class and a line in the table."""

from __future__ import annotations

__all__ = [
    "DISTANCES",
    "Cosine",
    "Distance",
    "Euclidean",
    "MeanUpdate",
    "SquaredEuclidean",
    "as_distance",
    "check_features",
    "distance_name",
    "squared_distances",
]

import math
from abc import ABC, abstractmethod

import numpy as np
import scipy  # loads its submodules when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_known
from ..errors import InputError

Array = NDArray[np.float64]


class Distance(ABC):
    """A distance d(x, c) and the density exp(-d / T) / Z(T) whose equal mixture makes soft k-means a likelihood.

    Attributes
    ----------
    name : str
        Its key in ``DISTANCES``.
    power : int
        Scaling the data by s scales the distance, and with it the temperature, by s ** power.
    translates : bool
        Whether moving data and centers together leaves the distance unchanged.
    min_features : int
        The fewest features it has a meaning for.
    """

    name: str
    power: int
    translates: bool
    min_features = 1

    @property
    def spelling(self) -> str | Distance:
        """How to ask for this distance: by its name, if the table has it, else by itself."""
        return self.name if type(DISTANCES.get(self.name)) is type(self) else self

    def embed(self, x: Tensor) -> Tensor:
        """Bring rows (n, d), or centers (k, d), to where the distance is taken: the unit sphere for cosine."""
        return x

    def tangent(self, c: Tensor, gradient: Tensor) -> Tensor:
        """Keep of a gradient (k, d) what moves the centers within their space."""
        return gradient

    def between(self, z: Tensor, c: Tensor) -> Tensor:
        """Distances (..., n, k) of embedded rows (..., n, d) to embedded centers (k, d); differentiable, finite."""
        return self.of_squared(squared_distances(z, c))

    @abstractmethod
    def of_squared(self, squared: Tensor) -> Tensor:
        """Give the distance as a function of the squared Euclidean one between embedded points; differentiable."""

    @abstractmethod
    def slope(self, d: Tensor) -> Tensor | float:
        """Give that function's derivative at distances d (n, k); infinite on a center where it has a kink there."""

    @abstractmethod
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        """Give log Z(T) = log ∫ exp(-d(x, c) / T) dx, differentiable in T."""

    @abstractmethod
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        """Give the mean distance under the density, T² ∂ log Z / ∂T."""

    @abstractmethod
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        """T at which the density's mean distortion is the one given: the maximum-likelihood T at fixed memberships."""

    @abstractmethod
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        """Draw rows (n_samples, d) from the density around a center (d,)."""


def squared_distances(z: Tensor, c: Tensor) -> Tensor:
    """Squared Euclidean distances (..., n, k) by one matrix product; callers see to it that the origin lies amid z.

    Parameters
    ----------
    z : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centers.

    Examples
    --------
    >>> squared_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([[ 0.],
            [25.]])
    """
    squared = z.square().sum(-1, keepdim=True) - 2 * z @ c.mT + c.square().sum(-1)
    return squared.clamp_min(0)


class SquaredEuclidean(Distance):
    """‖x - c‖², the classical soft k-means: centers are weighted means, densities Gaussians of variance T / 2."""

    name = "sqeuclidean"
    power = 2
    translates = True

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        return squared

    @override
    def slope(self, d: Tensor) -> float:
        return 1.0

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
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        return rng.normal(center, math.sqrt(temperature / 2), (n_samples, len(center)))


class Euclidean(Distance):
    """‖x - c‖: robust to far points, centers are weighted geometric medians.

    Its density falls off as exp(-‖x - c‖ / T), so the radius follows a Gamma(d, T) law.
    """

    name = "euclidean"
    power = 1
    translates = True

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        apart = squared > 0  # the root's derivative at 0 is infinite, so it is never taken there
        return torch.where(apart, squared, 1.0).sqrt() * apart

    @override
    def slope(self, d: Tensor) -> Tensor:
        return 0.5 / d

    @override
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        return _log_sphere_area(n_features) + math.lgamma(n_features) + n_features * torch.log(temperature)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        return temperature * n_features

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        return mean_distortion / n_features

    @override
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        direction = rng.standard_normal((n_samples, len(center)))
        radius = rng.gamma(len(center), temperature, (n_samples, 1))
        rows: Array = center + radius * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return rows


class Cosine(Distance):
    """1 - cos(x, c), rows and centers taken as directions; the density is von Mises-Fisher's with κ = 1 / T."""

    name = "cosine"
    power = 0
    translates = False
    min_features = 2  # in one, all directions are +1 or -1

    @override
    def embed(self, x: Tensor) -> Tensor:
        return _unit(x)

    @override
    def tangent(self, c: Tensor, gradient: Tensor) -> Tensor:
        return gradient - (gradient * c).sum(-1, keepdim=True) * c

    @override
    def of_squared(self, squared: Tensor) -> Tensor:
        return squared / 2  # on the unit sphere, 1 - cos = ‖x - c‖² / 2

    @override
    def slope(self, d: Tensor) -> float:
        return 0.5

    @override
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        angle, log_weight = (a.to(temperature) for a in _polar_nodes(temperature.detach().cpu().double(), n_features))
        logs = _log_polar_density(angle, temperature, n_features) + log_weight
        return _log_sphere_area(n_features - 1) + torch.logsumexp(logs, 0)

    @override
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        t = torch.tensor(temperature, dtype=torch.float64)
        angle, log_weight = _polar_nodes(t, n_features)
        logs = _log_polar_density(angle, t, n_features) + log_weight
        return float(torch.softmax(logs, 0) @ (2 * (angle / 2).sin().square()))

    @override
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        def excess(log_temperature: float) -> float:
            return self.mean_distortion(math.exp(log_temperature), n_features) - mean_distortion

        low, high = math.log(1e-18), math.log(1e6)
        if excess(low) >= 0 or excess(high) <= 0:  # all rows on their centers, or spread as if there were none
            return math.exp(low if excess(low) >= 0 else high)
        return math.exp(scipy.optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14))

    @override
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        unit = center / np.linalg.norm(center)
        draws = scipy.stats.vonmises_fisher(unit, 1 / temperature).rvs(n_samples, random_state=rng)
        rows: Array = draws.reshape(n_samples, len(center))
        return rows


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


def _unit(x: Tensor) -> Tensor:
    """Rows (..., d) at length 1; a zero row, which has no direction, stays 0 with a finite gradient."""
    largest = x.detach().abs().amax(-1, keepdim=True)  # taken out first, so that no square overflows or underflows
    scaled = x / torch.where(largest > 0, largest, 1.0)
    norm = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return scaled / torch.where(norm > 0, norm, 1.0)


def _log_sphere_area(n_features: int) -> float:
    """Log of the area of the unit sphere in d dimensions, 2 π^(d/2) / Γ(d/2)."""
    return math.log(2) + n_features / 2 * math.log(math.pi) - math.lgamma(n_features / 2)


def _log_polar_density(angle: Tensor, temperature: Tensor, n_features: int) -> Tensor:
    """Log of exp((cos a - 1) / T) sin(a)^(d-2), written so that small angles keep their digits."""
    return -2 * (angle / 2).sin().square() / temperature + (n_features - 2) * angle.sin().log()


NODES, WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(128))  # on [-1, 1]
LOG_WEIGHTS = WEIGHTS.log()


def _polar_nodes(temperature: Tensor, n_features: int) -> tuple[Tensor, Tensor]:
    """Angles and log-weights of a Gauss-Legendre rule over the one peak of the polar density, in tensors alone."""
    spread = (n_features - 2) * temperature
    cosine = 2 / (spread + (spread.square() + 4).sqrt())  # at the peak, sin² a = (d - 2) T cos a
    peak = (spread * cosine).clamp_max(1.0).sqrt().asin()
    reach = 12 * (temperature / (cosine + 1 / cosine)).sqrt()  # 12 widths, by the curvature there
    low, high = (peak - reach).clamp_min(0.0), (peak + reach).clamp_max(math.pi)
    half = (high - low) / 2
    return low + half * (1 + NODES), LOG_WEIGHTS + half.log()


DISTANCES: dict[str, Distance] = {d.name: d for d in (SquaredEuclidean(), Euclidean(), Cosine())}


def check_features(distance: Distance, n_features: int) -> None:
    """Raise an InputError if a distance has no meaning for so few features.

    Parameters
    ----------
    distance : Distance
        The distance.
    n_features : int
        How many features the data has.

    Examples
    --------
    >>> check_features(DISTANCES["cosine"], 1)
    Traceback (most recent call last):
    softkmeans.errors.InputError: the cosine distance needs 2 features or more, got 1
    """
    if n_features < distance.min_features:
        raise InputError(
            f"the {distance.name} distance needs {distance.min_features} features or more, got {n_features}"
        )


def as_distance(distance: object) -> Distance:
    """Look a distance up by name; a ``Distance`` passes through.

    Parameters
    ----------
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        Its name, or itself.

    Raises
    ------
    InputError
        If there is no distance of that name, or it is a callable, from which fits can't learn where centers move.

    Examples
    --------
    >>> as_distance("cosine").power
    0
    """
    if isinstance(distance, Distance):
        return distance
    if callable(distance) and not isinstance(distance, type):
        raise InputError(
            f"distance is the callable {distance_name(distance)}, by which fits can't move centers: give one of "
            f"{', '.join(DISTANCES)}, or a Distance, or train SoftKMeansLayer.loss(x) in a loop of your own"
        )
    check_known("distance", distance, DISTANCES)
    return DISTANCES[str(distance)]


def distance_name(distance: object) -> str:
    """Give the name of a distance: its own, or a function's, or else its type's.

    Parameters
    ----------
    distance : Distance or callable
        The distance.

    Examples
    --------
    >>> distance_name(DISTANCES["cosine"]), distance_name(torch.cdist), distance_name(torch.nn.PairwiseDistance())
    ('cosine', 'cdist', 'PairwiseDistance')
    """
    name = distance.name if isinstance(distance, Distance) else getattr(distance, "__name__", None)
    return name or type(distance).__name__
