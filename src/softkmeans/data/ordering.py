"""Lexicographic row order, so that weighted sampling does not depend on the order of the input."""

from __future__ import annotations

__all__ = ["SortedRows", "count_distinct", "draw", "sorted_rows"]

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy  # loads its submodules when they are used
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.few_numbers import Numbers, as_array, at_most, from_array, matching, positions
from .block import Block, as_tensor
from .convert import as_source
from .source import Source

MAX_SMALL_ENTRIES = 2**12  # numbers in a table that is sorted by all columns at once
MAX_KEY_ENTRIES = 2**24  # numbers in the sort keys that are held in memory at a time: 128 MB


Array = NDArray[Any]


class SortedRows(NamedTuple):
    """The lexicographic order of a source's rows.

    Attributes
    ----------
    order : Tensor (n,) of int64
        Row indices, sorted so that the rows are in lexicographic order.
    begins : Tensor (n,) of bool
        Whether a group of equal rows begins at a position of this order.
    weight : Tensor (n,) or None
        Weights by row index; None if all are 1.
    """

    order: Tensor
    begins: Tensor
    weight: Tensor | None

    @property
    def n_distinct(self) -> int:
        """The number of distinct rows with a positive weight."""
        if self.weight is None:
            return int(as_array(self.begins).sum())
        return len(torch.unique(self.begins.cumsum(0)[self.weight[self.order] > 0]))

    def sampling_weights(self, factor: Tensor | None = None) -> Tensor:
        """Return the weights (n,), times an optional factor by row index, in sorted order and in float64."""
        parts = [part for part in (self.weight, factor) if part is not None]
        weights = (
            parts[0][self.order].double() if parts else torch.ones(len(self.order), dtype=torch.float64, device="cpu")
        )
        return weights if len(parts) < 2 else weights.mul_(parts[1][self.order])

    def draw(self, factor: Tensor | None, size: int, rng: np.random.Generator) -> Tensor:
        """Draw row indices (size,) in proportion to weight times factor, or to weight alone if all products are 0."""
        cumulative = as_array(self.sampling_weights(factor)).cumsum(0)
        if not cumulative[-1] > 0:
            cumulative = as_array(self.sampling_weights()).cumsum(0)
        return self.order[_draw_from(cumulative, size, rng)]


def sorted_rows(source: Source) -> SortedRows:
    """Sort the rows of a source lexicographically, with O(n) memory.

    The rows are sorted by one key at a time. Each key sorts only the rows that are tied in all previous keys; with
    real numbers, few are tied after the first.

    Parameters
    ----------
    source : Source
        The data.

    Examples
    --------
    >>> sorted_rows(as_source([[2.0, 1.0], [1.0, 5.0], [1.0, 3.0]])).order
    tensor([2, 1, 0])
    """
    if source.n_rows * source.n_features <= MAX_SMALL_ENTRIES:
        order, begins = _sorted_at_once(torch.cat([block.x for block in source.blocks()]).cpu().numpy())
        return SortedRows(order.to(source.device), begins.to(source.device), source.weight())
    keys = _entries if any(block.is_sparse for block in source.blocks()) else _columns
    order, begins, start = _unsorted(source) if keys is _entries else _by_first_column(source)
    while start < source.n_features and len(tied := _tied_positions(begins)):
        stop = start + max(1, min(start + 1, MAX_KEY_ENTRIES // len(tied)))  # double the keys, if memory allows
        rows, tied_order, tied_begins = order[tied], torch.arange(len(tied), device="cpu"), begins[tied]
        columns = _keys_of_rows(source, rows, partial(keys, start=start, stop=stop))
        for column in columns.T:
            if len(still_tied := _tied_positions(tied_begins)):
                _refine(tied_order, tied_begins, still_tied, column)
        order[tied], begins[tied], start = rows[tied_order], tied_begins, stop
        if keys is _entries and not columns.any():
            break  # no row has further entries
    return SortedRows(order.to(source.device), begins.to(source.device), source.weight())


def _sorted_at_once(rows: Array) -> tuple[Tensor, Tensor]:
    """Return the order (n,) of rows (n, d), and whether a group of equal rows begins at each position."""
    order, begins = np.argsort(rows[:, 0]), np.ones(len(rows), dtype=bool)
    first = rows[order, 0]
    if not (first[1:] != first[:-1]).all():  # few real numbers are equal
        order = np.lexsort(rows.T[::-1])
        np.any(rows[order[1:]] != rows[order[:-1]], axis=1, out=begins[1:])
    return torch.from_numpy(order), torch.from_numpy(begins)


def _unsorted(source: Source) -> tuple[Tensor, Tensor, int]:
    """Return the state before sorting: the original order, all rows in one group of tied rows, and 0 keys used."""
    return torch.arange(source.n_rows, device="cpu"), torch.arange(source.n_rows, device="cpu") == 0, 0


def _by_first_column(source: Source) -> tuple[Tensor, Tensor, int]:
    """Return the state after sorting by the first column, which separates nearly all rows of real numbers."""
    first = source.map(lambda block: block.x[:, 0], width=source.n_features).cpu()
    order = torch.from_numpy(np.argsort(first.numpy()))
    return order, _differs_from_previous(first[order]), 1


def _refine(order: Tensor, begins: Tensor, tied: Tensor, key: Tensor) -> None:
    """Sort the rows at the tied positions in place, by one more key (n,), given by row index."""
    values, group = key[order[tied]].numpy(), begins.cumsum(0)[tied].numpy()
    permutation = torch.from_numpy(np.lexsort((values, group)) if group[-1] > 1 else np.argsort(values))
    order[tied] = order[tied[permutation]]
    begins[tied] |= _differs_from_previous(torch.from_numpy(values)[permutation])


def _keys_of_rows(source: Source, rows: Tensor, keys: Callable[[Block], Tensor]) -> Tensor:
    """Return the keys (m, ...) of the rows with the given indices (m,), in one pass over the source."""
    is_requested = torch.zeros(source.n_rows, dtype=torch.bool, device="cpu")
    is_requested[rows] = True
    position = is_requested.cumsum(0) - 1  # of each row among the requested ones, by row index
    result, start = (
        torch.empty(0, device="cpu"),
        0,
    )  # filled block by block: collecting small parts would fragment the heap
    for block in source.blocks():
        for piece in block.parts(source.n_features):
            requested = is_requested[start : start + len(piece)].nonzero()[:, 0]
            if len(requested):
                part = keys(piece if len(requested) == len(piece) else piece.take(requested)).cpu()
                result = result if len(result) else part.new_empty(len(rows), part.shape[1])
                result[position[start + requested]] = part
            start += len(piece)
    return result[position[rows]]


def _columns(block: Block, start: int, stop: int) -> Tensor:
    """Return the columns (m, stop - start) of a block: the sort keys of dense rows."""
    return block.x[:, start:stop]


def _entries(block: Block, start: int, stop: int) -> Tensor:
    """Return the columns and values of each row's nonzero entries start to stop, (m, 2 entries): keys of sparse rows.

    Lexicographic order compares two rows in the first column where they differ. An entry less than the scaled zero
    sorts its row before rows without an entry in that column, and a greater one after them. The first key of an entry
    is therefore its column, counted from the end, and negative for values less than the scaled zero. It is 0, between
    the two, for a row without further entries. The second key is the value.
    """
    if not block.is_sparse:  # others of the same source are
        block = replace(block, rows=scipy.sparse.csr_array(as_tensor(block.rows).cpu().numpy()))
    rows: Any = block.rows
    (n, d), values, columns, starts = rows.shape, block.stored, rows.indices, rows.indptr
    zero = block.zero.cpu().numpy()
    counts, differs = np.diff(starts), values != zero[columns]
    if not differs.all():  # stored zeros, and values that the shift hides
        counts = np.bincount(np.repeat(np.arange(n), counts)[differs], minlength=n)
        values, columns = values[differs], columns[differs]
        starts = np.concatenate([[0], counts.cumsum()])
    ranks = np.arange(start, min(stop, max(start, counts.max(initial=0))))
    row, rank = np.nonzero(ranks < counts[:, None])
    entry = starts[row] + start + rank
    from_end = (d - columns[entry]).astype(np.float64)
    keys = np.zeros((n, stop - start, 2))
    keys[row, rank, 0] = np.where(values[entry] < zero[columns[entry]], -from_end, from_end)
    keys[row, rank, 1] = values[entry]
    return torch.from_numpy(keys.reshape(n, -1))


def _differs_from_previous(values: Tensor) -> Tensor:
    """Return whether each value differs from the previous one; True for the first."""
    return torch.cat([torch.ones(1, dtype=torch.bool, device="cpu"), values[1:] != values[:-1]])


def _tied_positions(begins: Tensor) -> Tensor:
    """Return the positions of rows that equal a neighbor in all keys so far."""
    return (~(begins & torch.cat([begins[1:], begins.new_ones(1)]))).nonzero()[:, 0]


def count_distinct(x: ArrayLike | Tensor | Source) -> int:
    """Count the distinct rows of x.

    Parameters
    ----------
    x : table or Source (n, d)
        Rows, in any format that `as_source` supports.

    Examples
    --------
    >>> count_distinct([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    2
    """
    return sorted_rows(as_source(x)).n_distinct


def draw(weights: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Draw positions (size,) with probabilities proportional to weights (n,), by inverting the distribution function.

    Parameters
    ----------
    weights : Tensor (n,)
        Weights, 0 or more and not all 0.
    size : int
        Number of draws, with replacement.
    rng : numpy Generator
        Source of random numbers.

    Examples
    --------
    >>> draw(torch.tensor([0.0, 1.0, 0.0]), 4, np.random.default_rng(0))
    tensor([1, 1, 1, 1])
    """
    return _draw_from(as_array(weights).cumsum(0), size, rng)


def _draw_from(cumulative: Numbers, size: int, rng: np.random.Generator) -> Tensor:
    """Draw positions (size,) by a distribution function (n,), whose last number may be another than 1."""
    u = matching(rng.random(size), cumulative) * cumulative[-1]
    # Rounding can lead past the last position with a positive weight.
    last = int(positions(cumulative, cumulative[-1:])[0])
    return from_array(at_most(positions(cumulative, u, "right"), last))
