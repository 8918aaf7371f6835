"""The interface of a distance."""

from __future__ import annotations

__all__ = ["Array", "Distance", "squared_distances"]

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


class Distance(ABC):
    """A distance d(x, c) and its probability density exp(-d / T) / Z(T).

    The equivalent mixture model of soft k-means has one such density for each center, all with the same weight.

    Attributes
    ----------
    name : str
        Key of the distance in ``DISTANCES``.
    power : int
        If the data is multiplied by s, the distance and the temperature are multiplied by s ** power.
    translates : bool
        Whether the distance stays the same if data and centers are shifted together.
    min_features : int
        Smallest number of features for which the distance is defined.
    """

    name: str
    power: int
    translates: bool
    min_features = 1

    def embed(self, x: Tensor) -> Tensor:
        """Transform rows (n, d) or centers (k, d) as the distance requires: to unit length for cosine."""
        return x

    def tangent(self, c: Tensor, gradient: Tensor) -> Tensor:
        """Project a gradient (k, d) onto the directions in which embedded centers (k, d) can move."""
        return gradient

    def between(self, z: Tensor, c: Tensor) -> Tensor:
        """Return the finite, differentiable distances (..., n, k) of embedded rows (..., n, d) to embedded centers."""
        return self.of_squared(squared_distances(z, c))

    @abstractmethod
    def of_squared(self, squared: Tensor) -> Tensor:
        """Convert squared Euclidean distances between embedded rows and centers to this distance; differentiable."""

    @abstractmethod
    def slope(self, d: Tensor) -> Tensor | float:
        """Return the derivative of `of_squared` at distances d (n, k); infinite at d = 0 if the distance has a kink."""

    @abstractmethod
    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        """Return log Z(T) = log ∫ exp(-d(x, c) / T) dx, differentiable in T."""

    @abstractmethod
    def mean_distortion(self, temperature: float, n_features: int) -> float:
        """Return the mean distance under the density, T² ∂ log Z / ∂T."""

    @abstractmethod
    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        """Return the maximum-likelihood T at fixed memberships: the T at which the density has this mean distortion."""

    @abstractmethod
    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        """Draw rows (n_samples, d) from the density around a center (d,)."""


def squared_distances(z: Tensor, c: Tensor) -> Tensor:
    """Return squared Euclidean distances (..., n, k), computed by one matrix product.

    They are accurate only if the origin is near the rows: shift rows and centers first.

    Parameters
    ----------
    z : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centers.

    Examples
    --------
    >>> import torch
    >>> squared_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([[ 0.],
            [25.]])
    """
    squared = z.square().sum(-1, keepdim=True) - 2 * z @ c.mT + c.square().sum(-1)
    return squared.clamp_min(0)
