"""What all metrics begin with: memberships checked, and read in pieces, beside the same rows of other tables."""

from __future__ import annotations

__all__ = [
    "Part",
    "Table",
    "as_memberships",
    "as_table",
    "average",
    "check_same_rows",
    "parts",
    "pieces",
    "sums",
    "with_noise",
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
from ..errors import InputError

Table: TypeAlias = "ArrayLike | Tensor | Source"

ROUNDING = 1e-5  # memberships that were written as text, or went through float32, may be so far off


class Part(NamedTuple):
    """Some rows, as far as they belong to clusters.

    Attributes
    ----------
    p : Tensor (m, k)
        Memberships over their sum; rows sum to 1, or to 0 where nothing belongs to a cluster.
    w : Tensor (m,)
        The rows' weights times the sums of their memberships.
    copy : Tensor (m,)
        What one copy of the row has of ``w``. A row of weight 2 is two rows, each of which has the other as a
        neighbor; a row of weight 1 or less has none in itself.
    others : tuple of Tensor (m, ...)
        The same rows of other tables.
    """

    p: Tensor
    w: Tensor
    copy: Tensor
    others: tuple[Tensor, ...]


def as_table(rows: Table, sample_weight: ArrayLike | Tensor | None = None, name: str = "X") -> Source:
    """Make a source of a table, called by its name where something is wrong with it."""
    try:
        return as_source(rows, sample_weight)
    except InputError as error:
        raise type(error)(str(error).replace("the data", name, 1)) from None


def as_memberships(resp: Table, sample_weight: ArrayLike | Tensor | None = None, name: str = "resp") -> Source:
    """Make a source of memberships (n, k), which are found to be such."""
    if getattr(resp, "ndim", None) == 1:
        raise InputError(f"{name} has one dimension, expected memberships (n, k): for labels, give np.eye(k)[labels]")
    source, start = as_table(resp, sample_weight, name), 0
    for (piece,) in pieces(source):
        _check(piece, name, start)
        start += len(piece)
    return source


def _check(piece: Block, name: str, start: int) -> None:
    r, tol = piece.x, _rounding(piece)
    fits = ((r >= -tol) & (r <= 1 + tol)).all(1)
    if not fits.all():
        where = start + int((~fits).nonzero()[0])
        raise InputError(
            f"{name} has entries outside [0, 1], the first in row {where} (counted from 0): give memberships, "
            "such as those of predict_proba"
        )
    over = (r.sum(1) > 1 + tol).nonzero()
    if len(over):
        raise InputError(
            f"row {start + int(over[0])} of {name} (counted from 0) sums to {float(r[over[0]].sum()):.6g}, expected 1 "
            "at most: divide rows by their sums"
        )


def _rounding(piece: Block) -> float:
    return max(ROUNDING, 8 * torch.finfo(floating_dtype(None, piece.rows)).eps)


def check_same_rows(**sources: Source) -> None:
    """Raise an InputError unless tables have as many rows."""
    if len({source.n_rows for source in sources.values()}) > 1:
        found = " and ".join(f"{name} has {source.n_rows} rows" for name, source in sources.items())
        raise InputError(f"{found}: give the same rows in both")


def pieces(first: Source, *others: Source, at_most: int = BLOCK) -> Iterator[tuple[Block, ...]]:
    """Cut sources, which may have blocks of any size, into small pieces of the same rows; the first has the weights."""
    sources = (first, *others)
    size = max(1, min(at_most, BLOCK // sum(source.n_features for source in sources)))
    streams = [source.blocks() for source in sources]
    blocks = [next(stream) for stream in streams]
    while True:
        if any(block.weights is not None for block in blocks[1:]):
            raise InputError("weights came with a Source of another argument than resp: give them as sample_weight")
        m = min(size, *map(len, blocks))
        yield tuple(block.part(0, m) for block in blocks)
        for place, block in enumerate(blocks):
            rest = block.part(m, len(block)) if len(block) > m else next(streams[place], None)
            if rest is None:
                return
            blocks[place] = rest


def parts(resp: Source, *others: Source, at_most: int = BLOCK) -> Iterator[Part]:
    """Go through rows piece by piece, as far as they belong to clusters."""
    for piece, *rest in pieces(resp, *others, at_most=at_most):
        r, w = piece.x.clamp(0, 1), piece.w
        belongs = r.sum(1)
        p = r / belongs.clamp_min(torch.finfo(r.dtype).tiny)[:, None]
        yield Part(p, w * belongs, w.clamp_max(1) * belongs, tuple(other.x.to(r.device) for other in rest))


def with_noise(piece: Block) -> Tensor:
    """Memberships (m, k + 1), the last of them what belongs to no cluster; 0 where that may be rounding."""
    r = piece.x.clamp(0, 1)
    noise = 1 - r.sum(1, keepdim=True)
    return torch.cat([r, noise * (noise > _rounding(piece))], 1)


def sums(terms: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, float]:
    """Sum values (m,) or (m, k) times weights (m,), and the weights, in float64."""
    numerator: Any = 0.0
    weight = 0.0
    for values, w in terms:
        numerator = numerator + total(torch.einsum("m,m...->m...", w, values)).cpu().double()
        weight += float(total(w))
    return numerator, weight


def average(terms: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Give the mean of values (m,) or (m, k) by weights (m,)."""
    numerator, weight = sums(terms)
    if weight == 0:
        raise InputError("resp is 0 in all rows that have weight: expected a row that belongs to a cluster")
    return numerator / weight
