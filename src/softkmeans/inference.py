"""What fitted centres say of rows: memberships, labels, distances, likelihoods."""

from __future__ import annotations

__all__ = ["Clustering", "sample_mixture"]

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from .blocks import Block
from .data.source import Source, View
from .distances import Distance
from .errors import InputError
from .kernels import assign, distances, lognorm, nearest
from .space import Space

Array = NDArray[np.float64]

FARTHEST = 1e150  # beyond, squares overflow


class _NotTooFar(Space):
    """A space that refuses rows whose squares would overflow."""

    @override
    def enter(self, x: Tensor) -> Tensor:
        z = super().enter(x)
        if z.abs().max() > FARTHEST:
            raise InputError(f"rows lie more than {FARTHEST:g} times the centres' spread away: look for wrong values")
        return z


class Clustering:
    """Centres, temperature and distance, ready to look at any rows block by block.

    Parameters
    ----------
    centers : Tensor (k, d)
        In the data's units; float64, on the device of the rows.
    temperature : float
        T > 0, in the data's units.
    distance : Distance
        Between rows and centres.
    """

    def __init__(self, centers: Tensor, temperature: float, distance: Distance) -> None:
        self.distance, self.space = distance, Space.around(distance, centers, temperature)
        self.centers, self.temperature = self.space.enter(centers), temperature / self.space.unit
        self.beta = self.centers.new_full((len(centers),), 1 / self.temperature)
        self.b = torch.zeros_like(self.beta)

    def _view(self, source: Source) -> Source:
        return View(source, _NotTooFar(*self.space))

    def resp(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Responsibilities (n, k), of the type asked for."""

        def of(block: Block) -> Tensor:
            return assign(block, self.centers, self.beta, self.b, self.distance).to(dtype)

        return self._view(source).map(of, width=len(self.centers))

    def labels(self, source: Source) -> Tensor:
        """Number (n,) of each row's likeliest cluster."""
        return self._view(source).map(lambda block: nearest(block, self.centers, self.distance)[0])

    def inertia(self, source: Source) -> float:
        """Sum of the rows' weighted distances to their nearest centres: the objective of hard k-means."""
        near = self._view(source).sum(lambda block: block.sum(self._inertia, width=1))
        return float(near) * self.space.unit

    def _inertia(self, block: Block) -> Tensor:
        return block.w @ nearest(block, self.centers, self.distance)[1]

    def distances(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Distances (n, k) in the data's units, Euclidean ones where the distance is their square."""

        def of(block: Block) -> Tensor:
            d = distances(block, self.centers, self.distance)
            return ((d.sqrt() if self.distance.power == 2 else d) * unit).to(dtype)

        unit = self.space.scale if self.distance.translates else 1.0
        return self._view(source).map(of, width=len(self.centers))

    def log_likelihood(self, source: Source) -> Tensor:
        """Log-density (n,) of each row under the equivalent mixture."""
        n_clusters, n_features = self.centers.shape
        t = torch.tensor(self.temperature, dtype=torch.float64)
        log_z = float(self.distance.log_partition(t, n_features))
        if self.distance.translates:  # densities are per unit of volume, in the data's units
            log_z += n_features * math.log(self.space.scale)

        def of(block: Block) -> Tensor:
            return lognorm(block, self.centers, self.beta, self.b, self.distance) - math.log(n_clusters) - log_z

        return self._view(source).map(of)


def sample_mixture(
    centers: Array, temperature: float, distance: Distance, n_samples: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw rows (n_samples, d) from the equal mixture of the density around centres (k, d), and their clusters."""
    labels = rng.integers(len(centers), size=n_samples)
    rows = np.empty((n_samples, centers.shape[1]))
    for k, center in enumerate(centers):
        rows[labels == k] = distance.sample_around(center, temperature, int((labels == k).sum()), rng)
    return torch.from_numpy(rows), torch.from_numpy(labels)
