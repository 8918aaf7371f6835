"""What fitted centres say of rows: memberships, labels, distances, likelihoods."""

from __future__ import annotations

__all__ = ["Clustering", "accumulate", "sample_mixture"]

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from typing_extensions import override

from . import kernels
from .blocks import Block, as_tensor
from .checks import check_positive
from .data.arrays import as_source, check_finite
from .data.source import Source, View
from .distances import Distance, as_distance, check_features
from .errors import InputError
from .kernels import assign, distances, lognorm, nearest
from .space import Space
from .stats import Stats
from .sums import dot

Array = NDArray[np.float64]

FARTHEST = 1e150  # beyond, squares overflow


class _NotTooFar(Space):
    """A space that refuses rows whose squares would overflow."""

    @override
    def enter(self, x: Tensor) -> Tensor:
        z = super().enter(x)
        if not z.abs().max() <= FARTHEST:
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

    def stats(self, source: Source) -> Stats:
        """Sum up rows into Stats, in the space."""

        def of(block: Block) -> Stats:
            return kernels.accumulate(block, self.centers, self.beta, self.b, self.distance)

        return self._view(source).sum(of)

    def resp(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Responsibilities (n, k), of the type asked for."""

        def of(block: Block) -> Tensor:
            return assign(block, self.centers, self.beta, self.b, self.distance).to(dtype)

        return self._view(source).map(of, width=len(self.centers))

    def labels(self, source: Source) -> Tensor:
        """Number (n,) of each row's likeliest cluster."""
        return self.harden(source)[0]

    def harden(self, source: Source) -> tuple[Tensor, float]:
        """Give each row's likeliest cluster (n,), and the rows' weighted distance to these: hard k-means' objective."""
        inertia = 0.0

        def of(block: Block) -> Tensor:
            nonlocal inertia
            label, near = nearest(block, self.centers, self.distance)
            inertia += float(dot(block.w, near))
            return label

        labels = self._view(source).map(of)
        return labels, inertia * self.space.unit

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


def accumulate(
    x: ArrayLike | Tensor | Source,
    c: ArrayLike | Tensor,
    temperature: float,
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    distance: str | Distance = "sqeuclidean",
) -> Stats:
    """Sum up rows at some centres and temperature: one pass of EM, whose centres are ``weighted_sum / pull``.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    c : array-like or Tensor (k, d)
        Centres, in the units of the rows.
    temperature : float
        T > 0, in the units of the distance.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        What is between rows and centres.

    Returns
    -------
    Stats
        Sums over the rows in float64, in the data's units; for "cosine", of rows of length 1. Sums of parts of the data
        add up to those of the whole.

    Raises
    ------
    InputError
        If the data or a parameter can't be used.

    Examples
    --------
    >>> x = [[0.0], [0.2], [5.0], [5.2]]
    >>> stats = accumulate(x, [[0.0], [5.0]], temperature=1.0)
    >>> stats.weight, stats.weighted_sum / stats.pull[:, None]
    (tensor([2.0000, 2.0000], dtype=torch.float64), tensor([[0.1000],
            [5.1000]], dtype=torch.float64))
    """
    source = as_source(x, sample_weight, finite=False)
    check_positive("temperature", temperature)
    found = as_distance(distance)
    check_features(found, source.n_features)
    centers = as_tensor(c if isinstance(c, Tensor) else np.asarray(c)).to(source.device, source.dtype)
    if centers.ndim != 2 or centers.shape[1] != source.n_features:
        raise InputError(f"the centres have shape {tuple(centers.shape)}, expected (k, {source.n_features})")
    check_finite(centers, "the centres")
    clustering = Clustering(centers, float(temperature), found)
    try:
        return clustering.space.leave_stats(clustering.stats(source))
    except InputError:  # squares overflowed: perhaps rows were not finite to begin with
        for block in source.blocks():
            check_finite(block.rows)
        raise


def sample_mixture(
    centers: Array, temperature: float, distance: Distance, n_samples: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw rows (n_samples, d) from the equal mixture of the density around centres (k, d), and their clusters."""
    labels = rng.integers(len(centers), size=n_samples)
    rows = np.empty((n_samples, centers.shape[1]))
    for k, center in enumerate(centers):
        rows[labels == k] = distance.sample_around(center, temperature, int((labels == k).sum()), rng)
    return torch.from_numpy(rows), torch.from_numpy(labels)
