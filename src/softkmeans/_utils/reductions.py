"""Sums that are bitwise identical for any number of threads.

PyTorch and BLAS split a sum according to the number of threads, which changes the rounding.
"""

from __future__ import annotations

__all__ = ["dot", "largest_of_rows", "pairwise_distances", "total"]

import numpy as np
import torch
from torch import Tensor

from ..arrays.distances import squared_from_differences
from .one_thread import MAX_FEW_NUMBERS


def total(x: Tensor) -> Tensor:
    """Sum over the first dimension, always in the same order.

    Examples
    --------
    >>> total(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([4., 6.])
    """
    if x.device.type != "cpu":
        return x.sum(0)
    array = x.numpy()
    # einsum is faster than sum for short rows.
    return torch.as_tensor(array.sum() if x.ndim == 1 else np.einsum("i...->...", array), device="cpu")


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Return the inner product of vectors (m,).

    Examples
    --------
    >>> dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if x.device.type != "cpu":
        return total(x * y)
    # PyTorch would start threads, which afterwards wait actively for a while, and slow down the kernels.
    return torch.as_tensor(np.multiply(x.numpy(), y.numpy()).sum(), device="cpu")


def pairwise_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the Euclidean distances (j, k) between centers (j, d) and (k, d); few need no threads.

    Examples
    --------
    >>> pairwise_distances(torch.tensor([[0.0], [3.0]]), torch.tensor([[0.0]]))
    tensor([[0.],
            [3.]])
    """
    if a.device.type != "cpu" or len(a) * b.numel() > MAX_FEW_NUMBERS:
        return torch.cdist(a, b)
    return torch.from_numpy(np.sqrt(squared_from_differences(b.numpy(), a.numpy())))


def largest_of_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest number (m,) of each row of x (m, k), and its position; few need no threads.

    Examples
    --------
    >>> largest_of_rows(torch.tensor([[0.2, 0.8]]))
    (tensor([0.8000]), tensor([1]))
    """
    if x.device.type != "cpu" or x.numel() > MAX_FEW_NUMBERS:
        largest, position = x.max(1)
        return largest, position
    rows = x.numpy()
    return torch.from_numpy(rows.max(1)), torch.from_numpy(rows.argmax(1))
