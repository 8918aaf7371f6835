"""Initialization methods for rows that are read block by block; they use only sums over the rows.

The random number of a row depends on its index in the data. The centers therefore do not depend on how the rows are
split into blocks or distributed over processes.
"""

from __future__ import annotations

__all__ = ["annealing", "kmeans_parallel", "random_rows"]

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..annealing.anneal import annealed_centers
from ..data.block import Block
from ..data.ordering import count_distinct, sorted_rows
from ..data.sampling import draw_rows
from ..data.scaling import Scaling
from ..data.source import ArraySource, Source
from ..distances import Distance
from ..kernels import nearest
from . import methods_in_memory


def kmeans_parallel(
    source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by k-means||.

    In few passes, draw many more rows than clusters, far from each other, and choose centers among these by k-means++.

    Bahmani, Moseley, Vattani, Kumar & Vassilvitskii, "Scalable k-means++", VLDB 2012, with 2 k rows per pass.

    Parameters
    ----------
    source : Source
        The data.
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
    >>> for centers in kmeans_parallel(source, 3, 2, as_distance("sqeuclidean"), rng):
    ...     print(sorted(centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    [0.0, 5.0, 9.0]
    """
    sample = _draw_distant_rows(source, n_clusters, distance, rng)
    yield from methods_in_memory.kmeans_plusplus(sample, sorted_rows(sample), n_clusters, n_init, distance, rng)


def _draw_distant_rows(source: Source, n_clusters: int, distance: Distance, rng: np.random.Generator) -> Source:
    """Draw rows with probabilities proportional to their distance from the rows drawn so far.

    In the returned source, each row has the total weight of the rows to which it is the nearest.
    """
    rows, _ = draw_rows(source, 1, lambda block: block.w, _seed(rng))
    for round_ in itertools.count(1):
        drawn, _ = draw_rows(source, 2 * n_clusters, _weight_times_distance(rows, distance), _seed(rng))
        rows = torch.cat([rows, drawn])
        has_enough = round_ >= methods_in_memory.KMEANS_PARALLEL_ROUNDS and count_distinct(rows) >= n_clusters
        if not len(drawn) or has_enough:  # nothing is drawn if every row equals one that was drawn before
            break
    methods_in_memory.warn_if_few_distinct_rows(count_distinct(rows), n_clusters)

    def weights(block: Block) -> Tensor:
        return torch.bincount(nearest(block, rows, distance)[0], block.w, len(rows)).double()

    return ArraySource(rows, source.sum(weights), source.device, source.dtype)


def random_rows(
    source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield random rows as initial centers, drawn by weight; they are distinct if there are enough distinct rows.

    Parameters
    ----------
    source, n_clusters, n_init, distance, rng
        As for `kmeans_parallel`, which yields the same.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, rng = as_source([[0.0], [0.0], [5.0], [5.0], [9.0]]), np.random.default_rng(0)
    >>> for centers in random_rows(source, 3, 2, as_distance("sqeuclidean"), rng):
    ...     print(sorted(centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    [0.0, 5.0, 9.0]
    """
    for _ in range(n_init):
        yield _draw_distinct_rows(source, n_clusters, distance, rng)


def _draw_distinct_rows(source: Source, n_clusters: int, distance: Distance, rng: np.random.Generator) -> Tensor:
    """Draw k distinct rows by weight; if there are fewer distinct rows, repeat them."""
    rows = drawn = draw_rows(source, n_clusters, lambda block: block.w, _seed(rng))[0]
    while len(rows := _without_duplicates(rows)) < n_clusters and len(drawn):
        drawn, _ = draw_rows(source, n_clusters - len(rows), _weight_of_new_rows(rows, distance), _seed(rng))
        rows = torch.cat([rows, drawn])
    methods_in_memory.warn_if_few_distinct_rows(len(rows), n_clusters)
    return rows.repeat(n_clusters, 1)[:n_clusters]


def _without_duplicates(rows: Tensor) -> Tensor:
    """Return the rows (m, d) without those that equal an earlier one."""
    equal = (rows[:, None] == rows[None]).all(2)
    return rows[~equal.tril(-1).any(1)]


def annealing(
    source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by deterministic annealing, as for rows in memory.

    If annealing ends with fewer than k clusters, rows are drawn and added as in k-means++.

    Parameters
    ----------
    source, n_clusters, n_init, distance, rng
        As for `kmeans_parallel`, which yields the same.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source, rng = as_source([[0.0], [0.0], [5.0], [5.0], [9.0]]), np.random.default_rng(0)
    >>> for centers in annealing(source, 3, 1, as_distance("sqeuclidean"), rng):
    ...     print(sorted(round(c, 2) for c in centers[:, 0].tolist()))
    [0.0, 5.0, 9.0]
    """
    scaling = Scaling(distance, torch.zeros(source.n_features, dtype=source.dtype, device=source.device), 1.0)
    centers = annealed_centers(scaling, source, n_clusters)
    if len(centers) < n_clusters:
        sample = _draw_distant_rows(source, n_clusters, distance, rng)
        centers = methods_in_memory.add_centers(sample, sorted_rows(sample), centers, n_clusters, distance, rng)
    yield centers


def _weight_times_distance(rows: Tensor, distance: Distance) -> Callable[[Block], Tensor]:
    """Return a function of a block: the weights of its rows times their distances from the nearest of some rows."""
    return lambda block: block.w * nearest(block, rows, distance)[1]


def _weight_of_new_rows(rows: Tensor, distance: Distance) -> Callable[[Block], Tensor]:
    """Return a function of a block: the weights of its rows, with 0 for those that equal one of some rows."""
    return lambda block: block.w * (nearest(block, rows, distance)[1] > 0)


def _seed(rng: np.random.Generator) -> int:
    """Draw a seed."""
    return int(rng.integers(2**63))
