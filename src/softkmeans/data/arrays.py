"""From what users hold in memory to a Source, with all that can be wrong with it said."""

from __future__ import annotations

__all__ = ["Array", "as_source", "check_finite", "check_matrix", "floating_dtype", "like"]

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..blocks import BLOCK
from ..errors import InputError
from ..forks import survive_fork
from ..kernels import working_dtype
from .source import ArraySource, Source

Array: TypeAlias = "NDArray[Any] | Tensor"


def as_source(
    x: ArrayLike | Tensor | Source,
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    device: str | torch.device | None = None,
    finite: bool = True,
) -> Source:
    """Make a Source of rows in memory; nothing is copied but block by block. A Source passes through.

    Parameters
    ----------
    x : array-like or Tensor (n, d)
        Rows of finite real numbers.
    sample_weight : array-like or Tensor (n,), optional
        Weights, not negative and not all 0; a weight of 2 is as good as a repeated row.
    device : str or torch.device, optional
        Where the work is done; where a tensor is, or on the CPU, by default.
    finite : bool, default=True
        Whether to look for NaN and infinity.

    Returns
    -------
    Source
        The rows with their weights.

    Raises
    ------
    InputError
        If the rows or the weights are none.

    Examples
    --------
    >>> as_source([[1.0, 2.0], [3.0, 4.0]]).n_rows
    2
    """
    survive_fork()
    if isinstance(x, Source):
        if sample_weight is not None or device is not None:
            raise InputError("a Source came with sample_weight or device, but it has its own: give them to it")
        return x
    rows = x if isinstance(x, Tensor) else np.asarray(x)
    if rows.dtype == object and rows.ndim == 0:
        raise InputError(f"the data is a {type(x).__name__}, expected an array or a tensor (n, d)")
    check_matrix(rows)
    if finite:
        check_finite(rows)
    weights = None if sample_weight is None else _checked_weights(sample_weight, len(rows))
    place = _device(device, rows)
    return ArraySource(rows, weights, place, working_dtype(place))


def _device(device: Any, rows: Array) -> torch.device:
    if device is None:
        return rows.device if isinstance(rows, Tensor) else torch.device("cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device={device!r}: {str(error).splitlines()[0]}") from None


def check_finite(x: NDArray[Any] | Tensor, name: str = "the data") -> None:
    """Raise an InputError that says how many entries of x (n, d) are NaN or infinite, and where the first is."""
    count, first = 0, None
    size = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), size):
        part = torch.as_tensor(x[start : start + size]) if isinstance(x, Tensor) else x[start : start + size]
        bad = ~(torch.isfinite(part) if isinstance(part, Tensor) else np.isfinite(part))
        if bad.any():
            where = np.argwhere(bad.cpu().numpy() if isinstance(bad, Tensor) else bad)
            first = first or (start + int(where[0, 0]), int(where[0, 1]))
            count += len(where)
    if first is not None:
        raise InputError(
            f"{name} contains NaN or infinity: {count} of {x.shape[0] * x.shape[1]} entries, the first in row "
            f"{first[0]}, column {first[1]} (counted from 0): fill them in or leave those rows out"
        )


def like(example: Any, answer: Tensor) -> Array:
    """Give a tensor where one came, on its device, and an array where an array came."""
    return answer.to(example.device) if isinstance(example, Tensor) else answer.cpu().numpy()


def floating_dtype(dtype: Any, rows: Array) -> torch.dtype:
    """Give the type of centres: the one asked for, else that of the rows if they are floats, else float64."""
    found = _torch_dtype(rows.dtype if dtype is None else dtype)
    if dtype is not None and not (found and found.is_floating_point):
        raise InputError(f"dtype={dtype!r}: give a floating type, such as 'float32'")
    if found == torch.bfloat16 and not isinstance(rows, Tensor):
        raise InputError(f"dtype={dtype!r}: NumPy has no bfloat16; give a tensor, or another type")
    return found if found and found.is_floating_point else torch.float64


def _torch_dtype(dtype: Any) -> torch.dtype | None:
    """Find PyTorch's name of a type that is PyTorch's own, NumPy's, or a name of one."""
    if isinstance(dtype, torch.dtype):
        return dtype
    try:
        name = str(dtype).removeprefix("torch.")
        name = name if name == "bfloat16" else np.dtype(name if isinstance(dtype, str) else dtype).name
    except TypeError:
        return None
    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) else None


def check_matrix(x: NDArray[Any] | Tensor) -> None:
    """Raise an InputError unless x is a dense matrix (n, d) of real numbers, with something in it."""
    if isinstance(x, Tensor) and x.layout != torch.strided:
        raise InputError(f"the data is a tensor of layout {x.layout}, expected a dense one: use x.to_dense()")
    if x.ndim != 2:
        raise InputError(f"the data has shape {tuple(x.shape)}, expected (n, d): use x.reshape(-1, 1) for one feature")
    if 0 in x.shape:
        raise InputError(f"the data has shape {tuple(x.shape)}: at least one row and one feature are needed")
    real = not x.is_complex() if isinstance(x, Tensor) else x.dtype.kind in "fiub"
    if not real:
        raise InputError(f"the data is of type {x.dtype}, expected real numbers: convert it first")


def _checked_weights(sample_weight: ArrayLike | Tensor, n: int) -> NDArray[Any] | Tensor:
    if isinstance(sample_weight, Tensor):
        w: Array = sample_weight.detach().resolve_neg()  # as NumPy takes it
    else:
        w = np.asarray(sample_weight, dtype=np.float64)
    if tuple(w.shape) != (n,):
        raise InputError(f"sample_weight has shape {tuple(w.shape)}, expected ({n},): give one weight a row")
    check_finite(w[:, None], "sample_weight")
    if (w < 0).any():
        raise InputError(f"sample_weight has {int((w < 0).sum())} negative values: weights are 0 or more")
    if not (w > 0).any():
        raise InputError("sample_weight is zero for every row: give at least one row some weight")
    return w
