"""The rows with the highest scores, found in one pass over the data.

They do not depend on how the rows are divided into blocks, files or processes: the rows with the highest scores of two
parts, taken together, contain those of both, and ties are broken by the index in the data.
"""

from __future__ import annotations

__all__ = ["TopRows", "top_rows"]

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .block import BLOCK, Block
from .source import Source


@dataclass(frozen=True)
class TopRows:
    """The m distinct rows with the highest scores. The sum of two is that of all their rows: a maximum, not a sum.

    Attributes
    ----------
    score : Tensor (m,) of float64
        Scores, descending; 0 for unused entries.
    index : Tensor (m,) of int64
        Index of each row in the data; of equal scores, the lowest index comes first.
    rows : Tensor (m, d)
        The rows, no two of them equal.
    """

    score: Tensor
    index: Tensor
    rows: Tensor

    def __add__(self, other: TopRows) -> TopRows:
        score = torch.cat([self.score, other.score])
        return _select(score, torch.cat([self.index, other.index]), torch.cat([self.rows, other.rows]), len(self.score))


def top_rows(source: Source, size: int, scores: Callable[[Block], Tensor]) -> Tensor:
    """Return the distinct rows with the highest scores, in one pass over the source.

    Parameters
    ----------
    source : Source
        The rows.
    size : int
        Number of rows; fewer are returned if fewer distinct rows have a positive score.
    scores : callable
        Function that returns the scores (m,) of a block's rows, 0 or more.

    Returns
    -------
    Tensor (at most size, d)
        The rows, by descending score; those of equal scores in the order of the data.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> top_rows(as_source([[1.0], [9.0], [9.0], [5.0], [0.0]]), 4, lambda block: block.x[:, 0])[:, 0]
    tensor([9., 5., 1.], dtype=torch.float64)
    """
    top = source.sum(lambda block: _top_of_block(block, size, scores(block).double()))
    return top.rows[top.score > 0]


def _top_of_block(block: Block, size: int, score: Tensor) -> TopRows:
    """Return the rows of one block with the highest scores."""
    order = score.argsort(descending=True, stable=True)[: int((score > 0).sum())]
    no_row = block.part(0, 0).x
    top = _select(score[:0], order[:0], no_row, size)
    n_part = max(size, BLOCK // no_row.shape[1])
    for start in range(0, len(order), n_part):  # many rows may be equal
        part = order[start : start + n_part]
        top += _select(score[part], part + block.start, block.take(part).x, size)
        if top.score[-1] > 0:
            break
    return top


def _select(score: Tensor, index: Tensor, rows: Tensor, size: int) -> TopRows:
    """Return the distinct rows with the highest scores among some rows (m, d) with their indices (m,)."""
    order = index.argsort(stable=True)
    order = order[score[order].argsort(descending=True, stable=True)]
    order = order[score[order] > 0]
    order = order[is_first(rows[order])][:size]
    n_missing = size - len(order)
    return TopRows(
        torch.cat([score[order], score.new_zeros(n_missing)]),
        torch.cat([index[order], index.new_zeros(n_missing)]),
        torch.cat([rows[order], rows.new_zeros(n_missing, rows.shape[1])]),
    )


def is_first(rows: Tensor) -> Tensor:
    """Return whether each of the rows (m, d) differs from all before it."""
    if not len(rows):
        return torch.ones(0, dtype=torch.bool, device=rows.device)
    unique, group = torch.unique(rows, dim=0, return_inverse=True)
    place = torch.arange(len(rows), device=rows.device)
    first = place.new_full((len(unique),), len(rows)).scatter_reduce(0, group, place, "amin")
    return first[group] == place
