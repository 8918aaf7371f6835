"""Starts for rows that come one block after the other: all that is asked of them are sums.

Random numbers go by the rows' numbers, so that starts do not depend on how rows are cut into blocks, or shared out.
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
from . import in_memory


def kmeans_parallel(
    source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """k-means||: in few passes, draw many more rows than clusters, far from each other; then k-means++ among these.

    Bahmani, Moseley, Vattani, Kumar & Vassilvitskii, "Scalable k-means++", VLDB 2012, with 2 k rows a round.

    Parameters
    ----------
    source : Source
        The data.
    n_clusters, n_init : int
        k, and how many sets of centers.
    distance : Distance
        What is between rows.
    rng : numpy Generator
        Where rows are drawn from.

    Yields
    ------
    Tensor (k, d)
        Centers.

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
    chosen = _far_apart(source, n_clusters, distance, rng)
    yield from in_memory.kmeans_plusplus(chosen, sorted_rows(chosen), n_clusters, n_init, distance, rng)


def _far_apart(source: Source, n_clusters: int, distance: Distance, rng: np.random.Generator) -> Source:
    """Draw rows, by how far they are from those drawn before; each weighs as much as the rows it is nearest to."""
    rows, _ = draw_rows(source, 1, lambda block: block.w, _seed(rng))
    for round_ in itertools.count(1):
        drawn, _ = draw_rows(source, 2 * n_clusters, _weight_times_distance(rows, distance), _seed(rng))
        rows = torch.cat([rows, drawn])
        if not len(drawn) or (round_ >= in_memory.ROUNDS and count_distinct(rows) >= n_clusters):
            break  # no row is anywhere else, or there are enough
    in_memory.warn_of_few_rows(count_distinct(rows), n_clusters)

    def shares(block: Block) -> Tensor:
        return torch.bincount(nearest(block, rows, distance)[0], block.w, len(rows)).double()

    return ArraySource(rows, source.sum(shares), source.device, source.dtype)


def random_rows(
    source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Rows drawn by weight, no two equal as long as there are others.

    Parameters
    ----------
    source, n_clusters, n_init, distance, rng
        As for `kmeans_parallel`, and so is what it yields.

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
        yield _different_rows(source, n_clusters, distance, rng)


def _different_rows(source: Source, n_clusters: int, distance: Distance, rng: np.random.Generator) -> Tensor:
    """Draw k rows; where some are equal, further ones of those that equal none so far."""
    rows = drawn = draw_rows(source, n_clusters, lambda block: block.w, _seed(rng))[0]
    while len(rows := _first_of_equal(rows)) < n_clusters and len(drawn):
        drawn, _ = draw_rows(source, n_clusters - len(rows), _weight_if_not_among(rows, distance), _seed(rng))
        rows = torch.cat([rows, drawn])
    in_memory.warn_of_few_rows(len(rows), n_clusters)
    return rows.repeat(n_clusters, 1)[:n_clusters]


def _first_of_equal(rows: Tensor) -> Tensor:
    """Leave out rows (m, d) that equal one before."""
    equal = (rows[:, None] == rows[None]).all(2)
    return rows[~equal.tril(-1).any(1)]


def annealing(
    source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Deterministic annealing, as for rows in memory. Where fewer than k clusters come apart, others are drawn.

    Parameters
    ----------
    source, n_clusters, n_init, distance, rng
        As for `kmeans_parallel`, and so is what it yields.

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
        chosen = _far_apart(source, n_clusters, distance, rng)
        centers = in_memory.add_centers(chosen, sorted_rows(chosen), centers, n_clusters, distance, rng)
    yield centers


def _weight_times_distance(rows: Tensor, distance: Distance) -> Callable[[Block], Tensor]:
    return lambda block: block.w * nearest(block, rows, distance)[1]


def _weight_if_not_among(rows: Tensor, distance: Distance) -> Callable[[Block], Tensor]:
    return lambda block: block.w * (nearest(block, rows, distance)[1] > 0)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))
