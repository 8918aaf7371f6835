"""Where centers start: a table of rules, a given array, or a callable."""

from __future__ import annotations

__all__ = ["SEEDINGS", "STREAMED_SEEDINGS", "initial_centers"]

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._utils.checks import check_known
from ..data.block import as_tensor
from ..data.frames import as_rows
from ..data.ordering import SortedRows, sorted_rows
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance
from ..errors import InputError
from . import in_memory, streamed

Seeding = Callable[[Source, SortedRows, int, int, Distance, np.random.Generator], Iterator[Tensor]]
SEEDINGS: dict[str, Seeding] = {
    "k-means++": in_memory.kmeans_plusplus,
    "k-means||": in_memory.kmeans_parallel,
    "random": in_memory.random_rows,
    "annealing": in_memory.annealing,
}
# The same for rows that can't be had by their numbers.
StreamSeeding = Callable[[Source, int, int, Distance, np.random.Generator], Iterator[Tensor]]
STREAMED_SEEDINGS: dict[str, StreamSeeding] = {
    "k-means++": streamed.kmeans_parallel,  # of which k-means++ is the last step
    "k-means||": streamed.kmeans_parallel,
    "random": streamed.random_rows,
    "annealing": streamed.annealing,
}


def initial_centers(
    init: Any, n_init: int, n_clusters: int, source: Source, scaling: Scaling, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Starting centers (k, d) in the fit's space, one set a restart.

    Parameters
    ----------
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable
        A seeding's name, the centers, or what makes them, ``init(x, n_clusters, random_state=...)``.
    n_init, n_clusters : int
        How many sets of centers, and k.
    source : Source
        The data.
    scaling : Scaling
        Where the fit works.
    rng : numpy Generator
        Where rows are drawn from.

    Yields
    ------
    Tensor (k, d)
        Centers.

    Raises
    ------
    InputError
        If there is no such seeding, or what was given are no k centers.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> from softkmeans.distances import as_distance
    >>> source = as_source([[0.0], [4.0], [8.0]])
    >>> scaling = Scaling.of(source, as_distance("sqeuclidean"))
    >>> (start,) = initial_centers([[4.0], [8.0]], 1, 2, source, scaling, np.random.default_rng(0))
    >>> scaling.inverse_transform(start)[:, 0]
    tensor([4., 8.], dtype=torch.float64)
    """
    if isinstance(init, str):
        check_known("init", init, SEEDINGS, ", an array or a callable")
        seed = _in_memory if source.in_memory else _streamed
        yield from seed(init, n_init, n_clusters, scaling.view(source), scaling.distance, rng)
    elif callable(init):
        if not source.in_memory:
            raise InputError("init is a callable, which takes all rows at once, and these come in blocks: give a name")
        rows_given = source.map(lambda block: block.x).cpu().numpy()
        for _ in range(n_init):
            random_state = np.random.RandomState(rng.integers(2**32))
            yield _given(init(rows_given, n_clusters, random_state=random_state), n_clusters, source, scaling)
    else:
        yield _given(init, n_clusters, source, scaling)


def _in_memory(
    init: str, n_init: int, n_clusters: int, view: Source, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    rows = sorted_rows(view)
    in_memory.warn_of_few_rows(rows.n_distinct, n_clusters)
    yield from SEEDINGS[init](view, rows, n_clusters, n_init, distance, rng)


def _streamed(
    init: str, n_init: int, n_clusters: int, view: Source, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    yield from STREAMED_SEEDINGS[init](view, n_clusters, n_init, distance, rng)


def _given(init: Any, n_clusters: int, source: Source, scaling: Scaling) -> Tensor:
    try:
        centers = as_tensor(as_rows(init))
    except InputError as error:
        raise InputError(f"init: {error}") from None
    expected = (n_clusters, source.n_features)
    if tuple(centers.shape) != expected:
        raise InputError(f"init has shape {tuple(centers.shape)}, expected (n_clusters, n_features) = {expected}")
    if not torch.isfinite(centers).all():
        raise InputError("init contains NaN or infinity: give finite starting centers")
    return scaling.transform(centers.to(scaling.shift))
