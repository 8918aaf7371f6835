"""From every kind of table to rows that the library works on: an array, a tensor, or a CSR matrix.

This is the one place that knows kinds of table. Data frames are narwhals' business, so that none of their libraries is
imported here.
"""

from __future__ import annotations

__all__ = ["as_frame", "as_rows", "as_vector", "dtype_of", "is_dask", "is_foreign"]

from collections.abc import Hashable, Iterable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy  # loads its submodules when they are used
import torch
from narwhals.exceptions import DuplicateError
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .block import Rows

SHOWN = 5  # names in a message
HUGE = (nw.Int128, nw.UInt128)  # integers that NumPy lacks


class _NotNumericError(InputError, TypeError):
    """Also a TypeError, as scikit-learn has it for arrays of objects that are no numbers."""


def as_rows(x: Any) -> Rows:
    """Give a table's rows as an array, a tensor or a CSR matrix of any shape and type, missing values as NaN.

    Raises
    ------
    InputError
        If columns are not numeric: the message names them. If rows are not in memory, or x is no table at all.
    """
    if isinstance(x, Tensor):
        return x.detach()
    if isinstance(x, np.ndarray):
        return _from_array(x)
    if scipy.sparse.issparse(x):
        return _from_sparse(x)
    if is_foreign(x):
        return _from_foreign(x)
    frame = as_frame(x)
    return _from_array(_from_sequence(x)) if frame is None else _from_frame(frame)


def as_vector(x: Any, name: str) -> NDArray[Any] | Tensor:
    """Give a column of numbers, such as weights, as an array or a tensor, missing values as NaN.

    Raises
    ------
    InputError
        If they are no numbers.
    """
    series = nw.from_native(x, pass_through=True, allow_series=True)
    if isinstance(series, nw.Series):
        column: Any = _column(series)
    else:
        column = as_rows(x)
        column = column.toarray() if scipy.sparse.issparse(column) else column
        column = _numbers(column) if isinstance(column, np.ndarray) and column.ndim == 1 else column
    if isinstance(column, Tensor) and column.is_complex():
        column = str(column.dtype)
    if isinstance(column, str):
        raise InputError(f"{name} is of type {column}, expected numbers: convert it first")
    return column  # type: ignore[no-any-return]


def as_frame(x: Any) -> nw.DataFrame[Any] | None:
    """Give a data frame as narwhals has it, or None if x is none.

    Raises
    ------
    InputError
        If it is not in memory, or its columns have the same name.
    """
    pyarrow = nw.dependencies.get_pyarrow()
    if pyarrow is not None and isinstance(x, pyarrow.RecordBatch):
        x = pyarrow.Table.from_batches([x])
    try:
        frame = nw.from_native(x, pass_through=True)
    except DuplicateError as error:
        raise InputError(f"the data has columns of the same name: rename them ({_one_line(error)})") from None
    if isinstance(frame, nw.LazyFrame):
        raise InputError(f"the data is a {type(x).__name__}, whose rows are not in memory yet: use x.collect()")
    return frame if isinstance(frame, nw.DataFrame) else None


def is_foreign(x: Any) -> bool:
    """Whether x is an array of another library that keeps to the array API standard."""
    return hasattr(x, "__array_namespace__") and not isinstance(x, np.ndarray | np.generic)


def is_dask(x: Any) -> bool:
    """Whether x is one of Dask's collections, whose rows are not in memory."""
    return type(x).__module__.partition(".")[0] in ("dask", "dask_expr")


def dtype_of(x: Any) -> Any:
    """Give the type that a table's rows have, which Dask's frames only say by an example."""
    return as_rows(x._meta_nonempty).dtype if is_dask(x) and hasattr(x, "columns") else x.dtype


def _from_foreign(x: Any) -> NDArray[Any] | Tensor:
    """Share the memory of another library's array, on its device if PyTorch knows that."""
    try:
        return torch.utils.dlpack.from_dlpack(x)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        pass
    try:
        return np.asarray(x)
    except (RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(x).__module__}.{type(x).__name__}"
        raise InputError(f"the data is a {kind} that can't be read: move it to the CPU ({_one_line(error)})") from None


def _from_sparse(x: Any) -> Any:
    if x.ndim != 2:
        raise InputError(f"the data has shape {x.shape}, expected (n, d): use x.reshape(-1, 1) for one feature")
    rows = x.tocsr()
    return rows.astype(np.float64) if _is_long(rows.dtype) else rows


def _from_sequence(x: Any) -> NDArray[Any]:
    """Make an array of lists, or of what NumPy makes one of."""
    try:
        rows = np.asarray(x)
    except ValueError as error:
        raise InputError(f"the data's rows are not alike: give as many numbers in each ({_one_line(error)})") from None
    if rows.ndim == 0 and rows.dtype == object:
        raise InputError(f"the data is a {type(x).__name__}, expected a table of numbers (n, d)")
    return np.array(x, dtype=object) if rows.dtype.kind in "US" else rows  # else [[1, "a"]] would be text altogether


def _from_array(x: NDArray[Any]) -> NDArray[Any]:
    """Give an array of numbers: the array itself, if it is one."""
    if np.ma.is_masked(x):
        x = np.ma.filled(x.astype(np.result_type(x, np.float32)), np.nan)
    x = np.asarray(x)
    if x.dtype.names and x.ndim == 1:
        return _side_by_side(x.dtype.names, (_numbers(x[name]) for name in x.dtype.names))
    if x.dtype.kind in "OUS" and x.ndim == 2 and x.size:
        return _from_objects(x)
    return x.astype(np.float64) if _is_long(x.dtype) else x


def _from_objects(x: NDArray[Any]) -> NDArray[Any]:
    try:
        return _side_by_side(range(x.shape[1]), map(_numbers, x.T))
    except _NotNumericError as complaint:
        raise _NotNumericError(f"{complaint}{_words_of_float(x)}") from None


def _words_of_float(x: NDArray[Any]) -> str:
    """What Python says of objects that are no numbers, which scikit-learn expects to hear."""
    try:
        x.astype(np.float64)
    except TypeError as error:
        return f" ({error})"
    except (OverflowError, ValueError):
        pass
    return ""


def _from_frame(frame: nw.DataFrame[Any]) -> Rows:
    """Give a frame's rows: a view where all columns have one type and lie in one array, else a copy."""
    if 0 in frame.shape:
        return np.empty(frame.shape)
    native = frame.to_native()
    if nw.dependencies.is_pandas_dataframe(native) and all(_is_sparse(dtype) for dtype in native.dtypes):
        return native.sparse.to_coo().tocsr()
    if len(set(frame.schema.values())) == 1 and _is_plain(frame.schema[frame.columns[0]]):
        rows = frame.to_numpy()
        if rows.dtype.kind in "fiub":  # not objects, which missing values may come as
            return rows
    return _side_by_side(frame.columns, (_column(frame.get_column(name)) for name in frame.columns))


def _is_plain(dtype: nw.dtypes.DType) -> bool:
    """Whether NumPy has such a type."""
    return dtype.is_float() or (dtype.is_integer() and dtype not in HUGE) or dtype == nw.Boolean


def _column(column: nw.Series[Any]) -> NDArray[Any] | str:
    """A column's numbers, or what it has instead."""
    dtype = column.dtype
    if dtype in HUGE:
        column = column.cast(nw.Float64)
    if dtype.is_numeric() or dtype in (nw.Boolean, nw.Object, nw.Unknown):
        found = _numbers(column.to_numpy())
        native = column.to_native()
        return str(getattr(native, "dtype", found)) if dtype == nw.Unknown and isinstance(found, str) else found
    return type(dtype).__name__.lower()


def _numbers(values: NDArray[Any]) -> NDArray[Any] | str:
    """Numbers (n,), also out of objects, missing ones as NaN; or what there is instead."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64) if _is_long(values.dtype) else values
    if values.dtype.kind != "O":
        return "string" if values.dtype.kind in "US" else values.dtype.name
    pandas = nw.dependencies.get_pandas()
    missing = np.array([value is None for value in values]) if pandas is None else pandas.isna(values)
    odd = [value for value in values[~missing] if not _is_number(value)]
    if odd:
        return "string" if isinstance(odd[0], str) else type(odd[0]).__name__
    return np.where(missing, np.nan, values).astype(np.float64)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return not isinstance(value, str | bytes)


def _is_long(dtype: np.dtype[Any]) -> bool:
    """Whether these are floats that PyTorch lacks."""
    return dtype.kind == "f" and dtype.itemsize > 8


def _is_sparse(dtype: Any) -> bool:
    """Whether it is pandas' type of a column that is mostly zero."""
    return type(dtype).__name__ == "SparseDtype" and dtype.kind in "fiub" and dtype.fill_value == 0


def _side_by_side(names: Iterable[Hashable], columns: Iterable[NDArray[Any] | str]) -> NDArray[Any]:
    """Put columns (n,) of numbers together; a str says what a column has instead."""
    found = dict(zip(names, columns, strict=True))
    odd = {name: kind for name, kind in found.items() if isinstance(kind, str)}
    if odd:
        raise _NotNumericError(_complaint(odd))
    return np.column_stack(list(found.values()))


def _complaint(odd: dict[Hashable, str]) -> str:
    """Name the columns that are not numeric."""
    shown = [f"{name!r} ({kind})" for name, kind in list(odd.items())[:SHOWN]]
    if len(odd) > SHOWN:
        shown.append(f"{len(odd) - SHOWN} more")
    if len(odd) == 1:
        return f"column {shown[0]} is not numeric: leave it out or encode it"
    return f"columns {', '.join(shown[:-1])} and {shown[-1]} are not numeric: leave them out or encode them"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
