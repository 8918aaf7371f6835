"""Starts for rows in memory.

An integer weight and a repeated row give the same start, and so does any order of the rows: numbers are drawn by
inverting the distribution function along the rows sorted lexicographically, where equal rows stand together.
"""

from __future__ import annotations

__all__ = [
    "ROUNDS",
    "add_centers",
    "annealing",
    "kmeans_parallel",
    "kmeans_plusplus",
    "random_rows",
    "warn_of_few_rows",
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

ROUNDS = 3  # of k-means||


def kmeans_plusplus(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Greedy k-means++: each next center is the best of a few rows drawn by their distance to the centers so far.

    Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, in its greedy form with
    2 + log k candidates a step. Where rows are fewer than clusters, some centers coincide.

    Parameters
    ----------
    source : Source
        The data.
    rows : SortedRows
        Its rows' order.
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
    """Add rows to centers (j, d) until there are k, each as greedy k-means++ does it.

    Parameters
    ----------
    source, rows, n_clusters, distance, rng
        As for `kmeans_plusplus`.
    centers : Tensor (j, d)
        From 1 to k centers, in the frame of the source.

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
        best, closest = _best(source, candidates, closest, distance)
        centers = torch.cat([centers, best[None]])
    return centers


def _best(source: Source, candidates: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Give the candidate (d,) that leaves rows nearest to a center, and how near (n,) they then are."""
    options, potential = _min_distances(source, candidates, closest, distance)  # (candidates, n), (candidates,)
    best = int(np.argmin(potential.cpu().numpy()))
    return candidates[best], options[best].clone()  # the others are not to stay in memory


def kmeans_parallel(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """k-means||: in few passes, draw many more rows than clusters, far from each other; then k-means++ among these.

    Bahmani, Moseley, Vattani, Kumar & Vassilvitskii, "Scalable k-means++", VLDB 2012, with 2 k rows a round. The rows
    drawn serve all ``n_init`` starts.

    Parameters
    ----------
    source, rows, n_clusters, n_init, distance, rng
        As for `kmeans_plusplus`, and so is what it yields.

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
    owner, closest = _nearest(source, source.take(chosen), distance)
    for round_ in itertools.count(1):
        mass = rows.mass(closest)
        if not mass.any() or (round_ > ROUNDS and len(chosen) >= n_clusters):
            break
        drawn = rows.order[torch.unique(draw(mass, 2 * n_clusters, rng))]
        label, far = _nearest(source, source.take(drawn), distance)
        owner = torch.where(far < closest, label + len(chosen), owner)
        closest = torch.minimum(far, closest)
        chosen = torch.cat([chosen, drawn])
    sample = source.sample(chosen, torch.bincount(owner, rows.weight, len(chosen)).double())
    yield from kmeans_plusplus(sample, sorted_rows(sample), n_clusters, n_init, distance, rng)


def random_rows(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Rows drawn by weight, no two equal as long as there are others.

    Parameters
    ----------
    source, rows, n_clusters, n_init, distance, rng
        As for `kmeans_plusplus`, and so is what it yields.

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
    first = rows.begins.nonzero()[:, 0]
    for _ in range(n_init):
        mass, chosen = rows.mass(), list[int]()
        while len(chosen) < n_clusters:
            for place in draw(mass if mass.any() else rows.mass(), n_clusters - len(chosen), rng).tolist():
                if mass[place] or not mass.any():
                    chosen.append(place)
                    end = int(torch.searchsorted(first, place, right=True))
                    mass[first[end - 1] : first[end] if end < len(first) else None] = 0  # all rows that equal it
        yield source.take(rows.order[torch.tensor(chosen)])


def annealing(
    source: Source, rows: SortedRows, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Deterministic annealing: from one cluster down in temperature to twice as many as asked for, and back to k.

    The same centers whatever ``n_init`` and ``rng``, and so one start only. See `paths.annealing_path`. Where fewer
    than k come apart, rows are added as in k-means++.

    Parameters
    ----------
    source, rows, n_clusters, n_init, distance, rng
        As for `kmeans_plusplus`, and so is what it yields.

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
    # Where no cluster is to be split any more, there are fewer.
    yield add_centers(source, rows, annealed_centers(scaling, source, n_clusters), n_clusters, distance, rng)


def _min_distances(source: Source, c: Tensor, closest: Tensor | None, distance: Distance) -> tuple[Tensor, Tensor]:
    """Compare rows with centers (k, d): distances (k, n) and their sums (k,). See `kernels.min_distances`."""
    parts, start = [], 0
    for block in source.blocks():
        had = torch.full((len(block),), torch.inf) if closest is None else closest[start : start + len(block)]
        parts.append(min_distances(block, c, had.to(block.device), distance))
        start += len(block)
    options, potentials = zip(*parts, strict=True)
    return options[0] if len(parts) == 1 else torch.cat(options, 1), torch.stack(potentials).sum(0)


def _nearest(source: Source, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Give each row's nearest center (n,), and how far it is (n,)."""
    labels, far = zip(*(nearest(block, c, distance) for block in source.blocks()), strict=True)
    return torch.cat(labels), torch.cat(far)


def warn_of_few_rows(n_distinct: int, n_clusters: int) -> None:
    """Warn if distinct rows are fewer than clusters."""
    if n_distinct < n_clusters:
        few = f"the data has {n_distinct} distinct rows, fewer than n_clusters={n_clusters}"
        warn(f"{few}: some centers will coincide", ConvergenceWarning)
