"""Add clusters to a fitted mixture where its likelihood gains most: the start of a fit with more clusters."""

from __future__ import annotations

__all__ = ["grow_centers"]

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.block import as_tensor
from ..data.ordering import SortedRows
from ..data.source import Source
from ..distances import as_distance
from ..estimators.fitted_model import Clustering
from ..estimators.soft_kmeans import SoftKMeans

POWERS = (1.0, 4.0)  # of the lack of log-density, by which candidates are drawn; high ones find small clusters far away
N_CANDIDATES = 6  # for each power
PRIORS = (0.5, 0.2, 0.05, 0.01, 0.002)  # of the new cluster; the best one counts


def grow_centers(
    mixture: SoftKMeans, source: Source, rows: SortedRows, n_clusters: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the centers of a mixture and further ones, k in all.

    Each further center is one of several rows, drawn where the density is low: the one whose cluster, of the same
    width as the others, increases the likelihood most. Unlike k-means++, which compares sums of distances, this finds
    a small cluster beside a large one.

    Vlassis & Likas, "A greedy EM algorithm for Gaussian mixture learning", Neural Processing Letters 2002.

    Parameters
    ----------
    mixture : SoftKMeans
        A fitted mixture with fewer clusters.
    source : Source
        The rows and their weights.
    rows : SortedRows
        Lexicographic order of the rows.
    n_clusters : int
        Number of clusters k.
    rng : numpy Generator
        Source of randomness.
    """
    distance = as_distance(mixture.distance)
    centers = as_tensor(mixture.cluster_centers_).to(source.device, source.dtype)
    temperature = float(np.mean(mixture.temperature_))
    log_density = mixture._clustering(source).objective(source)
    weight = source.weight()
    while len(centers) < n_clusters:
        lack = log_density.max() - log_density
        lack = lack / lack.max().clamp_min(torch.finfo(lack.dtype).tiny)
        drawn = torch.unique(torch.cat([rows.draw(lack**power, N_CANDIDATES, rng) for power in POWERS]))
        candidates = source.take(drawn)
        mixed = [
            _best_mixture(log_density, Clustering(center[None], temperature, distance).objective(source), weight)
            for center in candidates
        ]
        best = max(range(len(mixed)), key=lambda i: mixed[i][0])
        log_density = mixed[best][1]
        centers = torch.cat([centers, candidates[best : best + 1]])
    return centers.cpu().numpy()


def _best_mixture(log_density: Tensor, own: Tensor, weight: Tensor | None) -> tuple[float, Tensor]:
    """Return the log-likelihood and the log-densities (n,) of a mixture with a further cluster of log-density own."""
    mixed = [torch.logaddexp(log_density + np.log1p(-prior), own + np.log(prior)) for prior in PRIORS]
    likelihoods = [float(values.sum() if weight is None else weight @ values) for values in mixed]
    best = int(np.argmax(likelihoods))
    return likelihoods[best], mixed[best]
