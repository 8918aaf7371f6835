"""The seedings of the library: each has a method for rows in memory, and one for rows that are read block by block."""

from __future__ import annotations

__all__ = ["ANNEALING", "KMEANS_PARALLEL", "KMEANS_PLUSPLUS", "RANDOM"]

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor
from typing_extensions import override

from ..data.ordering import SortedRows, sorted_rows
from ..data.source import Source
from ..distances import Distance
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
        rows = sorted_rows(source)
        methods_in_memory.warn_if_few_distinct_rows(rows.n_distinct, n_clusters)
        yield from self.in_memory(source, rows, n_clusters, n_init, distance, rng)


# k-means++ itself would need a pass per center over rows that are not in memory; it is the last step of k-means||.
KMEANS_PLUSPLUS = TwoMethods(methods_in_memory.kmeans_plusplus, methods_streamed.kmeans_parallel)
KMEANS_PARALLEL = TwoMethods(methods_in_memory.kmeans_parallel, methods_streamed.kmeans_parallel)
RANDOM = TwoMethods(methods_in_memory.random_rows, methods_streamed.random_rows)
ANNEALING = TwoMethods(methods_in_memory.annealing, methods_streamed.annealing)
