"""The interface of a seeding: a method that chooses initial centers."""

from __future__ import annotations

__all__ = ["Seeding"]

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from ..data.source import Source
from ..distances import Distance


class Seeding(ABC):
    """A method that chooses initial centers.

    Attributes
    ----------
    reads_by_index : bool
        Whether the method needs rows by index (``source.take``). If False, it uses blocks only, and also supports rows
        that are not in memory.

    Examples
    --------
    A method that takes the first rows:

    >>> import torch
    >>> from softkmeans import SoftKMeans
    >>> from softkmeans.seeding import SEEDINGS
    >>> class FirstRows(Seeding):
    ...     def centers(self, source, n_clusters, n_init, distance, rng):
    ...         for _ in range(n_init):
    ...             yield source.take(torch.arange(n_clusters))
    >>> SEEDINGS.register("first-rows", FirstRows)
    >>> SoftKMeans(2, init="first-rows").fit_predict([[0.0], [9.0], [0.2], [9.1]])
    array([0, 1, 0, 1])
    >>> SEEDINGS.unregister("first-rows")
    """

    reads_by_index: bool = True

    @abstractmethod
    def centers(
        self, source: Source, n_clusters: int, n_init: int, distance: Distance, rng: np.random.Generator
    ) -> Iterator[Tensor]:
        """Yield at most ``n_init`` sets of initial centers, one for each restart.

        Parameters
        ----------
        source : Source
            The rows, centered and scaled. ``source.take(indices)`` returns rows in memory as a tensor (m, d).
            ``source.blocks()`` yields all rows block by block: ``block.x`` (m, d) with the weights ``block.w`` (m,).
        n_clusters, n_init : int
            Number of clusters k, and number of sets of centers.
        distance : Distance
            Distance between rows and centers.
        rng : numpy Generator
            Random number generator, the only source of randomness.

        Yields
        ------
        Tensor (k, d)
            Initial centers, in the units of the rows.
        """
