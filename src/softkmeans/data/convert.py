"""Convert the user's data to a Source, and results back to the user's kind of array."""

from __future__ import annotations

__all__ = ["Array", "as_numbers", "as_source", "floating_dtype", "like"]

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils import fork
from ..errors import InputError, Message, Setting
from .block import Rows, as_tensor, working_dtype
from .distributed.dask_source import DaskSource
from .files.block_readers.streams import is_stream
from .files.scan import as_device, scan
from .frames import as_rows, column_names, dtype_of, is_array_api, is_dask
from .source import ArraySource, Source
from .validation import check_finite, check_matrix, check_weights

PLAIN_TYPES = "?bBhHiIlLqQefd"  # booleans, integers, and floats up to float64
CPU = torch.device("cpu")

Array: TypeAlias = "NDArray[Any] | Tensor | Any"  # or an array of another library


def as_numbers(table: Any, name: str) -> Tensor:
    """Convert any table to a tensor of real numbers, of any shape; ``name`` is what errors call it.

    Raises
    ------
    InputError
        If it can't be converted, or its numbers are complex.
    """
    try:
        numbers = as_tensor(as_rows(table))
    except InputError as error:
        raise error.about(name) from None
    except (TypeError, ValueError):
        raise InputError(f"is a {type(table).__name__}", parameter=name, expected="a table of numbers") from None
    if numbers.is_complex():
        raise InputError("holds complex numbers", parameter=name, expected="real numbers")
    return numbers


def as_source(
    x: ArrayLike | Tensor | Source,
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    device: str | torch.device | None = None,
    finite: bool = True,
) -> Source:
    """Convert in-memory data, a Dask collection or a loader to a Source; return a Source unchanged.

    Parameters
    ----------
    x : table (n, d)
        Rows of finite real numbers: an array, a tensor, another array that follows the array API standard, a data
        frame that narwhals supports (pandas, Polars, PyArrow), a SciPy sparse matrix, or lists; or a Dask array or
        data frame. Also supported are objects that yield one table after another, which ``softkmeans.data.scan``
        reads: a DataLoader, an IterableDataset, or a function that returns an iterator at every call.
    sample_weight : column (n,) or float, optional
        Weights of the rows, 0 or more and not all 0, in any of these formats, or one for all rows; a weight of 2 is
        equivalent to a repeated row. Dask weights must have the partitions of x.
    device : str or torch.device, optional
        Device of the computation. The default is the device of a tensor, and the CPU for all other data. Not
        supported with Dask data, which the workers' CPUs process.
    finite : bool, default=True
        Whether to check for NaN and infinity.

    Returns
    -------
    Source
        The rows and their weights.

    Raises
    ------
    InputError
        If the rows or the weights are not valid; the message names columns that are not numeric.

    Notes
    -----
    The data is never modified. Some kinds of data are used in place and converted block by block: NumPy arrays of any
    layout with booleans, integers or floats up to float64, including memory-mapped files; tensors; arrays of other
    libraries; CSR matrices; and data frames whose columns have one type and share one array, such as pandas frames
    built from an array and Polars frames built from an array in column-major order. All other kinds are copied once:
    other data frames, lists, structured arrays, object arrays, masked arrays with masked entries, and long doubles.
    Other sparse matrices and pandas frames of sparse columns are copied to CSR.

    Examples
    --------
    >>> as_source([[1.0, 2.0], [3.0, 4.0]]).n_rows
    2
    """
    if fork.is_forked_child:
        fork.use_one_thread()
    if isinstance(x, Source):
        return _check_source_arguments(x, sample_weight, device)
    if type(x) is np.ndarray and x.dtype.char in PLAIN_TYPES:  # the most common kind needs no conversion
        return _array_source(x, sample_weight, None, device, finite)
    if is_dask(x):
        if device is not None and torch.device(device).type != "cpu":
            problem = "is not supported with Dask data, which workers' CPUs process"
            raise InputError(problem, parameter="device", value=device, hint="omit it")
        return DaskSource(x, sample_weight, finite=finite)
    if is_stream(x):
        if sample_weight is not None:
            problem = "is not supported with a loader or a function"
            hint = Message("use ", Setting("weight_column"), " of softkmeans.data.scan")
            raise InputError(problem, parameter="sample_weight", hint=hint)
        return scan(x, device=device)
    return _array_source(as_rows(x), sample_weight, column_names(x), device, finite)


def _array_source(
    rows: Rows, sample_weight: Any, columns: tuple[str, ...] | None, device: Any, finite: bool
) -> ArraySource:
    """Return the source of rows in memory, after checking them."""
    check_matrix(rows)
    if finite:
        check_finite(rows, columns=columns)
    weights = None if sample_weight is None else check_weights(sample_weight, rows.shape[0])
    used_device = _choose_device(device, rows)
    source = ArraySource(rows, weights, used_device, working_dtype(used_device))
    source.columns = columns
    return source


def _check_source_arguments(source: Source, sample_weight: Any, device: Any) -> Source:
    """Return the source, or raise an InputError if weights or another device are given with it."""
    if sample_weight is not None:
        problem = "is not supported with a Source, which has its own weights"
        raise InputError(problem, parameter="sample_weight", hint="set it when creating the Source")
    if device is not None:
        requested = as_device(device)
        if requested.type != source.device.type or requested.index not in (None, source.device.index):
            problem = f"is not supported with a Source on {source.device}"
            raise InputError(problem, parameter="device", value=device, hint="set it when creating the Source")
    return source


def _choose_device(device: Any, rows: Rows) -> torch.device:
    """Return the requested device; by default, that of a tensor, else the CPU."""
    if device is None:
        return rows.device if isinstance(rows, Tensor) else CPU
    chosen = as_device(device)
    if chosen.type == "meta":
        problem, hint = "can't be used (it has no numbers)", "choose another one, such as 'cpu'"
        raise InputError(problem, parameter="device", value=device, hint=hint)
    return chosen


def like(example: Any, result: Tensor | Array) -> Array:
    """Convert a result to the kind of array of the example, on its device; to a NumPy array for other tables."""
    if isinstance(example, Tensor):
        return as_tensor(result).to(example.device)
    if not isinstance(example, np.ndarray) and is_array_api(example):
        return example.__array_namespace__().from_dlpack(as_tensor(result), device=example.device)
    return result if isinstance(result, np.ndarray) else result.cpu().numpy()


def floating_dtype(dtype: Any, rows: Rows | Source) -> torch.dtype:
    """Return the type of the centers: dtype if it is given, else that of the rows if they are floats, else float64."""
    own = rows.dtype if isinstance(rows, np.ndarray | Tensor) else dtype_of(rows)
    torch_dtype = _torch_dtype(own if dtype is None else dtype)
    if dtype is not None and not (torch_dtype and torch_dtype.is_floating_point):
        problem, hint = "is not a floating-point type", "use one, such as 'float32'"
        raise InputError(problem, parameter="dtype", value=dtype, hint=hint)
    if torch_dtype == torch.bfloat16 and not isinstance(rows, Tensor):
        problem, hint = "is not supported by NumPy", "pass the data as a tensor, or use another dtype"
        raise InputError(problem, parameter="dtype", value="bfloat16", hint=hint)
    return torch_dtype if torch_dtype and torch_dtype.is_floating_point else torch.float64


def _torch_dtype(dtype: Any) -> torch.dtype | None:
    """Return the PyTorch type for a PyTorch type, a NumPy type or a name; None if there is none."""
    if isinstance(dtype, torch.dtype):
        return dtype
    name = dtype.removeprefix("torch.") if isinstance(dtype, str) else dtype
    if str(name) == "bfloat16":  # which NumPy does not know
        return torch.bfloat16
    try:
        return _torch_dtype_of(np.dtype(name))
    except (TypeError, ValueError):
        return None


@lru_cache(maxsize=64)
def _torch_dtype_of(dtype: np.dtype[Any]) -> torch.dtype | None:
    """Return the PyTorch type for a NumPy type; None if there is none."""
    torch_dtype = getattr(torch, dtype.name, None)
    return torch_dtype if isinstance(torch_dtype, torch.dtype) else None
