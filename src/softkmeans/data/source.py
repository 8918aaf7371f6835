"""The Source interface, through which algorithms read data: blocks of rows, and sums of a function over all blocks."""

from __future__ import annotations

__all__ = ["ArraySource", "BlockSource", "MappedSource", "ScaledSource", "Source", "WrappedSource"]

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

MAX_BATCH_ROWS = 2**14
MIN_N_BATCHES = 32  # of in-memory rows
MAX_KEPT_NUMBERS = 2**16  # in scaled rows that are kept: half a megabyte


class Source(ABC):
    """Rows of data in memory, in files, or in other processes.

    Attributes
    ----------
    n_rows, n_features : int
        Numbers of rows n and features d.
    device : torch.device
        Device of the computation.
    dtype : torch.dtype
        Type of ``Block.x`` and ``Block.w``.
    columns : tuple of d str, or None
        Names of the features, if there are any.
    in_memory : bool
        Whether rows can be read by index, and results with a value per row fit into memory. If not, algorithms use
        only ``sum``.
    paths : tuple of Path
        Files that every pass reads; they must not be overwritten.
    is_first : bool
        Whether this is the first, or only, process that works on the rows; it alone writes files.
    """

    n_rows: int
    n_features: int
    device: torch.device
    dtype: torch.dtype
    columns: tuple[str, ...] | None = None
    in_memory: bool = True
    paths: tuple[Path, ...] = ()
    is_first: bool = True

    @property
    def given_rows(self) -> Any:
        """The rows as the user gave them, whose type and dtype results have; the source itself if there are none."""
        return self

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks, in the same order every time; a block may contain all rows."""

    def batches(self) -> Iterator[Source]:
        """Yield sources that each hold a part of the rows; together they contain every row once.

        The online solver takes a step after each of them.
        """
        return map(BlockSource, self.blocks(), itertools.repeat(self))

    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        """Return a source of the rows with the given indices (m,), with their own weights or other weights (m,)."""
        raise InputError(
            f"this operation needs rows by index, but a {type(self).__name__} only reads them in order",
            hint="read them into memory, for example with softkmeans.data.read_table",
        )

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        problem = f"expected an array, got a {type(self).__name__}, which reads rows in blocks"
        raise InputError(problem, hint="read them into memory")

    def take(self, rows: Tensor) -> Tensor:
        """Return the rows (m, d) with the given indices (m,)."""
        parts = [block.x for block in self.sample(rows).blocks()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def weight(self) -> Tensor | None:
        """Return the weights (n,), or None if all are 1."""
        blocks = list(self.blocks())
        if all(block.weights is None for block in blocks):
            return None
        return torch.cat([block.w for block in blocks])

    def kept(self) -> Source:
        """Return a source of the same rows. If they are few, they are converted now, and not in every pass."""
        return self

    def sum(self, fn: Callable[[Block], T]) -> T:
        """Sum an additive function of a block over all blocks."""
        return functools.reduce(operator.add, map(fn, self.blocks()))

    def broadcast(self, fn: Callable[[], T]) -> T:
        """Call a function in the first process, and return its result in all processes that work on these rows."""
        return fn()

    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        """Concatenate a function's values (m, ...) for the rows of blocks; m * width is kept small."""
        pieces = (piece for block in self.blocks() for piece in block.pieces(width))
        return join(map(fn, pieces), self.n_rows)


class ArraySource(Source):
    """An array, tensor or CSR matrix in memory or in a memory-mapped file; it is neither copied nor modified.

    Parameters
    ----------
    x : ndarray, Tensor or SciPy's CSR (n, d)
        Rows of real numbers.
    w : ndarray or Tensor (n,), optional
        Weights; the default is 1 for all rows.
    device : torch.device
        Device of the computation.
    dtype : torch.dtype
        Type that the rows are converted to.
    """

    def __init__(self, x: Rows, w: NDArray[Any] | Tensor | None, device: torch.device, dtype: torch.dtype) -> None:
        self.x, self.w, self.device, self.dtype = x, w, device, dtype
        self.n_rows, self.n_features = x.shape
        self._block = Block(x, w, device, dtype)

    @property
    @override
    def given_rows(self) -> Rows:
        return self.x

    @override
    def blocks(self) -> Iterator[Block]:
        yield self._block

    @override
    def batches(self) -> Iterator[Source]:
        """Yield random batches, the same at every call: at least `MIN_N_BATCHES`, of up to `MAX_BATCH_ROWS` rows."""
        order = torch.randperm(self.n_rows, generator=torch.Generator().manual_seed(0), device="cpu")
        n_batches = min(self.n_rows, max(MIN_N_BATCHES, -(-self.n_rows // MAX_BATCH_ROWS)))
        return (self.sample(rows.sort().values) for rows in order.tensor_split(n_batches))

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> ArraySource:
        w = self.w if weight is None else None
        return ArraySource(pick(self.x, rows), weight if w is None else pick(w, rows), self.device, self.dtype)


class WrappedSource(Source):
    """The rows of another source, unchanged; a base for classes that change part of its behavior.

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
    def broadcast(self, fn: Callable[[], T]) -> T:
        return self.source.broadcast(fn)

    @override
    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        return self.source.map(fn, width)


class MappedSource(WrappedSource):
    """The rows of another source, with a function applied to each block.

    Parameters
    ----------
    source : Source
        The rows.
    transform : callable
        Maps a block to a block with the same number of rows and features.
    """

    def __init__(self, source: Source, transform: Callable[[Block], Block]) -> None:
        super().__init__(source)
        self.transform = transform

    @override
    def blocks(self) -> Iterator[Block]:
        return map(self.transform, self.source.blocks())

    @override
    def batches(self) -> Iterator[Source]:
        return (MappedSource(batch, self.transform) for batch in self.source.batches())

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        return MappedSource(self.source.sample(rows, weight), self.transform)

    @override
    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        transform = self.transform
        return self.source.map(lambda block: fn(transform(block)), width)

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        transform = self.transform  # not self, which would be pickled with the lambda and sent to workers
        return self.source.sum(lambda block: fn(transform(block)))


class ScaledSource(MappedSource):
    """The rows of another source, centered and scaled."""

    def __init__(self, source: Source, scaling: RowScaling) -> None:
        super().__init__(source, lambda block: block.scaled_by(scaling))
        self.scaling = scaling

    @override
    def kept(self) -> Source:
        is_small = self.in_memory and self.n_rows * self.n_features <= MAX_KEPT_NUMBERS
        blocks = list(self.blocks()) if is_small and self.device.type == "cpu" else []
        if len(blocks) != 1 or blocks[0].is_sparse:
            return self
        weights = None if blocks[0].weights is None else blocks[0].w
        kept = ArraySource(blocks[0].x.numpy(), weights, self.device, self.dtype)
        kept.columns = self.columns
        return kept


class BlockSource(Source):
    """A single block of another source.

    Parameters
    ----------
    block : Block
        The rows.
    source : Source
        The source that the block belongs to.
    """

    def __init__(self, block: Block, source: Source) -> None:
        self.block, self.n_rows, self.n_features = block, len(block), source.n_features
        self.device, self.dtype, self.columns = source.device, source.dtype, source.columns

    @override
    def blocks(self) -> Iterator[Block]:
        yield self.block
