"""Rows in lexicographic order, whatever order they came in: where random numbers are used up along the rows."""

from __future__ import annotations

__all__ = ["SortedRows", "count_distinct", "draw", "sorted_rows"]

from collections.abc import Iterator
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
    first : Tensor (u,) of int64
        The places in this order where another of the u distinct rows begins.
    weight : Tensor (n,) or None
        Weights by number, if not all are 1.
    """

    order: Tensor
    first: Tensor
    weight: Tensor | None

    @property
    def n_distinct(self) -> int:
        """How many distinct rows of a weight above 0 there are."""
        if self.weight is None:
            return len(self.first)
        weighty = (self.weight[self.order] > 0).nonzero()[:, 0]
        return len(torch.unique(torch.searchsorted(self.first, weighty, right=True)))

    def mass(self, closest: Tensor | None = None) -> Tensor:
        """Give the weight (n,), times another mass by number, place by place, in float64."""
        parts = [part for part in (self.weight, closest) if part is not None]
        mass = parts[0][self.order].double() if parts else torch.ones(len(self.order), dtype=torch.float64)
        return mass if len(parts) < 2 else mass.mul_(parts[1][self.order])

    def equals(self, place: int) -> slice:
        """Give the places of the rows that equal the one at a place."""
        end = int(torch.searchsorted(self.first, place, right=True))
        return slice(int(self.first[end - 1]), int(self.first[end]) if end < len(self.first) else None)


def sorted_rows(source: Source) -> SortedRows:
    """Sort the rows of a source; takes memory of the order of n.

    It sorts by one column at a time, and each time only what the columns before left undecided: of real numbers, that
    is little after the first.
    """
    columns = _columns(source)
    first = next(columns)
    order = torch.from_numpy(np.argsort(first.numpy()))
    begins = _differs(first[order])
    for column in columns:
        tied = (~(begins & torch.cat([begins[1:], begins.new_ones(1)]))).nonzero()[:, 0]
        if not len(tied):
            break
        values, group = column[order[tied]], begins.cumsum(0)[tied]
        by = torch.from_numpy(np.lexsort((values.numpy(), group.numpy())))
        order[tied] = order[tied[by]]
        begins[tied] |= _differs(values[by])  # where the group differs as well, that was known
    return SortedRows(order.to(source.device), begins.nonzero()[:, 0].to(source.device), source.weight())


def _differs(values: Tensor) -> Tensor:
    """Whether each value differs from the one before."""
    return torch.cat([torch.ones(1, dtype=torch.bool), values[1:] != values[:-1]])


def _columns(source: Source) -> Iterator[Tensor]:
    """Columns (n,) from left to right, fetched in passes that take in twice as many each time."""
    start = 0
    while start < source.n_features:
        columns = slice(start, 2 * start + 1)
        fetched = source.map(lambda block, columns=columns: block.x[:, columns], width=source.n_features)  # type: ignore[misc]
        yield from fetched.cpu().T
        start = columns.stop


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
