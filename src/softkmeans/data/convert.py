"""From what users hold in memory to a Source, with all that can be wrong with it said."""

from __future__ import annotations

__all__ = ["Array", "as_source", "floating_dtype", "like"]

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.fork import survive_fork
from ..errors import InputError
from .block import Rows, working_dtype
from .distributed.dask_source import DaskSource
from .files.readers.streams import is_stream
from .files.scan import as_device, scan
from .frames import as_rows, dtype_of, is_dask, is_foreign
from .source import ArraySource, Source
from .validation import check_finite, check_matrix, check_weights

Array: TypeAlias = "NDArray[Any] | Tensor | Any"  # or an array of another library's


def as_source(
    x: ArrayLike | Tensor | Source,
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    device: str | torch.device | None = None,
    finite: bool = True,
) -> Source:
    """Make a Source of rows in memory, of Dask's, or of those that a loader gives. A Source passes through.

    Parameters
    ----------
    x : table (n, d)
        Rows of finite real numbers: an array, a tensor, another array of the array API standard, a data frame that
        narwhals knows (pandas, Polars, PyArrow), a SciPy sparse matrix, or lists; or a Dask array or data frame. Or
        what gives tables one after the other, and is read by ``softkmeans.data.scan``: a DataLoader, an
        IterableDataset, or a function that makes an iterator at every call.
    sample_weight : column (n,), optional
        Weights, not negative and not all 0, of any of these kinds; a weight of 2 is as good as a repeated row. Those
        of Dask come in the partitions of x.
    device : str or torch.device, optional
        Where the work is done; where a tensor is, or on the CPU, by default. Dask's partitions stay on theirs.
    finite : bool, default=True
        Whether to look for NaN and infinity.

    Returns
    -------
    Source
        The rows with their weights.

    Raises
    ------
    InputError
        If the rows or the weights are none; columns that are not numeric are named.

    Notes
    -----
    Nothing is ever changed. Taken as they lie in memory, and converted block by block while they are looked at: arrays
    of any layout and of NumPy's booleans, integers and floats up to float64, memory-mapped ones too; tensors; arrays of
    other libraries; CSR; and frames whose columns have one type and lie in one array, as pandas frames made of an array
    do, and Polars frames made of one with its columns one after the other. Copied once: all other frames, lists,
    records, objects, masked arrays with something masked and long doubles; as CSR, other sparse matrices and pandas
    frames of sparse columns.

    Examples
    --------
    >>> as_source([[1.0, 2.0], [3.0, 4.0]]).n_rows
    2
    """
    survive_fork()
    if isinstance(x, Source):
        return _as_it_is(x, sample_weight, device)
    if is_dask(x):
        if device is not None and torch.device(device).type != "cpu":
            raise InputError(f"device={device!r} came with Dask's rows, which the workers' CPUs work on: leave it out")
        return DaskSource(x, sample_weight, finite=finite)
    if is_stream(x):
        if sample_weight is not None:
            raise InputError(
                "sample_weight came with a loader or a function: use weight_column of softkmeans.data.scan"
            )
        return scan(x, device=device)
    rows = as_rows(x)
    check_matrix(rows)
    if finite:
        check_finite(rows)
    weights = None if sample_weight is None else check_weights(sample_weight, rows.shape[0])
    place = _device(device, rows)
    return ArraySource(rows, weights, place, working_dtype(place))


def _as_it_is(source: Source, sample_weight: Any, device: Any) -> Source:
    """Refuse what a source has already."""
    if sample_weight is not None:
        raise InputError("sample_weight came with a Source, which has its own: give it where the Source is made")
    if device is not None:
        place = as_device(device)
        if place.type != source.device.type or place.index not in (None, source.device.index):
            raise InputError(f"device={device!r} came with a Source on {source.device}: give it where that is made")
    return source


def _device(device: Any, rows: Rows) -> torch.device:
    return rows.device if device is None and isinstance(rows, Tensor) else as_device(device)


def like(example: Any, answer: Tensor) -> Array:
    """Give what came, on its device: a tensor, an array of another library's, and NumPy's for all other tables."""
    if isinstance(example, Tensor):
        return answer.to(example.device)
    if is_foreign(example):
        return example.__array_namespace__().from_dlpack(answer, device=example.device)
    return answer.cpu().numpy()


def floating_dtype(dtype: Any, rows: Rows | Source) -> torch.dtype:
    """Give the type of centers: the one asked for, else that of the rows if they are floats, else float64."""
    found = _torch_dtype(dtype_of(rows) if dtype is None else dtype)
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
