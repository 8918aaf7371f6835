"""A block of rows in its original memory layout, converted, centered and scaled on access."""

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

from .._utils.reductions import dot, total
from ..distances import Distance
from .csr import products, rows_between, split_entries, transposed_products

BLOCK = 2**18  # numbers in a piece of a block: 2 MB in float64, which fits into a CPU cache

T = TypeVar("T")

Rows: TypeAlias = "NDArray[Any] | Tensor | scipy.sparse.csr_array"  # or a csr_matrix


class RowScaling(Protocol):
    """Interface of centering and scaling: subtract a shift, divide by a scale, and embed for a distance.

    Attributes
    ----------
    distance : Distance
        Distance whose embedding is applied to the rows.
    shift : Tensor (d,)
        Subtracted from the rows.
    scale : float
        Divisor of the shifted rows; a power of two.
    """

    @property
    def distance(self) -> Distance: ...  # noqa: D102
    @property
    def shift(self) -> Tensor: ...  # noqa: D102
    @property
    def scale(self) -> float: ...  # noqa: D102

    def transform(self, x: Tensor, start: int = 0) -> Tensor:
        """Center, scale and embed rows (m, d); ``start`` is the number of the first one, for messages."""
        ...


@dataclass(frozen=True)
class Block:
    """Rows and their weights; they are copied and converted only on access to ``x`` and ``w``.

    Attributes
    ----------
    rows : ndarray, Tensor or SciPy's CSR (m, d)
        Real numbers of any type, in their original memory layout.
    weights : ndarray or Tensor (m,) or None
        Weights of the rows; None if all are 1.
    device, dtype : torch.device, torch.dtype
        Device and type of ``x`` and ``w``.
    scaling : RowScaling or None
        Centering and scaling applied by ``x``; None leaves the rows unchanged.
    start : int
        Index of the first row in its source.
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
        """The rows (m, d), converted, centered and scaled."""
        x = self._convert(self.rows)
        return x if self.scaling is None else self.scaling.transform(x, self.start)

    @property
    def is_sparse(self) -> bool:
        """True if the rows are a sparse matrix."""
        return bool(scipy.sparse.issparse(self.rows))

    @property
    def zero(self) -> Tensor:
        """A row of zeros (d,) after centering and scaling: the values of the entries that a sparse matrix omits."""
        zero = torch.zeros(1, self.rows.shape[1], device=self.device, dtype=self.dtype)
        if self.scaling is not None and self.scaling.distance.translates:  # others keep 0, but reject rows of zeros
            zero = self.scaling.transform(zero)
        return zero[0]

    @property
    def stored(self) -> NDArray[Any]:
        """The values (s,) that a sparse matrix stores, converted, centered and scaled."""
        rows: Any = self.rows
        scaling: Any = self.scaling  # of the data, as other rows than tensors have
        values: NDArray[Any] = rows.data if scaling is None else scaling.transform_stored(rows, self.start)
        return values.astype(np.float64, copy=False)

    @property
    def w(self) -> Tensor:
        """The weights (m,), converted."""
        if self.weights is None:
            return torch.ones(len(self), device=self.device, dtype=self.dtype)
        return self._convert(self.weights)

    def _convert(self, part: Rows) -> Tensor:
        tensor = as_tensor(part)
        return (tensor.detach() if tensor.requires_grad else tensor).to(self.device, self.dtype)

    def total(self, values: Tensor | None = None) -> Tensor:
        """Return the weighted sum of values (m,), or of ones."""
        if self.weights is not None:
            return total(self.w) if values is None else dot(self.w, values)
        return torch.tensor(float(len(self)), device=self.device, dtype=self.dtype) if values is None else total(values)

    def part(self, start: int, stop: int) -> Block:
        """Return the rows from start to stop."""
        rows = rows_between(self.rows, start, stop) if self.is_sparse else self.rows[start:stop]
        weights = None if self.weights is None else self.weights[start:stop]
        return Block(rows, weights, self.device, self.dtype, self.scaling, self.start + start)

    def starting_at(self, start: int) -> Block:
        """Return the same rows with another index of the first row."""
        return replace(self, start=start)

    def subsample(self, n_rows: int) -> Block:
        """Subsample the rows at a regular stride, to about n_rows."""
        step = max(1, len(self) // n_rows)
        weights = None if self.weights is None else self.weights[::step]
        return replace(self, rows=self.rows[::step], weights=weights)

    def take(self, rows: Tensor) -> Block:
        """Return the rows at the given indices (r,) of this block."""
        weights = None if self.weights is None else pick(self.weights, rows)
        return replace(self, rows=pick(self.rows, rows), weights=weights)

    def split(self, n_rows: int) -> Iterator[Block]:
        """Yield pieces of n_rows rows each; the last may have fewer."""
        if 0 < len(self) <= n_rows:
            return iter([self])
        return (self.part(start, start + n_rows) for start in range(0, len(self), n_rows))

    def pieces(self, width: int) -> Iterator[Block]:
        """Yield pieces of m rows with m * width at most `BLOCK`; m is at least 1."""
        return self.split(max(1, BLOCK // width))

    def parts(self, width: int) -> Iterator[Block]:
        """Yield pieces for functions that read the stored values only; those of dense rows are `pieces`."""
        if self.is_sparse:
            return (self.part(start, stop) for start, stop in split_entries(self.rows))
        return self.pieces(width)

    def products(self, vectors: Tensor) -> Tensor:
        """Return the products (m, r) of the centered and scaled rows with vectors (d, r)."""
        if not self.is_sparse:
            return self.x @ vectors
        return self._of_arrays(products, vectors)

    def transposed_products(self, vectors: Tensor) -> Tensor:
        """Return the sums (d, r) of the centered and scaled rows, times vectors (m, r)."""
        if not self.is_sparse:
            return self.x.mT @ vectors
        return self._of_arrays(transposed_products, vectors)

    def _of_arrays(self, function: Callable[..., NDArray[Any]], vectors: Tensor) -> Tensor:
        """Call a function of a CSR matrix, its shift and scale, and vectors."""
        shift, scale = np.zeros(self.rows.shape[1]), 1.0
        if self.scaling is not None:
            shift, scale = self.scaling.shift.cpu().numpy(), self.scaling.scale
        return torch.from_numpy(function(self.rows, shift, scale, vectors.cpu().numpy())).to(vectors)

    def sum(self, fn: Callable[[Block], T], width: int | None = None) -> T:
        """Sum an additive function of a block over `pieces`; the default width is d."""
        return functools.reduce(operator.add, map(fn, self.pieces(width or self.rows.shape[1])))

    def scaled_by(self, scaling: RowScaling) -> Block:
        """Return the same rows with the given centering and scaling."""
        return Block(self.rows, self.weights, self.device, self.dtype, scaling, self.start)  # `replace` is slower


def working_dtype(device: torch.device) -> torch.dtype:
    """Return the type that a pass computes in: float64, or float32 on Apple GPUs, which do not support float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def join(parts: Iterable[Tensor], n_rows: int) -> Tensor:
    """Concatenate parts (m, ...) that have n_rows rows in all.

    Each part is copied as soon as it is computed: collecting the parts first would fragment the heap.
    """
    joined, start = torch.empty(0, device="cpu"), 0
    for part in parts:
        if start == 0:
            joined = part.new_empty(n_rows, *part.shape[1:])
        joined[start : start + len(part)] = part
        start += len(part)
    return joined


def pick(array: Rows, rows: Tensor) -> Rows:
    """Copy the rows at the given indices (r,)."""
    return array[rows.to(array.device)] if isinstance(array, Tensor) else array[rows.cpu().numpy()]


def as_tensor(array: Rows) -> Tensor:
    """Convert an array to a tensor; copy only arrays that PyTorch does not support. CSR becomes dense."""
    if not isinstance(array, np.ndarray | Tensor) and scipy.sparse.issparse(array):
        array = array.toarray()
    if isinstance(array, np.ndarray):
        unsupported_strides = any(stride < 0 or stride % array.itemsize for stride in array.strides)
        if unsupported_strides or not (array.flags.writeable and array.dtype.isnative):
            array = array.astype(array.dtype.newbyteorder("="))
        array = torch.from_numpy(array)  # not as_tensor, which would take PyTorch's default device
    return array if isinstance(array, Tensor) else torch.as_tensor(array, device="cpu")
