"""A Source gives rows in blocks and sums an additive function over them: the one seam between data and algorithms."""

from __future__ import annotations

__all__ = ["ArraySource", "BlockSource", "Mapped", "ScaledView", "Source", "Wrapped"]

import functools
import itertools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from ..errors import InputError
from .block import Block, Rows, RowScaling, join, pick

T = TypeVar("T")

BATCH, BATCHES = 2**14, 32  # rows of a batch at most, and batches of rows in memory at least


class Source(ABC):
    """Rows of data, wherever they are.

    Attributes
    ----------
    n_rows, n_features : int
        n and d.
    device : torch.device
        Where the kernels work.
    dtype : torch.dtype
        The type that ``Block.x`` and ``Block.w`` have.
    columns : tuple of d str, or None
        Names of the features, if they have some.
    in_memory : bool
        Whether rows can be had by their numbers, and answers as long as the rows are many be held. Where not, all that
        algorithms do with rows goes through ``sum``.
    paths : tuple of Path
        Files that are read at every pass: nothing may be written there.
    is_first : bool
        Whether this is the first, or only, process that works on the rows: the one that writes files.
    """

    n_rows: int
    n_features: int
    device: torch.device
    dtype: torch.dtype
    columns: tuple[str, ...] | None = None
    in_memory: bool = True
    paths: tuple[Path, ...] = ()
    is_first: bool = True

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Give the rows block by block, in the same order every time; a block may be as large as memory has it."""

    def batches(self) -> Iterator[Source]:
        """Give sources of some rows each, all of them once, to step after each."""
        return map(BlockSource, self.blocks(), itertools.repeat(self))

    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        """Make a source of some rows, by their numbers (m,), with their own weights or others (m,)."""
        raise InputError(
            f"this needs rows by their numbers, and a {type(self).__name__} gives them one after the other: read them "
            "into memory, as softkmeans.data.read_table does"
        )

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        kind = type(self).__name__
        raise InputError(
            f"an array is needed here, and a {kind} came, which gives rows in blocks: read them into memory"
        )

    def take(self, rows: Tensor) -> Tensor:
        """Give some rows (m, d) by their numbers (m,)."""
        return torch.cat([block.x for block in self.sample(rows).blocks()])

    def weight(self) -> Tensor | None:
        """Give the weights (n,), or None if all are 1."""
        weights = [(block.weights is not None, block) for block in self.blocks()]
        return torch.cat([block.w for _, block in weights]) if any(weighted for weighted, _ in weights) else None

    def sum(self, fn: Callable[[Block], T]) -> T:
        """Sum an additive function of a block over all blocks."""
        return functools.reduce(operator.add, map(fn, self.blocks()))

    def everywhere(self, fn: Callable[[], T]) -> T:
        """Give what a function gives, the same to all processes that work on these rows."""
        return fn()

    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        """Join what a function of a block gives for its rows (m, ...); blocks are cut so that m * width stays small."""
        pieces = (piece for block in self.blocks() for piece in block.pieces(width))
        return join(map(fn, pieces), self.n_rows)


class ArraySource(Source):
    """An array, tensor or CSR matrix in memory, or mapped there from a file; neither copied nor changed.

    Parameters
    ----------
    x : ndarray, Tensor or SciPy's CSR (n, d)
        Rows of real numbers.
    w : ndarray or Tensor (n,), optional
        Weights, 1 where not given.
    device : torch.device
        Where the work is done.
    dtype : torch.dtype
        The type that rows are converted to.
    """

    def __init__(self, x: Rows, w: NDArray[Any] | Tensor | None, device: torch.device, dtype: torch.dtype) -> None:
        self.x, self.w, self.device, self.dtype = x, w, device, dtype
        self.n_rows, self.n_features = x.shape

    @override
    def blocks(self) -> Iterator[Block]:
        yield Block(self.x, self.w, self.device, self.dtype)

    @override
    def batches(self) -> Iterator[Source]:
        """Give `BATCH` rows at a time, or fewer so that there are `BATCHES`, drawn alike every time from all places."""
        order = torch.randperm(self.n_rows, generator=torch.Generator().manual_seed(0))
        number = min(self.n_rows, max(BATCHES, -(-self.n_rows // BATCH)))
        return (self.sample(rows.sort().values) for rows in order.tensor_split(number))

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> ArraySource:
        w = self.w if weight is None else None
        return ArraySource(pick(self.x, rows), weight if w is None else pick(w, rows), self.device, self.dtype)


class Wrapped(Source):
    """Another source's rows, as they are; those that build on this say what they change.

    Parameters
    ----------
    source : Source
        The rows.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.n_rows, self.n_features, self.columns = source.n_rows, source.n_features, source.columns
        self.device, self.dtype, self.in_memory = source.device, source.dtype, source.in_memory
        self.paths, self.is_first = source.paths, source.is_first

    @override
    def blocks(self) -> Iterator[Block]:
        return self.source.blocks()

    @override
    def everywhere(self, fn: Callable[[], T]) -> T:
        return self.source.everywhere(fn)

    @override
    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        return self.source.map(fn, width)


class Mapped(Wrapped):
    """Another source's rows, each of its blocks as a function gives it.

    Parameters
    ----------
    source : Source
        The rows.
    of : callable
        From a block to one of as many rows and features.
    """

    def __init__(self, source: Source, of: Callable[[Block], Block]) -> None:
        super().__init__(source)
        self.of = of

    @override
    def blocks(self) -> Iterator[Block]:
        return map(self.of, self.source.blocks())

    @override
    def batches(self) -> Iterator[Source]:
        return (Mapped(batch, self.of) for batch in self.source.batches())

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        return Mapped(self.source.sample(rows, weight), self.of)

    @override
    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        of = self.of
        return self.source.map(lambda block: fn(of(block)), width)

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        of = self.of  # alone: it may travel where the source is
        return self.source.sum(lambda block: fn(of(block)))


class ScaledView(Mapped):
    """Another source's rows, looked at from a frame."""

    def __init__(self, source: Source, scaling: RowScaling) -> None:
        super().__init__(source, lambda block: block.scaled_by(scaling))
        self.scaling = scaling


class BlockSource(Source):
    """A block of a source's rows.

    Parameters
    ----------
    block : Block
        The rows.
    source : Source
        What they are of.
    """

    def __init__(self, block: Block, source: Source) -> None:
        self.block, self.n_rows, self.n_features = block, len(block), source.n_features
        self.device, self.dtype, self.columns = source.device, source.dtype, source.columns

    @override
    def blocks(self) -> Iterator[Block]:
        yield self.block
