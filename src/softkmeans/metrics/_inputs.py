"""Inputs of the metrics: check memberships, and read them in small blocks with the same rows of other tables."""

from __future__ import annotations

__all__ = [
    "NormalizedBlock",
    "Table",
    "aligned_blocks",
    "as_memberships",
    "as_table",
    "check_same_rows",
    "normalized_blocks",
    "weighted_mean",
    "weighted_sum",
    "with_noise_column",
]

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._utils.reductions import total
from ..data.block import BLOCK, Block
from ..data.convert import as_source, floating_dtype
from ..data.source import Source
from ..errors import InputError, Message, Setting

Table: TypeAlias = "ArrayLike | Tensor | Source"

MEMBERSHIP_TOLERANCE = 1e-5  # memberships that were written as text or stored as float32 can be off by this much


class NormalizedBlock(NamedTuple):
    """Some rows, with memberships that are normalized to sum to 1 over the clusters.

    Attributes
    ----------
    p : Tensor (m, k)
        Memberships divided by their sum; rows sum to 1, or to 0 if the row belongs to no cluster.
    w : Tensor (m,)
        The rows' weights times the sums of their memberships.
    copy_weight : Tensor (m,)
        The part of ``w`` that belongs to one copy of the row. A row of weight 2 counts as two rows, which are
        neighbors of each other; a row of weight 1 or less has no copy as a neighbor.
    others : tuple of Tensor (m, ...)
        The same rows of other tables.
    """

    p: Tensor
    w: Tensor
    copy_weight: Tensor
    others: tuple[Tensor, ...]


def as_table(rows: Table, sample_weight: ArrayLike | Tensor | None = None, name: str = "X") -> Source:
    """Convert a table to a source; error messages call it by ``name``."""
    try:
        return as_source(rows, sample_weight)
    except InputError as error:
        names = {"the data": name, "the data's rows": f"{name}'s rows"}
        raise error.about(names.get(error.parameter, error.parameter)) from None


def as_memberships(resp: Table, sample_weight: ArrayLike | Tensor | None = None, name: str = "resp") -> Source:
    """Convert memberships (n, k) to a source and check their values."""
    if getattr(resp, "ndim", None) == 1:
        expected, hint = "memberships (n, k)", "for labels, give np.eye(k)[labels]"
        raise InputError("has one dimension", parameter=name, expected=expected, hint=hint)
    source, start = as_table(resp, sample_weight, name), 0
    for (block,) in aligned_blocks(source):
        _check_block(block, name, start)
        start += len(block)
    return source


def _check_block(block: Block, name: str, start: int) -> None:
    """Raise an InputError unless entries are in [0, 1] and rows sum to at most 1; the first row has index ``start``."""
    r, tol = block.x, _tolerance(block)
    is_valid = ((r >= -tol) & (r <= 1 + tol)).all(1)
    if not is_valid.all():
        row = start + int((~is_valid).nonzero()[0])
        problem = f"has entries outside [0, 1], the first in row {row} (counted from 0)"
        raise InputError(problem, parameter=name, hint="give memberships, such as those of predict_proba")
    too_large = (r.sum(1) > 1 + tol).nonzero()
    if len(too_large):
        row, row_sum = start + int(too_large[0]), float(r[too_large[0]].sum())
        problem = Message(f"row {row} of ", Setting(name), f" (counted from 0) sums to {row_sum:.6g}")
        raise InputError(problem, expected="at most 1", hint="divide rows by their sums")


def _tolerance(block: Block) -> float:
    """Return the rounding error to expect in a block's memberships."""
    return max(MEMBERSHIP_TOLERANCE, 8 * torch.finfo(floating_dtype(None, block.rows)).eps)


def check_same_rows(**sources: Source) -> None:
    """Raise an InputError unless the sources have the same number of rows."""
    if len({source.n_rows for source in sources.values()}) > 1:
        counts = [Message(Setting(name), f" has {source.n_rows} rows") for name, source in sources.items()]
        raise InputError(Message(counts[0], " and ", counts[1]), hint="give the same rows in both")


def aligned_blocks(first: Source, *others: Source, max_rows: int = BLOCK) -> Iterator[tuple[Block, ...]]:
    """Yield small blocks of the same rows of all sources, whose own blocks may have any size; ``first`` has weights."""
    sources = (first, *others)
    size = max(1, min(max_rows, BLOCK // sum(source.n_features for source in sources)))
    streams = [source.blocks() for source in sources]
    blocks = [next(stream) for stream in streams]
    while True:
        if any(block.weights is not None for block in blocks[1:]):
            problem = Message("weights in a Source are supported only for ", Setting("resp"), " or ", Setting("resp_a"))
            raise InputError(problem, hint=Message("give them as ", Setting("sample_weight")))
        m = min(size, *map(len, blocks))
        yield tuple(block.part(0, m) for block in blocks)
        for index, block in enumerate(blocks):
            rest = block.part(m, len(block)) if len(block) > m else next(streams[index], None)
            if rest is None:
                return
            blocks[index] = rest


def normalized_blocks(resp: Source, *others: Source, max_rows: int = BLOCK) -> Iterator[NormalizedBlock]:
    """Yield the rows in small blocks, with normalized memberships and the same rows of other sources."""
    for block, *other_blocks in aligned_blocks(resp, *others, max_rows=max_rows):
        r, w = block.x.clamp(0, 1), block.w
        row_sum = r.sum(1)
        p = r / row_sum.clamp_min(torch.finfo(r.dtype).tiny)[:, None]
        other_rows = tuple(other.x.to(r.device) for other in other_blocks)
        yield NormalizedBlock(p, w * row_sum, w.clamp_max(1) * row_sum, other_rows)


def with_noise_column(block: Block) -> Tensor:
    """Return the memberships (m, k + 1); the last column is noise, 1 minus the others, or 0 if that may be rounding."""
    r = block.x.clamp(0, 1)
    noise = 1 - r.sum(1, keepdim=True)
    return torch.cat([r, noise * (noise > _tolerance(block))], 1)


def weighted_sum(terms: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, float]:
    """Return the sum of values (m,) or (m, k) times weights (m,), and the sum of the weights, both in float64."""
    numerator: Any = 0.0
    weight = 0.0
    for values, w in terms:
        numerator = numerator + total(torch.einsum("m,m...->m...", w, values)).cpu().double()
        weight += float(total(w))
    return numerator, weight


def weighted_mean(terms: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the mean of values (m,) or (m, k) with weights (m,)."""
    numerator, weight = weighted_sum(terms)
    if weight == 0:
        hint = "give at least one row that belongs to a cluster"
        raise InputError("is 0 in all rows that have weight", parameter="resp", hint=hint)
    return numerator / weight
