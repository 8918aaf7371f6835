"""Whether rows in memory, and their weights, are fit for use."""

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
    """Raise an InputError that says how many entries of x (n, d) are NaN or infinite, and where the first is."""
    count, first = find_not_finite(x)
    if first is not None:
        raise_not_finite(name, count, x.shape[0] * x.shape[1], f"in row {first[0]}, column {first[1]}")


def find_not_finite(x: Rows) -> tuple[int, tuple[int, int] | None]:
    """Count the entries of x (n, d) that are NaN or infinite, and give the first one's row and column."""
    count, first = 0, None
    for places in _not_finite(x):
        if len(places):
            first = first or tuple(places[0].tolist())
            count += len(places)
    return count, first


def raise_not_finite(name: str, count: int, size: int, place: str) -> NoReturn:
    """Say how many of so many entries are NaN or infinite, and where the first is."""
    raise InputError(
        f"{name} contains NaN or infinity: {count} of {size} entries, the first {place} (counted from 0): fill them in "
        "or leave those rows out"
    )


def _not_finite(x: Rows) -> Iterator[NDArray[np.intp]]:
    """Give the rows and columns (m, 2) of what is not finite, part by part."""
    if not isinstance(x, np.ndarray | Tensor):
        places = np.flatnonzero(~np.isfinite(x.data))
        row = np.searchsorted(x.indptr, places, "right") - 1
        yield np.stack(np.divmod(np.sort(row * x.shape[1] + x.indices[places]), x.shape[1]), 1)
        return
    size = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), size):
        part = x[start : start + size]
        bad = ~torch.isfinite(part).cpu().numpy() if isinstance(part, Tensor) else ~np.isfinite(part)
        if bad.any():
            yield np.argwhere(bad) + np.array([start, 0])


def check_matrix(x: Rows) -> None:
    """Raise an InputError unless x is a matrix (n, d) of real numbers, with something in it."""
    if isinstance(x, Tensor) and x.layout != torch.strided:
        raise InputError(f"the data is a tensor of layout {x.layout}, expected a dense one: use x.to_dense()")
    if isinstance(x, Tensor) and x.is_floating_point() and x.element_size() == 1:
        raise InputError(f"the data is of type {x.dtype}, with which PyTorch can't calculate: use x.float()")
    if x.ndim != 2:
        raise InputError(f"the data has shape {tuple(x.shape)}, expected (n, d): use x.reshape(-1, 1) for one feature")
    if 0 in x.shape:
        raise InputError(f"the data has shape {tuple(x.shape)}: at least one row and one feature are needed")
    real = not x.is_complex() if isinstance(x, Tensor) else x.dtype.kind in "fiub"
    if not real:
        raise InputError(f"the data is of type {x.dtype}, expected real numbers: convert it first")


def check_weights(sample_weight: Any, n: int) -> NDArray[Any] | Tensor:
    """Give weights (n,) of any kind as an array or a tensor, or raise an InputError."""
    w = as_vector(sample_weight, "sample_weight")
    w = w.resolve_neg() if isinstance(w, Tensor) else np.asarray(w, np.float64)  # as NumPy takes it
    if tuple(w.shape) != (n,):
        raise InputError(f"sample_weight has shape {tuple(w.shape)}, expected ({n},): give one weight a row")
    check_finite(w[:, None], "sample_weight")
    check_signs(int((w < 0).sum()), int((w > 0).sum()))
    return w


def check_signs(n_negative: int, n_positive: int) -> None:
    """Raise an InputError unless no weights are negative and some are positive."""
    if n_negative:
        raise InputError(f"sample_weight has {n_negative} negative values: weights are 0 or more")
    if not n_positive:
        raise InputError("sample_weight is zero for every row: give at least one row some weight")
