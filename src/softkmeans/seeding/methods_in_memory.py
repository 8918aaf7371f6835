"""Initialization methods for rows in memory.

The centers do not depend on the order of the rows, and a row of weight 2 counts as two equal rows: rows are drawn by
inverting the cumulative distribution along the rows in lexicographic order, in which equal rows are neighbors.
"""

from __future__ import annotations

__all__ = [
    "KMEANS_PARALLEL_ROUNDS",
    "add_centers",
    "annealing",
    "kmeans_parallel",
    "kmeans_plusplus",
    "random_rows",
    "warn_if_few_distinct_rows",
]

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ..annealing.anneal import annealed_centers
from ..data.ordering import SortedRows, draw, sorted_rows
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance
from ..errors import warn
from ..kernels import min_distances, nearest

KMEANS_PARALLEL_ROUNDS = 3


def kmeans_plusplus(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by greedy k-means++.

    Each next center is the best of a few candidate rows, which are drawn with probabilities proportional to their
    distance from the centers so far. If there are fewer distinct rows than clusters, some centers coincide.

    Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, in its greedy form with
    2 + log k candidates per center.

    Parameters
    ----------
    source : Source
        The data.
    rows : SortedRows
        Lexicographic order of the rows.
    n_clusters, n_init : int
        Number of clusters k, and number of sets of centers.
    distance : Distance
        Distance between rows and centers.
    rng : numpy Generator
        Random number generator.

    Yields
    ------
    Tensor (k, d)
        Initial centers.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, rng = as_source([[0.0], [0.0], [5.0], [5.0], [9.0]]), np.random.default_rng(0)
    >>> for centers in kmeans_plusplus(source, sorted_rows(source), 3, 2, as_distance("sqeuclidean"), rng):
    ...     print(sorted(centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    [0.0, 5.0, 9.0]
    """
    for _ in range(n_init):
        yield add_centers(source, rows, source.take(rows.draw(None, 1, rng)), n_clusters, distance, rng)


def add_centers(
    source: Source, rows: SortedRows, centers: Tensor, n_clusters: int, distance: Distance, rng: np.random.Generator
) -> Tensor:
    """Return given centers (j, d) and further ones, chosen from the rows by greedy k-means++, k centers in all.

    Parameters
    ----------
    source, rows, n_clusters, distance, rng
        As for `kmeans_plusplus`.
    centers : Tensor (j, d)
        From 1 to k centers, in the units of the source.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, first = as_source([[0.0], [0.1], [9.0]]), torch.tensor([[0.0]], dtype=torch.float64)
    >>> add_centers(source, sorted_rows(source), first, 2, as_distance("sqeuclidean"), np.random.default_rng(0))
    tensor([[0.],
            [9.]], dtype=torch.float64)
    """
    closest = _min_distances(source, centers, None, distance)[0].amin(0)  # (n,)
    while len(centers) < n_clusters:
        candidates = source.take(rows.draw(closest, 2 + int(math.log(n_clusters)), rng))
        best, closest = _best_candidate(source, candidates, closest, distance)
        centers = torch.cat([centers, best[None]])
    return centers


def _best_candidate(source: Source, candidates: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return the candidate (d,) with the lowest sum of distances, and the distances (n,) to the nearest center with it.

    ``closest`` (n,) holds the distances to the nearest center so far.
    """
    distances, potentials = _min_distances(source, candidates, closest, distance)  # (candidates, n), (candidates,)
    best = int(np.argmin(potentials.cpu().numpy()))
    return candidates[best], distances[best].clone()  # a view would keep the distances of all candidates in memory


def kmeans_parallel(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by k-means||.

    In few passes, draw many more rows than clusters, far from each other, and choose centers among these by k-means++.
    All ``n_init`` sets of centers come from the same drawn rows.

    Bahmani, Moseley, Vattani, Kumar & Vassilvitskii, "Scalable k-means++", VLDB 2012, with 2 k rows per pass.

    Parameters
    ----------
    source, rows, n_clusters, n_init, distance, rng
        As for `kmeans_plusplus`, which yields the same.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, rng = as_source([[0.0], [0.0], [5.0], [5.0], [9.0]]), np.random.default_rng(0)
    >>> for centers in kmeans_parallel(source, sorted_rows(source), 3, 2, as_distance("sqeuclidean"), rng):
    ...     print(sorted(centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    [0.0, 5.0, 9.0]
    """
    chosen = rows.draw(None, 1, rng)
    labels, closest = _nearest(source, source.take(chosen), distance)  # of the nearest chosen row, (n,)
    for round_ in itertools.count(1):
        sampling_weights = rows.sampling_weights(closest)
        if not sampling_weights.any() or (round_ > KMEANS_PARALLEL_ROUNDS and len(chosen) >= n_clusters):
            break
        drawn = rows.order[torch.unique(draw(sampling_weights, 2 * n_clusters, rng))]
        new_labels, new_distances = _nearest(source, source.take(drawn), distance)
        labels = torch.where(new_distances < closest, new_labels + len(chosen), labels)
        closest = torch.minimum(new_distances, closest)
        chosen = torch.cat([chosen, drawn])
    # The weight of a chosen row is the total weight of the rows that are nearest to it.
    sample = source.sample(chosen, torch.bincount(labels, rows.weight, len(chosen)).double())
    yield from kmeans_plusplus(sample, sorted_rows(sample), n_clusters, n_init, distance, rng)


def random_rows(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield random rows as initial centers, drawn by weight; they are distinct if there are enough distinct rows.

    Parameters
    ----------
    source, rows, n_clusters, n_init, distance, rng
        As for `kmeans_plusplus`, which yields the same.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, rng = as_source([[0.0], [0.0], [5.0], [5.0], [9.0]]), np.random.default_rng(0)
    >>> for centers in random_rows(source, sorted_rows(source), 3, 2, as_distance("sqeuclidean"), rng):
    ...     print(sorted(centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    [0.0, 5.0, 9.0]
    """
    group_starts = rows.begins.nonzero()[:, 0]  # of equal rows, as positions in sorted order
    for _ in range(n_init):
        weights, chosen = rows.sampling_weights(), list[int]()
        while len(chosen) < n_clusters:
            available = weights if weights.any() else rows.sampling_weights()
            for position in draw(available, n_clusters - len(chosen), rng).tolist():
                if weights[position] or not weights.any():
                    chosen.append(position)
                    next_group = int(torch.searchsorted(group_starts, position, right=True))
                    stop = group_starts[next_group] if next_group < len(group_starts) else None
                    weights[group_starts[next_group - 1] : stop] = 0  # exclude all rows equal to this one
        yield source.take(rows.order[torch.tensor(chosen, device="cpu")])


def annealing(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by deterministic annealing.

    Lower the temperature until there are 2 k clusters, and prune them to k (see `annealing.anneal.annealed_centers`).
    The centers do not depend on ``n_init`` and ``rng``, so only one set is yielded. If annealing ends with fewer than
    k clusters, rows are added as in k-means++.

    Parameters
    ----------
    source, rows, n_clusters, n_init, distance, rng
        As for `kmeans_plusplus`, which yields the same.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, rng = as_source([[0.0], [0.0], [5.0], [5.0], [9.0]]), np.random.default_rng(0)
    >>> for centers in annealing(source, sorted_rows(source), 3, 1, as_distance("sqeuclidean"), rng):
    ...     print(sorted(round(c, 2) for c in centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    """
    scaling = Scaling(distance, torch.zeros(source.n_features, dtype=source.dtype, device=source.device), 1.0)
    # Annealing returns fewer than k centers if there is no cluster left to split.
    yield add_centers(source, rows, annealed_centers(scaling, source, n_clusters), n_clusters, distance, rng)


def _min_distances(source: Source, c: Tensor, closest: Tensor | None, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return the distances (k, n) to the nearest center if one of the centers (k, d) is added, and their sums (k,).

    ``closest`` (n,) holds the distances to the nearest center so far; None if there is none. See
    `kernels.min_distances`.
    """
    if closest is None:
        closest = torch.full((source.n_rows,), torch.inf, device="cpu")
    parts, start = [], 0
    for block in source.blocks():
        so_far = closest if len(block) == source.n_rows else closest[start : start + len(block)]
        parts.append(min_distances(block, c, so_far.to(block.device), distance))
        start += len(block)
    if len(parts) == 1:
        return parts[0]
    distances, potentials = zip(*parts, strict=True)
    return torch.cat(distances, 1), torch.stack(potentials).sum(0)


def _nearest(source: Source, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return the index (n,) of the nearest center of each row, and the distance (n,) to it."""
    labels, distances = zip(*(nearest(block, c, distance) for block in source.blocks()), strict=True)
    return torch.cat(labels), torch.cat(distances)


def warn_if_few_distinct_rows(n_distinct: int, n_clusters: int) -> None:
    """Warn if there are fewer distinct rows than clusters."""
    if n_distinct < n_clusters:
        problem = f"the data has {n_distinct} distinct rows, fewer than n_clusters={n_clusters}"
        warn(f"{problem}: some centers will coincide", ConvergenceWarning)
