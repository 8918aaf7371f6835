"""The interface of a distance."""

from __future__ import annotations

__all__ = ["Array", "Distance", "squared_distances"]

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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
