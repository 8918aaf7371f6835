"""Initial centers, from a method with a name, a given array or a callable; the methods of the library."""

from __future__ import annotations

__all__ = ["ANNEALING", "KMEANS_PARALLEL", "KMEANS_PLUSPLUS", "RANDOM", "SEEDINGS", "initial_centers"]

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from .._utils.few_numbers import are_finite
from ..data.convert import as_numbers
from ..data.ordering import SortedRows, sorted_rows
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance
from ..errors import InputError
from ..registries import SEEDINGS
from . import methods_in_memory, methods_streamed
from .base import Seeding

InMemory = Callable[[Source, SortedRows, int, int, Distance, np.random.Generator], Iterator[Tensor]]
Streamed = Callable[[Source, int, int, Distance, np.random.Generator], Iterator[Tensor]]


class TwoMethods(Seeding):
    """A seeding with a method for rows in memory, which also gets their lexicographic order, and a streamed one.

    Parameters
    ----------
    in_memory, streamed : callable
        The two methods.
    """

    reads_by_index = False

    def __init__(self, in_memory: InMemory, streamed: Streamed) -> None:
        self.in_memory, self.streamed = in_memory, streamed

    @override
    def centers(
        self, source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
    ) -> Iterator[Tensor]:
        if not source.in_memory:
            yield from self.streamed(source, n_clusters, n_init, distance, rng)
            return
        source = source.kept()
        rows = sorted_rows(source)
        methods_in_memory.warn_if_few_distinct_rows(rows.n_distinct, n_clusters)
        yield from self.in_memory(source, rows, n_clusters, n_init, distance, rng)


# k-means++ itself would need a pass per center over rows that are not in memory; it is the last step of k-means||.
KMEANS_PLUSPLUS = TwoMethods(methods_in_memory.kmeans_plusplus, methods_streamed.kmeans_parallel)
KMEANS_PARALLEL = TwoMethods(methods_in_memory.kmeans_parallel, methods_streamed.kmeans_parallel)
RANDOM = TwoMethods(methods_in_memory.random_rows, methods_streamed.random_rows)
ANNEALING = TwoMethods(methods_in_memory.annealing, methods_streamed.annealing)


def initial_centers(
    init: Any, n_init: int, n_clusters: int, source: Source, scaling: Scaling, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield initial centers in the units of the scaled data, one set per restart.

    Parameters
    ----------
    init : str, Seeding, array-like (k, d) or callable
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
    if isinstance(init, str | Seeding):
        seeding = SEEDINGS.resolve(init, ", an array or a callable")
        if seeding.reads_by_index:
            _require_memory(source, "needs rows by index")
        view = scaling.view(source)
        for centers in islice(seeding.centers(view, n_clusters, n_init, scaling.distance, rng), n_init):
            yield _checked_scaled_centers(centers, n_clusters, view)
    elif callable(init):
        _require_memory(source, "is a callable, which needs all rows at once")
        x = source.map(lambda block: block.x).cpu().numpy()
        for _ in range(n_init):
            random_state = np.random.RandomState(rng.integers(2**32))
            yield _checked_centers(init(x, n_clusters, random_state=random_state), n_clusters, source, scaling)
    else:
        yield _checked_centers(init, n_clusters, source, scaling)


def _require_memory(source: Source, problem: str) -> None:
    """Raise an InputError unless all rows are in memory."""
    if not source.in_memory:
        raise InputError(
            f"{problem}, but the data is read in blocks",
            parameter="init",
            hint="use the name of another method, such as 'k-means++'",
        )


def _checked_scaled_centers(centers: Tensor, n_clusters: int, view: Source) -> Tensor:
    """Return the centers of a seeding, or raise an InputError if they are invalid."""
    expected = (n_clusters, view.n_features)
    if not isinstance(centers, Tensor) or tuple(centers.shape) != expected or not are_finite(centers):
        got = f"{tuple(centers.shape)}" if isinstance(centers, Tensor) else f"a {type(centers).__name__}"
        raise InputError(f"chose {got}", parameter="init", expected=f"a tensor {expected} of finite numbers")
    return centers.to(view.device, view.dtype)


def _checked_centers(init: Any, n_clusters: int, source: Source, scaling: Scaling) -> Tensor:
    """Return the given centers in the units of the scaled data, or raise an InputError if they are invalid."""
    centers = as_numbers(init, "init")
    expected = (n_clusters, source.n_features)
    if tuple(centers.shape) != expected:
        raise InputError(
            f"has shape {tuple(centers.shape)}", parameter="init", expected=f"(n_clusters, n_features) = {expected}"
        )
    if not torch.isfinite(centers).all():
        raise InputError("contains NaN or infinity", parameter="init", hint="give finite initial centers")
    return scaling.transform(centers.to(scaling.shift))
