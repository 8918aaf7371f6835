"""Rows in lexicographic order, whatever order they came in: where random numbers are used up along the rows."""

from __future__ import annotations

__all__ = ["SortedRows", "count_distinct", "draw", "sorted_rows"]

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .block import Block
from .convert import as_source
from .source import Source

KEYS = 2**24  # numbers to sort by that are held at a time: 128 MB


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

    It sorts by one key at a time, and each time only what the keys before left undecided: of real numbers, that is
    little after the first.

    Parameters
    ----------
    source : Source
        The data.

    Examples
    --------
    >>> sorted_rows(as_source([[2.0, 1.0], [1.0, 5.0], [1.0, 3.0]])).order
    tensor([2, 1, 0])
    """
    keys = _entries if any(block.is_sparse for block in source.blocks()) else _columns
    order, begins, start = _unsorted(source) if keys is _entries else _by_first_column(source)
    while start < source.n_features and len(tied := _tied(begins)):
        stop = start + max(1, min(start + 1, KEYS // len(tied)))  # twice as many each time, if memory allows
        rows, by, new = order[tied], torch.arange(len(tied)), begins[tied]
        columns = _of_rows(source, rows, partial(keys, start=start, stop=stop))
        for column in columns.T:
            if len(still := _tied(new)):
                _refine(by, new, still, column)
        order[tied], begins[tied], start = rows[by], new, stop
        if keys is _entries and not columns.any():
            break  # all entries have been seen
    return SortedRows(order.to(source.device), begins.to(source.device), source.weight())


def _unsorted(source: Source) -> tuple[Tensor, Tensor, int]:
    """Give the rows' order, where in it rows begin to differ, and how many keys that takes account of: none."""
    return torch.arange(source.n_rows), torch.arange(source.n_rows) == 0, 0


def _by_first_column(source: Source) -> tuple[Tensor, Tensor, int]:
    """Give the same for rows in the order of their first column, which settles nearly all of real numbers."""
    first = source.map(lambda block: block.x[:, 0], width=source.n_features).cpu()
    order = torch.from_numpy(np.argsort(first.numpy()))
    return order, _differs(first[order]), 1


def _refine(order: Tensor, begins: Tensor, tied: Tensor, key: Tensor) -> None:
    """Sort, in place, the rows at the places that are tied by one more key (n,), by number."""
    values, group = key[order[tied]].numpy(), begins.cumsum(0)[tied].numpy()
    by = torch.from_numpy(np.lexsort((values, group)) if group[-1] > 1 else np.argsort(values))
    order[tied] = order[tied[by]]
    begins[tied] |= _differs(torch.from_numpy(values)[by])  # where the group differs as well, that was known


def _of_rows(source: Source, rows: Tensor, keys: Callable[[Block], Tensor]) -> Tensor:
    """Give keys (m, ...) of some rows by their numbers (m,), in one pass over the source."""
    wanted = torch.zeros(source.n_rows, dtype=torch.bool)
    wanted[rows] = True
    place = wanted.cumsum(0) - 1  # of each row among those wanted, by number
    found, start = torch.empty(0), 0  # filled in as it goes: many small parts would leave the heap in pieces
    for block in source.blocks():
        for piece in block.pieces(source.n_features):
            here = wanted[start : start + len(piece)].nonzero()[:, 0]
            if len(here):
                part = keys(piece if len(here) == len(piece) else piece.take(here)).cpu()
                found = found if len(found) else part.new_empty(len(rows), part.shape[1])
                found[place[start + here]] = part
            start += len(piece)
    return found[place[rows]]


def _columns(block: Block, start: int, stop: int) -> Tensor:
    """Some columns (m, columns), the keys of dense rows."""
    return block.x[:, start:stop]


def _entries(block: Block, start: int, stop: int) -> Tensor:
    """Where some of each row's entries that are not zero are, and what they are, (m, 2 entries): keys of sparse rows.

    Two rows are first told apart by an entry that one of them does not have, or not so. It makes its row the lesser if
    it is below what zero is in the frame, the greater if above, the more so the sooner it comes; its place, counted
    from the end and signed, says so. Missing entries have place 0, between the two.
    """
    x, zero = block.x, block.zero
    row, column = (x != zero).nonzero(as_tuple=True)
    number = torch.bincount(row, minlength=len(x))
    rank = torch.arange(len(row), device=x.device) - (number.cumsum(0) - number)[row]
    some = (rank >= start) & (rank < stop)
    row, column, rank = row[some], column[some], rank[some] - start
    value, from_end = x[row, column], x.shape[1] - column
    keys = x.new_zeros(len(x), stop - start, 2)
    keys[row, rank, 0] = torch.where(value < zero[column], -from_end, from_end).to(x)
    keys[row, rank, 1] = value
    return keys.flatten(1)


def _differs(values: Tensor) -> Tensor:
    """Whether each value differs from the one before."""
    return torch.cat([torch.ones(1, dtype=torch.bool), values[1:] != values[:-1]])


def _tied(begins: Tensor) -> Tensor:
    """Places of rows that equal a neighbor, as far as is known."""
    return (~(begins & torch.cat([begins[1:], begins.new_ones(1)]))).nonzero()[:, 0]


def count_distinct(x: ArrayLike | Tensor | Source) -> int:
    """Count the distinct rows of x.

    Parameters
    ----------
    x : table or Source (n, d)
        Rows, of any kind that a fit takes.

    Examples
    --------
    >>> count_distinct([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    2
    """
    return sorted_rows(as_source(x)).n_distinct


def draw(mass: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Draw places (size,) with probabilities proportional to mass (n,), by inverting the distribution function.

    Parameters
    ----------
    mass : Tensor (n,)
        Not negative, and not all 0.
    size : int
        How many, with replacement.
    rng : numpy Generator
        Where numbers are drawn from.

    Examples
    --------
    >>> draw(torch.tensor([0.0, 1.0, 0.0]), 4, np.random.default_rng(0))
    tensor([1, 1, 1, 1])
    """
    cumulative = mass.cumsum(0)
    u = torch.from_numpy(rng.random(size)).to(mass) * cumulative[-1]
    last = int(torch.searchsorted(cumulative, cumulative[-1:]))  # rounding may lead past the last place that has mass
    return torch.searchsorted(cumulative, u, right=True).clamp_max(last)
