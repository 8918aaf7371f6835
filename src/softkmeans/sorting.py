"""Rows in lexicographic order, whatever order they came in: where random numbers are used up along the rows."""

from __future__ import annotations

__all__ = ["SortedRows", "count_distinct", "draw", "sorted_rows"]

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .data.arrays import as_source
from .data.source import Source


class SortedRows(NamedTuple):
    """The order of a source's rows.

    Attributes
    ----------
    order : Tensor (n,) of int64
        The rows' numbers in lexicographic order of the rows.
    begins : Tensor (n,) of bool
        Whether the row at a place in this order differs from the one before.
    weight : Tensor (n,) or None
        Weights by number, if not all are 1.
    """

    order: Tensor
    begins: Tensor
    weight: Tensor | None

    @property
    def n_distinct(self) -> int:
        """How many distinct rows of a weight above 0 there are."""
        if self.weight is None:
            return int(self.begins.sum())
        return len(torch.unique(self.begins.cumsum(0)[self.weight[self.order] > 0]))

    def mass(self, closest: Tensor | None = None) -> Tensor:
        """Give the weight (n,), times another mass by number, place by place, in float64."""
        parts = [part for part in (self.weight, closest) if part is not None]
        mass = parts[0][self.order].double() if parts else torch.ones(len(self.order), dtype=torch.float64)
        return mass if len(parts) < 2 else mass.mul_(parts[1][self.order])

    def draw(self, closest: Tensor | None, size: int, rng: np.random.Generator) -> Tensor:
        """Draw rows by weight times a mass by number, or by weight alone if that is 0 everywhere: their numbers."""
        mass = self.mass(closest)
        return self.order[draw(mass if mass.any() else self.mass(), size, rng)]


def sorted_rows(source: Source) -> SortedRows:
    """Sort the rows of a source; takes memory of the order of n.

    It sorts by one column at a time, and each time only what the columns before left undecided: of real numbers, that
    is little after the first.
    """
    (first,) = _columns(source, 0, 1)
    order = torch.from_numpy(np.argsort(first.numpy()))
    begins, start = _differs(first[order]), 1
    while start < source.n_features and len(_tied(begins)):
        for column in _columns(source, start, 2 * start + 1):  # a pass takes in twice as many each time
            tied = _tied(begins)
            values, group = column[order[tied]], begins.cumsum(0)[tied]
            by = torch.from_numpy(np.lexsort((values.numpy(), group.numpy())))
            order[tied] = order[tied[by]]
            begins[tied] |= _differs(values[by])  # where the group differs as well, that was known
        start = 2 * start + 1
    return SortedRows(order.to(source.device), begins.to(source.device), source.weight())


def _columns(source: Source, start: int, stop: int) -> Tensor:
    """Give some columns (columns, n)."""
    return source.map(lambda block: block.x[:, start:stop], width=source.n_features).cpu().T


def _differs(values: Tensor) -> Tensor:
    """Whether each value differs from the one before."""
    return torch.cat([torch.ones(1, dtype=torch.bool), values[1:] != values[:-1]])


def _tied(begins: Tensor) -> Tensor:
    """Places of rows that equal a neighbour, as far as is known."""
    return (~(begins & torch.cat([begins[1:], begins.new_ones(1)]))).nonzero()[:, 0]


def count_distinct(x: ArrayLike | Tensor | Source) -> int:
    """Count the distinct rows of x (n, d).

    Examples
    --------
    >>> count_distinct([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    2
    """
    return sorted_rows(as_source(x)).n_distinct


def draw(mass: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Draw places (size,) with probabilities proportional to mass (n,), by inverting the distribution function."""
    cumulative = mass.cumsum(0)
    u = torch.from_numpy(rng.random(size)).to(mass) * cumulative[-1]
    last = int(torch.searchsorted(cumulative, cumulative[-1:]))  # rounding may lead past the last place that has mass
    return torch.searchsorted(cumulative, u, right=True).clamp_max(last)
