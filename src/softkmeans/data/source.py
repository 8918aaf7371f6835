"""A Source gives rows in blocks and sums an additive function over them: the one seam between data and algorithms."""

from __future__ import annotations

__all__ = ["ArraySource", "Block", "Source", "View", "as_tensor"]

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

BLOCK = 2**20  # numbers of a block: 8 MB in float64

T = TypeVar("T")


class Block(NamedTuple):
    """Some rows and their weights.

    Attributes
    ----------
    x : Tensor (m, d)
        Rows, in the type the kernels work in.
    w : Tensor (m,)
        Weights, of the same type.
    """

    x: Tensor
    w: Tensor


class Source(ABC):
    """Rows of data, wherever they are.

    Attributes
    ----------
    n_rows, n_features : int
        n and d.
    device : torch.device
        Where the blocks are.
    dtype : torch.dtype
        What the blocks are made of: the type the kernels work in.
    """

    n_rows: int
    n_features: int
    device: torch.device
    dtype: torch.dtype

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Give the rows block by block, in the same order every time."""

    @abstractmethod
    def take(self, rows: Tensor) -> Tensor:
        """Give some rows (m, d) by their numbers (m,)."""

    def sum(self, fn: Callable[[Block], T]) -> T:
        """Sum an additive function of a block over all blocks."""
        return functools.reduce(operator.add, map(fn, self.blocks()))

    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        """Join what a function of a block gives for its rows (m, ...); blocks are cut so that m * width stays small."""
        answer, start = torch.empty(0), 0
        for part in map(fn, self._cut(max(1, BLOCK // width))):
            if start == 0:
                answer = part.new_empty(self.n_rows, *part.shape[1:])
            answer[start : start + len(part)] = part
            start += len(part)
        return answer

    def _cut(self, rows: int) -> Iterator[Block]:
        for block in self.blocks():
            yield from map(Block, torch.split(block.x, rows), torch.split(block.w, rows))


def as_tensor(array: NDArray[Any] | Tensor) -> Tensor:
    """Make a tensor of an array, sharing its memory but for the arrays that PyTorch does not take."""
    if isinstance(array, np.ndarray):
        backwards = any(stride < 0 for stride in array.strides)
        if backwards or not (array.flags.writeable and array.dtype.isnative):
            array = array.astype(array.dtype.newbyteorder("="))
    return torch.as_tensor(array)


class ArraySource(Source):
    """An array or tensor in memory, or mapped there from a file; neither copied nor changed.

    Parameters
    ----------
    x : ndarray or Tensor (n, d)
        Rows of real numbers.
    w : ndarray or Tensor (n,), optional
        Weights, 1 where not given.
    device : torch.device
        Where blocks are brought.
    dtype : torch.dtype
        The type of the blocks.
    """

    def __init__(
        self, x: NDArray[Any] | Tensor, w: NDArray[Any] | Tensor | None, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.x, self.w, self.device, self.dtype = x, w, device, dtype
        self.n_rows, self.n_features = x.shape

    @override
    def blocks(self) -> Iterator[Block]:
        size = max(1, BLOCK // self.n_features)
        for start in range(0, self.n_rows, size):
            rows = slice(start, start + size)
            x = self._tensor(self.x[rows])
            yield Block(x, x.new_ones(len(x)) if self.w is None else self._tensor(self.w[rows]))

    @override
    def take(self, rows: Tensor) -> Tensor:
        return self._tensor(
            self.x[rows.cpu().numpy()] if isinstance(self.x, np.ndarray) else self.x[rows.to(self.x.device)]
        )

    def _tensor(self, part: NDArray[Any] | Tensor) -> Tensor:
        return as_tensor(part).detach().to(self.device, self.dtype)


class View(Source):
    """Another source's rows, seen through a function of (m, d) rows."""

    def __init__(self, source: Source, through: Callable[[Tensor], Tensor]) -> None:
        self.source, self.through = source, through
        self.n_rows, self.n_features = source.n_rows, source.n_features
        self.device, self.dtype = source.device, source.dtype

    @override
    def blocks(self) -> Iterator[Block]:
        return (Block(self.through(x), w) for x, w in self.source.blocks())

    @override
    def take(self, rows: Tensor) -> Tensor:
        return self.through(self.source.take(rows))

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        return self.source.sum(lambda block: fn(Block(self.through(block.x), block.w)))
