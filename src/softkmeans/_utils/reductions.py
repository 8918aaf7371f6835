"""Sums that have the same bits whatever the number of threads: PyTorch's and BLAS's split up differently."""

from __future__ import annotations

__all__ = ["dot", "total"]

import numpy as np
import torch
from torch import Tensor


def total(x: Tensor) -> Tensor:
    """Sum over the first dimension, in the same order every time.

    Examples
    --------
    >>> total(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([4., 6.])
    """
    if x.device.type != "cpu":
        return x.sum(0)
    array = x.numpy()
    return torch.as_tensor(array.sum() if x.ndim == 1 else np.einsum("i...->...", array))  # quicker on short rows


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Inner product of vectors (m,).

    Examples
    --------
    >>> dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return total(x * y)
