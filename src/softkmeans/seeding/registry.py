"""Initial centers, from a method with a name, a given array or a callable."""

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
from . import methods_in_memory, methods_streamed

Seeding = Callable[[Source, SortedRows, int, int, Distance, np.random.Generator], Iterator[Tensor]]
SEEDINGS: dict[str, Seeding] = {
    "k-means++": methods_in_memory.kmeans_plusplus,
    "k-means||": methods_in_memory.kmeans_parallel,
    "random": methods_in_memory.random_rows,
    "annealing": methods_in_memory.annealing,
}
# Methods for rows that are read block by block, and not accessible by index. k-means++ itself would need a pass per
# center; it is the last step of k-means||.
StreamSeeding = Callable[[Source, int, int, Distance, np.random.Generator], Iterator[Tensor]]
STREAMED_SEEDINGS: dict[str, StreamSeeding] = {
    "k-means++": methods_streamed.kmeans_parallel,
    "k-means||": methods_streamed.kmeans_parallel,
    "random": methods_streamed.random_rows,
    "annealing": methods_streamed.annealing,
}


def initial_centers(
    init: Any, n_init: int, n_clusters: int, source: Source, scaling: Scaling, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers in the units of the scaled data, one set per restart.

    Parameters
    ----------
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable
        Name of a method, the centers themselves, or a callable ``init(x, n_clusters, random_state=...)`` that returns
        them. An array gives one restart, whatever ``n_init`` is.
    n_init, n_clusters : int
        Number of sets of centers, and number of clusters k.
    source : Source
        The data, in its own units.
    scaling : Scaling
        Shift and scale of the data.
    rng : numpy Generator
        Random number generator.

    Yields
    ------
    Tensor (k, d)
        Initial centers.

    Raises
    ------
    InputError
        If no method has that name, or if the given centers are not finite or not of shape (k, d).

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
            raise InputError(
                "init is a callable, which needs all rows at once, but the data is read in blocks: use the name of a "
                "method, such as 'k-means++'"
            )
        x = source.map(lambda block: block.x).cpu().numpy()
        for _ in range(n_init):
            random_state = np.random.RandomState(rng.integers(2**32))
            yield _checked_centers(init(x, n_clusters, random_state=random_state), n_clusters, source, scaling)
    else:
        yield _checked_centers(init, n_clusters, source, scaling)


def _in_memory(
    init: str, n_init: int, n_clusters: int, view: Source, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by a method for rows in memory."""
    rows = sorted_rows(view)
    methods_in_memory.warn_if_few_distinct_rows(rows.n_distinct, n_clusters)
    yield from SEEDINGS[init](view, rows, n_clusters, n_init, distance, rng)


def _streamed(
    init: str, n_init: int, n_clusters: int, view: Source, distance: Distance, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers by a method for rows that are read block by block."""
    yield from STREAMED_SEEDINGS[init](view, n_clusters, n_init, distance, rng)


def _checked_centers(init: Any, n_clusters: int, source: Source, scaling: Scaling) -> Tensor:
    """Return the given centers in the units of the scaled data, or raise an InputError if they are invalid."""
    try:
        centers = as_tensor(as_rows(init))
    except InputError as error:
        raise InputError(f"init: {error}") from None
    expected = (n_clusters, source.n_features)
    if tuple(centers.shape) != expected:
        raise InputError(f"init has shape {tuple(centers.shape)}, expected (n_clusters, n_features) = {expected}")
    if not torch.isfinite(centers).all():
        raise InputError("init contains NaN or infinity: give finite initial centers")
    return scaling.transform(centers.to(scaling.shift))
