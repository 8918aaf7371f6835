"""Validation of in-memory rows and weights: shape, type, finiteness, sign."""

from __future__ import annotations

__all__ = ["check_finite", "check_matrix", "check_signs", "check_weights", "find_not_finite", "raise_not_finite"]

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .block import BLOCK, Rows
from .frames import as_vector


def check_finite(x: Rows, name: str = "the data") -> None:
    """Raise an InputError if entries of x (n, d) are NaN or infinite; it says how many, and where the first is."""
    count, first = find_not_finite(x)
    if first is not None:
        raise_not_finite(name, count, x.shape[0] * x.shape[1], f"in row {first[0]}, column {first[1]}")


def find_not_finite(x: Rows) -> tuple[int, tuple[int, int] | None]:
    """Return the number of NaN or infinite entries of x (n, d), and the row and column of the first one."""
    count, first = 0, None
    for positions in _not_finite_positions(x):
        if len(positions):
            first = first or tuple(positions[0].tolist())
            count += len(positions)
    return count, first


def raise_not_finite(name: str, count: int, size: int, position: str) -> NoReturn:
    """Raise an InputError: count of size entries are NaN or infinite, the first at the given position."""
    raise InputError(
        f"{name} contains NaN or infinity: {count} of {size} entries, the first {position} (counted from 0): fill in "
        "these values or drop the rows"
    )


def _not_finite_positions(x: Rows) -> Iterator[NDArray[np.intp]]:
    """Yield the rows and columns (m, 2) of the entries that are not finite, piece by piece."""
    if not isinstance(x, np.ndarray | Tensor):
        stored = np.flatnonzero(~np.isfinite(x.data))  # indices into the stored entries of the CSR matrix
        row = np.searchsorted(x.indptr, stored, "right") - 1
        yield np.stack(np.divmod(np.sort(row * x.shape[1] + x.indices[stored]), x.shape[1]), 1)
        return
    size = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), size):
        piece = x[start : start + size]
        not_finite = ~torch.isfinite(piece).cpu().numpy() if isinstance(piece, Tensor) else ~np.isfinite(piece)
        if not_finite.any():
            yield np.argwhere(not_finite) + np.array([start, 0])


def check_matrix(x: Rows) -> None:
    """Raise an InputError unless x is a matrix (n, d) of real numbers with at least one row and one column."""
    if isinstance(x, Tensor) and x.layout != torch.strided:
        raise InputError(f"the data is a tensor of layout {x.layout}, expected a dense tensor: use x.to_dense()")
    if isinstance(x, Tensor) and x.is_floating_point() and x.element_size() == 1:
        raise InputError(f"the data is of type {x.dtype}, which PyTorch arithmetic does not support: use x.float()")
    if x.ndim != 2:
        raise InputError(f"the data has shape {tuple(x.shape)}, expected (n, d): use x.reshape(-1, 1) for one feature")
    if 0 in x.shape:
        raise InputError(f"the data has shape {tuple(x.shape)}: at least one row and one feature are needed")
    real = not x.is_complex() if isinstance(x, Tensor) else x.dtype.kind in "fiub"
    if not real:
        raise InputError(f"the data is of type {x.dtype}, expected real numbers: convert it first")


def check_weights(sample_weight: Any, n: int) -> NDArray[Any] | Tensor:
    """Convert weights (n,) to an array or a tensor; raise an InputError if they are not valid."""
    w = as_vector(sample_weight, "sample_weight")
    # NumPy does not support tensors with the negative bit.
    w = w.resolve_neg() if isinstance(w, Tensor) else np.asarray(w, np.float64)
    if tuple(w.shape) != (n,):
        raise InputError(f"sample_weight has shape {tuple(w.shape)}, expected ({n},): give one weight per row")
    check_finite(w[:, None], "sample_weight")
    check_signs(int((w < 0).sum()), int((w > 0).sum()))
    return w


def check_signs(n_negative: int, n_positive: int) -> None:
    """Raise an InputError if weights are negative or none is positive."""
    if n_negative:
        raise InputError(f"sample_weight has {n_negative} negative values: weights must be 0 or more")
    if not n_positive:
        raise InputError("sample_weight is zero for every row: give at least one row a positive weight")
