"""Weighted sampling without replacement from a stream of rows (Efraimidis & Spirakis, 2006).

The random number of a row depends only on its index in the data. The sample therefore does not depend on how the rows
are divided into blocks, files or processes.
"""

from __future__ import annotations

__all__ = ["Reservoir", "draw_rows", "exponential_times"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .block import Block
from .source import Source

PHILOX_BLOCK_SIZE = 4  # random numbers per value of the Philox counter


@dataclass(frozen=True)
class Reservoir:
    """A sample of m rows with the smallest random times. The sum of two samples is the sample of all their rows.

    Attributes
    ----------
    time : Tensor (m,)
        Random time of each row, ascending; infinite for unused entries.
    rows : Tensor (m, d)
        The rows.
    weight : Tensor (m,)
        Weights of the rows.
    """

    time: Tensor
    rows: Tensor
    weight: Tensor

    def __add__(self, other: Reservoir) -> Reservoir:
        time = torch.cat([self.time, other.time])
        first = time.argsort(stable=True)[: len(self.time)]
        rows, weight = torch.cat([self.rows, other.rows]), torch.cat([self.weight, other.weight])
        return Reservoir(time[first], rows[first], weight[first])


def draw_rows(source: Source, size: int, weights: Callable[[Block], Tensor], seed: int) -> tuple[Tensor, Tensor]:
    """Draw rows without replacement, with probabilities proportional to sampling weights, in one pass over the source.

    Each row gets an exponentially distributed time whose rate is its sampling weight, and the rows with the smallest
    times are drawn (Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006).

    Parameters
    ----------
    source : Source
        The rows.
    size : int
        Number of rows to draw; fewer are returned if fewer have a positive sampling weight.
    weights : callable
        Function that returns the sampling weights (m,) of a block's rows, 0 or more.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    rows : Tensor (at most size, d)
        The rows, in the order of their times.
    weight : Tensor (at most size,)
        Weights of the rows in the source.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> rows, weight = draw_rows(as_source([[0.0], [1.0], [2.0]], [0, 1, 5]), 3, lambda block: block.w, seed=0)
    >>> rows[:, 0], weight
    (tensor([2., 1.], dtype=torch.float64), tensor([5., 1.], dtype=torch.float64))
    """
    reservoir = source.sum(lambda block: _draw_from_block(block, size, weights(block), seed))
    drawn = reservoir.time.isfinite()
    return reservoir.rows[drawn], reservoir.weight[drawn]


def _draw_from_block(block: Block, size: int, weights: Tensor, seed: int) -> Reservoir:
    """Draw rows of one block."""
    exponentials = torch.from_numpy(exponential_times(block.start, len(block), seed)).to(weights.device)
    time = torch.where(weights > 0, exponentials / weights.double(), torch.inf)
    order = time.topk(min(size, len(block)), largest=False).indices
    drawn = block.take(order[time[order].isfinite()])
    n_missing = size - len(drawn)
    time = torch.cat([time[order][: len(drawn)], time.new_full((n_missing,), torch.inf)])
    return Reservoir(time, _pad(drawn.x, n_missing), _pad(drawn.w, n_missing))


def _pad(x: Tensor, n_missing: int) -> Tensor:
    return torch.cat([x, x.new_zeros(n_missing, *x.shape[1:])])


def exponential_times(start: int, n_rows: int, seed: int) -> np.ndarray:
    """Draw exponential random numbers (n_rows,) for the rows from index ``start``; they depend on seed and index."""
    skip = start % PHILOX_BLOCK_SIZE
    generator = np.random.Generator(np.random.Philox(key=seed, counter=start // PHILOX_BLOCK_SIZE))
    return -np.log1p(-generator.random(skip + n_rows)[skip:])
