"""Where centres start: a table of rules, a given array, or a callable.

An integer weight and a repeated row give the same start, and so does any order of the rows: equal rows are put
together and numbers are drawn by inverting the distribution function along the rows sorted lexicographically.
"""

from __future__ import annotations

__all__ = ["SEEDINGS", "DistinctRows", "count_distinct", "distinct_rows", "kmeans_plusplus", "random_rows", "starts"]

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from .checks import check_known
from .data.arrays import as_source
from .data.source import Source
from .distances import Distance
from .errors import InputError, warn
from .kernels import distances
from .space import Space


class DistinctRows(NamedTuple):
    """The distinct rows of a source that have weight, in lexicographic order.

    Attributes
    ----------
    number : Tensor (u,)
        The row number of each one's first occurrence.
    weight : Tensor (u,)
        The weight of all its occurrences together.
    """

    number: Tensor
    weight: Tensor


def distinct_rows(source: Source) -> DistinctRows:
    """Put the equal rows of a source together; takes memory of the order of n."""
    weight = source.map(lambda block: block.w)
    order, group = (places.to(weight.device) for places in _sorted_groups(source))
    total = weight.new_zeros(int(group[-1]) + 1).index_add_(0, group, weight[order])
    first = torch.full_like(total, source.n_rows, dtype=torch.int64).scatter_reduce_(0, group, order, "amin")
    return DistinctRows(first[total > 0], total[total > 0])


def count_distinct(x: ArrayLike | Tensor | Source) -> int:
    """Count the distinct rows of x (n, d).

    Examples
    --------
    >>> count_distinct([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    2
    """
    return len(distinct_rows(as_source(x)).weight)


def _sorted_groups(source: Source) -> tuple[Tensor, Tensor]:
    """Row numbers (n,) in lexicographic order, and for each place in it the number of its group of equal rows.

    Sorts by one column at a time, each time only what the columns before left undecided: on real numbers, that is
    little after the first.
    """
    order, group = torch.arange(source.n_rows), torch.zeros(source.n_rows, dtype=torch.int64)
    undecided = torch.arange(source.n_rows)  # places in the order, not rows
    for column in _columns(source):
        by = torch.from_numpy(np.lexsort((column[order[undecided]].numpy(), group[undecided].numpy())))
        order[undecided] = order[undecided[by]]
        group, undecided = _regroup(group, column[order])
        if not len(undecided):
            break
    return order, group


def _columns(source: Source) -> Iterator[Tensor]:
    """Columns (n,) from left to right, fetched in passes that take in twice as many each time."""
    start = 0
    while start < source.n_features:
        columns = slice(start, 2 * start + 1)
        yield from source.map(lambda block, columns=columns: block.x[:, columns]).cpu().T  # type: ignore[misc]
        start = columns.stop


def _regroup(group: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Split groups of neighbours where their values differ; also give the places (m,) that still share theirs."""
    starts = torch.ones(len(group), dtype=torch.bool)
    starts[1:] = (group[1:] != group[:-1]) | (values[1:] != values[:-1])
    alone = starts & torch.cat([starts[1:], torch.ones(1, dtype=torch.bool)])
    return starts.cumsum(0) - 1, (~alone).nonzero()[:, 0]


def draw(mass: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Draw places (size,) with probabilities proportional to mass (u,), by inverting the distribution function."""
    cumulative = mass.cumsum(0)
    u = torch.from_numpy(rng.random(size)).to(mass) * cumulative[-1]
    last = int(mass.nonzero()[-1])  # rounding may lead past the last place that has mass
    return torch.searchsorted(cumulative, u, right=True).clamp_max(last)


def kmeans_plusplus(
    source: Source, rows: DistinctRows, n_clusters: int, distance: Distance, rng: np.random.Generator
) -> Tensor:
    """Greedy k-means++: each next centre is the best of a few rows drawn by their distance to the centres so far.

    Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, in its greedy form with
    2 + log k candidates a step. Returns centres (k, d); where rows are fewer than clusters, some coincide.
    """
    n_candidates = 2 + int(math.log(n_clusters))
    centers = source.take(rows.number[draw(rows.weight, 1, rng)])
    closest = _distances(source, centers, distance)[rows.number][:, 0]  # (u,)
    for _ in range(1, n_clusters):
        mass = rows.weight * closest
        candidates = source.take(rows.number[draw(mass if mass.any() else rows.weight, n_candidates, rng)])
        options = torch.minimum(
            closest[:, None], _distances(source, candidates, distance)[rows.number]
        )  # (u, candidates)
        best = (rows.weight @ options).argmin()
        centers, closest = torch.cat([centers, candidates[best][None]]), options[:, best]
    return centers


def random_rows(
    source: Source, rows: DistinctRows, n_clusters: int, distance: Distance, rng: np.random.Generator
) -> Tensor:
    """Rows drawn by weight, no two equal as long as there are others; returns centres (k, d)."""
    mass, chosen = rows.weight.clone(), []
    for _ in range(n_clusters):
        chosen.append(draw(mass if mass.any() else rows.weight, 1, rng))
        mass[chosen[-1]] = 0
    return source.take(rows.number[torch.cat(chosen)])


def _distances(source: Source, centers: Tensor, distance: Distance) -> Tensor:
    return source.map(lambda block: distances(block, centers, distance))


Seeding = Callable[[Source, DistinctRows, int, Distance, np.random.Generator], Tensor]
SEEDINGS: dict[str, Seeding] = {"k-means++": kmeans_plusplus, "random": random_rows}


def starts(
    init: Any, n_init: int, n_clusters: int, source: Source, space: Space, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Starting centres (k, d) in the fit's space, one set a restart."""
    if isinstance(init, str):
        check_known("init", init, SEEDINGS, ", an array or a callable")
        view = space.view(source)
        rows = distinct_rows(view)
        if len(rows.weight) < n_clusters:
            _warn_of_few_rows(len(rows.weight), n_clusters)
        yield from (SEEDINGS[init](view, rows, n_clusters, space.distance, rng) for _ in range(n_init))
    elif callable(init):
        rows_given = source.map(lambda block: block.x).cpu().numpy()
        for _ in range(n_init):
            random_state = np.random.RandomState(rng.integers(2**32))
            yield _given(init(rows_given, n_clusters, random_state=random_state), n_clusters, source, space)
    else:
        yield _given(init, n_clusters, source, space)


def _given(init: Any, n_clusters: int, source: Source, space: Space) -> Tensor:
    centers = init.detach() if isinstance(init, Tensor) else torch.as_tensor(np.array(init, dtype=np.float64))
    expected = (n_clusters, source.n_features)
    if tuple(centers.shape) != expected:
        raise InputError(f"init has shape {tuple(centers.shape)}, expected (n_clusters, n_features) = {expected}")
    if not torch.isfinite(centers).all():
        raise InputError("init contains NaN or infinity: give finite starting centres")
    return space.enter(centers.to(space.shift))


def _warn_of_few_rows(n_distinct: int, n_clusters: int) -> None:
    few = f"the data has {n_distinct} distinct rows, fewer than n_clusters={n_clusters}"
    warn(f"{few}: some centres will coincide", ConvergenceWarning)
