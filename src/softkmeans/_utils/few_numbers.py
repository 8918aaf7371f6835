"""Formulas for a few numbers, written once for arrays and tensors.

NumPy takes a fraction of the time that PyTorch takes for a few numbers. So formulas convert tensors by `as_array`,
which leaves those on other devices unchanged, and their results back by `from_array`. The functions here take both
kinds.
"""

from __future__ import annotations

__all__ = [
    "Numbers",
    "are_finite",
    "as_array",
    "at_least",
    "at_most",
    "exp",
    "filled",
    "from_array",
    "inner",
    "joined",
    "log",
    "lower_medians",
    "matching",
    "positions",
    "quietly",
    "repeated",
    "row_products",
    "sum_of",
    "where",
]

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Numbers: TypeAlias = Any  # an array or a tensor

MAX_DOT_NUMBERS = 2**13  # up to which BLAS computes an inner product in one thread

# As with tensors, numbers that overflow become infinite without a warning.
quietly = np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore")


def as_array(x: Tensor) -> Numbers:
    """Return a tensor as an array that shares its memory; a tensor on another device than the CPU stays one.

    Examples
    --------
    >>> as_array(torch.tensor([1.0]))
    array([1.], dtype=float32)
    """
    return x.numpy() if x.is_cpu else x


def from_array(x: Numbers) -> Tensor:
    """Return an array as a tensor that shares its memory; a tensor stays one.

    Examples
    --------
    >>> from_array(np.array([1.0]))
    tensor([1.], dtype=torch.float64)
    """
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def are_finite(x: Tensor) -> bool:
    """Return whether all numbers of a tensor are finite.

    Examples
    --------
    >>> are_finite(torch.tensor([1.0, torch.inf]))
    False
    """
    is_array = x.is_cpu and x.dtype != torch.bfloat16  # which NumPy does not know
    return bool(np.isfinite(x.numpy()).all() if is_array else x.isfinite().all())


def log(x: Numbers) -> Numbers:
    """Return the logarithms of numbers that need no gradient.

    Examples
    --------
    >>> log(np.array([1.0]))
    array([0.])
    """
    return np.log(x) if isinstance(x, np.ndarray) else x.log()


def at_least(x: Numbers, bound: float) -> Numbers:
    """Return numbers, but the bound in place of those below it.

    Examples
    --------
    >>> at_least(np.array([1.0, 3.0]), 2.0)
    array([2., 3.])
    """
    return np.maximum(x, bound) if isinstance(x, np.ndarray) else x.clamp_min(bound)


def at_most(x: Numbers, bound: float) -> Numbers:
    """Return numbers, but the bound in place of those above it.

    Examples
    --------
    >>> at_most(np.array([1.0, 3.0]), 2.0)
    array([1., 2.])
    """
    return np.minimum(x, bound) if isinstance(x, np.ndarray) else x.clamp_max(bound)


def exp(x: Numbers) -> Numbers:
    """Return the exponentials of numbers.

    Examples
    --------
    >>> exp(np.array([0.0]))
    array([1.])
    """
    return np.exp(x) if isinstance(x, np.ndarray) else x.exp()


def where(condition: Numbers, x: Numbers, other: Numbers) -> Numbers:
    """Return the numbers of x where a condition holds, and others elsewhere.

    Examples
    --------
    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    return np.where(condition, x, other) if isinstance(condition, np.ndarray) else torch.where(condition, x, other)


def joined(parts: Sequence[Numbers]) -> Numbers:
    """Concatenate vectors.

    Examples
    --------
    >>> joined([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else torch.cat([*parts])


def matching(x: Numbers, like: Numbers) -> Numbers:
    """Return an array as it is if others are arrays; as a tensor on their device if they are tensors.

    Examples
    --------
    >>> matching(np.array([1.0]), torch.zeros(2))
    tensor([1.])
    """
    return x if isinstance(like, np.ndarray) else torch.from_numpy(x).to(like)


def positions(ordered: Numbers, x: Numbers, side: str = "left") -> Numbers:
    """Return where numbers would be inserted in ordered ones; before or, with side="right", after equal ones.

    Examples
    --------
    >>> positions(np.array([1.0, 3.0]), np.array([2.0]))
    array([1])
    """
    return ordered.searchsorted(x, side) if isinstance(x, np.ndarray) else torch.searchsorted(ordered, x, side=side)


def repeated(x: Numbers, n: int) -> Numbers:
    """Return a vector with each number repeated n times.

    Examples
    --------
    >>> repeated(np.array([1.0, 2.0]), 2)
    array([1., 1., 2., 2.])
    """
    return x.repeat(n) if isinstance(x, np.ndarray) else x.repeat_interleave(n)


def filled(like: Numbers, n: int, value: float) -> Numbers:
    """Return a vector of n equal numbers, of the type of other numbers.

    Examples
    --------
    >>> filled(np.zeros(3), 2, 5.0)
    array([5., 5.])
    """
    return np.array([value] * n, like.dtype) if isinstance(like, np.ndarray) else like.new_full((n,), value)


def sum_of(x: Tensor) -> float:
    """Return the sum of a tensor.

    Examples
    --------
    >>> sum_of(torch.tensor([1.0, 2.0]))
    3.0
    """
    return float(np.add.reduce(as_array(x), None) if x.is_cpu else x.sum())


def lower_medians(x: Numbers) -> Numbers:
    """Return the median of each column of a matrix, which is the lower one of two.

    Examples
    --------
    >>> lower_medians(np.array([[3.0], [1.0], [2.0], [4.0]]))
    array([2.])
    """
    if not isinstance(x, np.ndarray):
        return x.median(0).values
    columns, middle = np.array(x.T, order="C"), (len(x) - 1) // 2  # a copy, which is partitioned
    columns.partition(middle)
    return columns[:, middle].copy()


def row_products(x: Numbers, y: Numbers) -> Numbers:
    """Return the inner product of each row of a matrix with the same row of another one.

    Examples
    --------
    >>> row_products(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([11.])
    """
    if not isinstance(x, np.ndarray):
        return (x * y).sum(1)
    return np.einsum("ij,ij->i", x, y)  # makes no array of the products


def inner(x: Numbers, y: Numbers) -> float:
    """Return the inner product of vectors, with the same bits for any number of threads.

    Examples
    --------
    >>> inner(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    if not isinstance(x, np.ndarray):
        return float((x * y).sum())
    return float(x.dot(y) if x.size <= MAX_DOT_NUMBERS else np.add.reduce(x * y))
