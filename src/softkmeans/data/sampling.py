"""Rows drawn from a stream: those that come first in a race, whose numbers are drawn by the rows' own numbers.

Every row has a number of its own, whatever block, file or machine it is in, and so who comes first does not depend on
how rows are shared out.
"""

from __future__ import annotations

__all__ = ["Reservoir", "draw_rows"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .block import Block
from .source import Source

TOGETHER = 4  # random numbers that Philox gives at a time


@dataclass(frozen=True)
class Reservoir:
    """The first few rows of a race. Those of two sets of rows add up to those of both.

    Attributes
    ----------
    time : Tensor (m,)
        When each row came in, rising; infinite where there is none.
    rows : Tensor (m, d)
        The rows.
    weight : Tensor (m,)
        Their weights.
    """

    time: Tensor
    rows: Tensor
    weight: Tensor

    def __add__(self, other: Reservoir) -> Reservoir:
        time = torch.cat([self.time, other.time])
        first = time.argsort(stable=True)[: len(self.time)]
        rows, weight = torch.cat([self.rows, other.rows]), torch.cat([self.weight, other.weight])
        return Reservoir(time[first], rows[first], weight[first])


def draw_rows(source: Source, size: int, mass: Callable[[Block], Tensor], seed: int) -> tuple[Tensor, Tensor]:
    """Draw rows without replacement, with probabilities proportional to a mass, in one pass over the source.

    Each row gets an exponential time at the rate of its mass, and the first ones are drawn (Efraimidis & Spirakis,
    "Weighted random sampling with a reservoir", 2006).

    Parameters
    ----------
    source : Source
        The rows.
    size : int
        How many; fewer come where fewer have mass.
    mass : callable
        Gives the mass (m,) of a block's rows, 0 or more.
    seed : int
        Where numbers are drawn from.

    Returns
    -------
    rows : Tensor (at most size, d)
        In the order they came in.
    weight : Tensor (at most size,)
        Their weights.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> rows, weight = draw_rows(as_source([[0.0], [1.0], [2.0]], [0, 1, 5]), 3, lambda block: block.w, seed=0)
    >>> rows[:, 0], weight
    (tensor([2., 1.], dtype=torch.float64), tensor([5., 1.], dtype=torch.float64))
    """
    found = source.sum(lambda block: _first(block, size, mass(block), seed))
    some = found.time.isfinite()
    return found.rows[some], found.weight[some]


def _first(block: Block, size: int, mass: Tensor, seed: int) -> Reservoir:
    """Let a block's rows race."""
    waits = torch.from_numpy(_exponential(block.start, len(block), seed)).to(mass.device)
    time = torch.where(mass > 0, waits / mass.double(), torch.inf)
    order = time.topk(min(size, len(block)), largest=False).indices
    first = block.take(order[time[order].isfinite()])
    missing = size - len(first)
    time = torch.cat([time[order][: len(first)], time.new_full((missing,), torch.inf)])
    return Reservoir(time, _padded(first.x, missing), _padded(first.w, missing))


def _padded(x: Tensor, missing: int) -> Tensor:
    return torch.cat([x, x.new_zeros(missing, *x.shape[1:])])


def _exponential(start: int, number: int, seed: int) -> np.ndarray:
    """Exponential random numbers (number,) of the rows numbered from ``start`` on, the same in whatever block."""
    skip = start % TOGETHER
    generator = np.random.Generator(np.random.Philox(key=seed, counter=start // TOGETHER))
    return -np.log1p(-generator.random(skip + number)[skip:])
