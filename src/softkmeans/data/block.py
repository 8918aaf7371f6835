"""Blocks: some rows as they lie in memory, and where they are looked at from."""

from __future__ import annotations

__all__ = ["BLOCK", "Block", "RowScaling", "Rows", "as_tensor", "join", "pick", "working_dtype"]

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import scipy  # loads its submodules when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..distances import Distance

BLOCK = 2**18  # numbers of a piece: 2 MB in float64, which caches hold

T = TypeVar("T")

Rows: TypeAlias = "NDArray[Any] | Tensor | scipy.sparse.csr_array"  # or a csr_matrix


class RowScaling(Protocol):
    """Where rows are looked at from: embedded by a distance after a shift, and division by a scale.

    Attributes
    ----------
    distance : Distance
        What embeds rows.
    shift : Tensor (d,)
        What is taken off them first.
    scale : float
        What they are then divided by; a power of two.
    """

    @property
    def distance(self) -> Distance: ...  # noqa: D102
    @property
    def shift(self) -> Tensor: ...  # noqa: D102
    @property
    def scale(self) -> float: ...  # noqa: D102

    def transform(self, x: Tensor) -> Tensor:
        """Bring rows (m, d) into the frame."""
        ...


@dataclass(frozen=True)
class Block:
    """Some rows and their weights; nothing is copied or converted before it is looked at.

    Attributes
    ----------
    rows : ndarray, Tensor or SciPy's CSR (m, d)
        Real numbers of any type, as they lie in memory.
    weights : ndarray or Tensor (m,) or None
        Their weights, if not all are 1.
    device, dtype : torch.device, torch.dtype
        Where ``x`` and ``w`` are given, and in what type.
    scaling : RowScaling or None
        Where the rows are looked at from; None takes them as they are.
    start : int
        The number of the first row among all of its source.
    """

    rows: Rows
    weights: NDArray[Any] | Tensor | None
    device: torch.device
    dtype: torch.dtype
    scaling: RowScaling | None = None
    start: int = 0

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    @property
    def x(self) -> Tensor:
        """The rows (m, d) in the frame, converted."""
        x = self._convert(self.rows)
        return x if self.scaling is None else self.scaling.transform(x)

    @property
    def is_sparse(self) -> bool:
        """Whether only what is not zero lies in memory."""
        return bool(scipy.sparse.issparse(self.rows))

    @property
    def zero(self) -> Tensor:
        """What most entries of sparse rows are in the frame (d,)."""
        zero = torch.zeros(1, self.rows.shape[1], device=self.device, dtype=self.dtype)
        if self.scaling is not None and self.scaling.distance.translates:  # others keep zeros, and refuse rows of zeros
            zero = self.scaling.transform(zero)
        return zero[0]

    @property
    def w(self) -> Tensor:
        """The weights (m,), converted."""
        if self.weights is None:
            return torch.ones(len(self), device=self.device, dtype=self.dtype)
        return self._convert(self.weights)

    def _convert(self, part: Rows) -> Tensor:
        return as_tensor(part).detach().to(self.device, self.dtype)

    def part(self, start: int, stop: int) -> Block:
        """Give some of the rows, by their places."""
        weights = None if self.weights is None else self.weights[start:stop]
        return replace(self, rows=self.rows[start:stop], weights=weights, start=self.start + start)

    def starting_at(self, start: int) -> Block:
        """Give the same rows, the first of another number."""
        return replace(self, start=start)

    def subsample(self, n_rows: int) -> Block:
        """Give every so-manyth of the rows, about as many as asked for."""
        step = max(1, len(self) // n_rows)
        weights = None if self.weights is None else self.weights[::step]
        return replace(self, rows=self.rows[::step], weights=weights)

    def take(self, rows: Tensor) -> Block:
        """Give some of the rows, by their numbers (r,) among these."""
        weights = None if self.weights is None else pick(self.weights, rows)
        return replace(self, rows=pick(self.rows, rows), weights=weights)

    def split(self, n_rows: int) -> Iterator[Block]:
        """Cut into pieces of so many rows."""
        return (self.part(start, start + n_rows) for start in range(0, len(self), n_rows))

    def pieces(self, width: int) -> Iterator[Block]:
        """Cut into pieces so small that m * width stays small."""
        return self.split(max(1, BLOCK // width))

    def sum(self, fn: Callable[[Block], T], width: int | None = None) -> T:
        """Sum an additive function of a block over pieces so small that m * width is; d is the default width."""
        return functools.reduce(operator.add, map(fn, self.pieces(width or self.rows.shape[1])))

    def scaled_by(self, scaling: RowScaling) -> Block:
        """Give the same rows, looked at from a frame."""
        return replace(self, scaling=scaling)


def working_dtype(device: torch.device) -> torch.dtype:
    """Return the type a pass computes in: float64, except on Apple's GPUs, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def join(parts: Iterable[Tensor], n_rows: int) -> Tensor:
    """Put parts (m, ...) of n rows one below the other, each as soon as it comes.

    Kept until the end, small ones would lie between what was large and is gone, and the heap would grow with each.
    """
    answer, start = torch.empty(0), 0
    for part in parts:
        if start == 0:
            answer = part.new_empty(n_rows, *part.shape[1:])
        answer[start : start + len(part)] = part
        start += len(part)
    return answer


def pick(array: Rows, rows: Tensor) -> Rows:
    """Copy some rows, by their numbers (r,)."""
    return array[rows.to(array.device)] if isinstance(array, Tensor) else array[rows.cpu().numpy()]


def as_tensor(array: Rows) -> Tensor:
    """Make a tensor of an array, sharing its memory but for arrays that PyTorch does not take; CSR becomes dense."""
    if not isinstance(array, np.ndarray | Tensor) and scipy.sparse.issparse(array):
        array = array.toarray()
    if isinstance(array, np.ndarray):
        odd = any(stride < 0 or stride % array.itemsize for stride in array.strides)
        if odd or not (array.flags.writeable and array.dtype.isnative):
            array = array.astype(array.dtype.newbyteorder("="))
    return torch.as_tensor(array)
