"""Validation of in-memory rows and weights: shape, type, finiteness, sign."""

from __future__ import annotations

__all__ = [
    "NOT_EMPTY",
    "check_finite",
    "check_matrix",
    "check_signs",
    "check_weights",
    "find_not_finite",
    "raise_not_finite",
]

from collections.abc import Iterator
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .block import BLOCK, Rows
from .frames import as_vector

MIN_TOTAL_WEIGHT, MAX_TOTAL_WEIGHT = 1e-290, 1e290  # beyond, sums over rows may overflow or underflow
NOT_EMPTY = "at least one row and one feature are needed"


def check_finite(x: Rows, name: str = "the data", columns: tuple[str, ...] | None = None) -> None:
    """Raise an InputError if entries of x (n, d) are NaN or infinite; it says how many, and where the first is."""
    count, first = find_not_finite(x)
    if first is not None:
        column = first[1] if columns is None else repr(columns[first[1]])
        raise_not_finite(name, count, x.shape[0] * x.shape[1], f"in row {first[0]}, column {column}")


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
    problem = f"contains NaN or infinity: {count} of {size} entries, the first {position} (counted from 0)"
    raise InputError(problem, parameter=name, hint="fill in these values or drop the rows")


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
        is_finite = torch.isfinite(piece).cpu().numpy() if isinstance(piece, Tensor) else np.isfinite(piece)
        if not is_finite.all():
            yield np.argwhere(~is_finite) + np.array([start, 0])


def check_matrix(x: Rows) -> None:
    """Raise an InputError unless x is a matrix (n, d) of real numbers with at least one row and one column."""
    if isinstance(x, Tensor) and x.layout != torch.strided:
        problem = f"is a tensor of layout {x.layout}"
        raise InputError(problem, parameter="the data", expected="a dense tensor", hint="use x.to_dense()")
    if isinstance(x, Tensor) and x.is_floating_point() and x.element_size() == 1:
        problem = f"is of type {x.dtype}, which PyTorch arithmetic does not support"
        raise InputError(problem, parameter="the data", hint="use x.float()")
    if x.ndim != 2:
        hint = "use x.reshape(-1, 1) for one feature"
        raise InputError(f"has shape {tuple(x.shape)}", parameter="the data", expected="(n, d)", hint=hint)
    if 0 in x.shape:
        raise InputError(f"has shape {tuple(x.shape)}", parameter="the data", hint=NOT_EMPTY)
    real = not x.is_complex() if isinstance(x, Tensor) else x.dtype.kind in "fiub"
    if not real:
        problem = f"is of type {x.dtype}"
        raise InputError(problem, parameter="the data", expected="real numbers", hint="convert it first")


def check_weights(sample_weight: Any, n: int) -> NDArray[Any] | Tensor:
    """Convert weights (n,), or one for all rows, to an array or a tensor; raise an InputError if they are not valid."""
    if isinstance(sample_weight, Real) and not isinstance(sample_weight, bool):
        sample_weight = np.full(n, float(sample_weight))
    w = as_vector(sample_weight, "sample_weight")
    # NumPy does not support tensors with the negative bit.
    w = w.resolve_neg() if isinstance(w, Tensor) else np.asarray(w, np.float64)
    if tuple(w.shape) != (n,):
        problem, expected = f"has shape {tuple(w.shape)}", f"({n},)"
        raise InputError(problem, parameter="sample_weight", expected=expected, hint="give one weight per row")
    check_finite(w[:, None], "sample_weight")
    check_signs(int((w < 0).sum()), int((w > 0).sum()))
    with np.errstate(over="ignore"):
        total = float(w.sum())
    if not MIN_TOTAL_WEIGHT < total < MAX_TOTAL_WEIGHT:
        hint = "multiply the weights by a constant: the clusters depend only on their ratios"
        problem, expected = f"has the sum {total:g}", f"{MIN_TOTAL_WEIGHT:g} to {MAX_TOTAL_WEIGHT:g}"
        raise InputError(problem, parameter="sample_weight", expected=expected, hint=hint)
    return w


def check_signs(n_negative: int, n_positive: int) -> None:
    """Raise an InputError if weights are negative or none is positive."""
    if n_negative:
        problem, hint = f"has {n_negative} negative values", "weights must be 0 or more"
        raise InputError(problem, parameter="sample_weight", hint=hint)
    if not n_positive:
        hint = "give at least one row a positive weight"
        raise InputError("is zero for every row", parameter="sample_weight", hint=hint)
