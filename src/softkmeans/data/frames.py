"""Conversion of every supported kind of table to an array, a tensor or a CSR matrix.

Only this module depends on the kind of table. Data frames are read through narwhals, so that no data frame library is
imported here.
"""

from __future__ import annotations

__all__ = [
    "as_frame",
    "as_rows",
    "as_vector",
    "column_names",
    "dtype_of",
    "is_array_api",
    "is_dask",
    "numeric_columns",
]

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
from .csr import as_csr

MAX_COLUMNS_SHOWN = 5  # in an error message
INT128_TYPES = (nw.Int128, nw.UInt128)  # NumPy does not support them


class _NotNumericError(InputError, TypeError):
    """Error for columns that are not numeric; also a TypeError, as scikit-learn raises for arrays of such objects."""


def as_rows(x: Any) -> Rows:
    """Convert a table to an array, a tensor or a CSR matrix of any shape and type, with missing values as NaN.

    Raises
    ------
    InputError
        If columns are not numeric (the message names them), the rows are not in memory, or x is not a table.
    """
    if isinstance(x, Tensor):
        return x.detach()
    if isinstance(x, np.ndarray):
        return _from_array(x)
    if scipy.sparse.issparse(x):
        return _from_sparse(x)
    if is_array_api(x):
        return _from_array_api(x)
    frame = as_frame(x)
    return _from_array(_from_sequence(x)) if frame is None else _from_frame(frame)


def as_vector(x: Any, name: str) -> NDArray[Any] | Tensor:
    """Convert a column of numbers, such as weights, to an array or a tensor, with missing values as NaN.

    Raises
    ------
    InputError
        If the values are not numbers.
    """
    series = nw.from_native(x, pass_through=True, allow_series=True)
    if isinstance(series, nw.Series):
        column: Any = _series_values(series)
    else:
        column = as_rows(x)
        column = column.toarray() if scipy.sparse.issparse(column) else column
        column = _to_numbers(column) if isinstance(column, np.ndarray) and column.ndim == 1 else column
    if isinstance(column, Tensor) and column.is_complex():
        column = str(column.dtype)
    if isinstance(column, str):
        raise InputError(f"is of type {column}", parameter=name, expected="numbers", hint="convert it first")
    return column  # type: ignore[no-any-return]


def as_frame(x: Any) -> nw.DataFrame[Any] | None:
    """Convert a data frame to a narwhals data frame; return None if x is not a data frame.

    Raises
    ------
    InputError
        If it is not in memory, or two columns have the same name.
    """
    pyarrow = nw.dependencies.get_pyarrow()
    if pyarrow is not None and isinstance(x, pyarrow.RecordBatch):
        x = pyarrow.Table.from_batches([x])
    try:
        frame = nw.from_native(x, pass_through=True)
    except DuplicateError as error:
        hint = f"rename them ({_one_line(error)})"
        raise InputError("has duplicate column names", parameter="the data", hint=hint) from None
    if isinstance(frame, nw.LazyFrame):
        problem = f"is a {type(x).__name__}, whose rows are not in memory yet"
        raise InputError(problem, parameter="the data", hint="use x.collect()")
    return frame if isinstance(frame, nw.DataFrame) else None


def column_names(x: Any) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns; None if x is not a data frame, or if names are not text."""
    if isinstance(x, np.ndarray | Tensor):
        return None
    frame = as_frame(x)
    if frame is None or not all(isinstance(name, str) for name in frame.columns):
        return None
    may_hold_lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, nw.List | nw.Array | nw.Object)]
    lengths = {name: _list_length(frame.get_column(name)) for name in may_hold_lists}
    elements = {name: [f"{name}[{j}]" for j in range(n)] for name, n in lengths.items() if n is not None}
    return tuple(element for name in frame.columns for element in elements.get(name, (name,)))


def numeric_columns(frame: nw.DataFrame[Any]) -> dict[str, bool]:
    """Return for each column whether it has numbers, true and false, or lists of numbers."""
    numeric = {}
    for name, dtype in frame.schema.items():
        inner = getattr(dtype, "inner", dtype)
        if isinstance(dtype, nw.Object):
            numeric[name] = _list_length(frame.get_column(name)) is not None
        else:
            numeric[name] = inner.is_numeric() or inner == nw.Boolean
    return numeric


def _list_length(series: nw.Series[Any]) -> int | None:
    """Return the length of the first list in a column; None if it does not hold lists."""
    first = next((value for value in series if value is not None), None)
    return len(first) if first is not None and _is_list(first) else None


def _is_list(value: Any) -> bool:
    is_array = isinstance(value, np.ndarray) and value.ndim == 1
    return is_array or isinstance(value, list | tuple) or nw.dependencies.is_polars_series(value)


def is_array_api(x: Any) -> bool:
    """Return whether x is an array of another library that follows the array API standard."""
    return hasattr(x, "__array_namespace__") and not isinstance(x, np.ndarray | np.generic)


def is_dask(x: Any) -> bool:
    """Return whether x is a Dask collection, whose rows are not in memory."""
    return type(x).__module__.partition(".")[0] in ("dask", "dask_expr")


def dtype_of(x: Any) -> Any:
    """Return the type of a table's rows; for a Dask data frame, that of its example rows."""
    return as_rows(x._meta_nonempty).dtype if is_dask(x) and hasattr(x, "columns") else x.dtype


def _from_array_api(x: Any) -> NDArray[Any] | Tensor:
    """Share the memory of another library's array, on its device if PyTorch supports that."""
    try:
        return torch.utils.dlpack.from_dlpack(x)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        pass
    try:
        return np.asarray(x)
    except (RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(x).__module__}.{type(x).__name__}"
        hint = f"move it to the CPU ({_one_line(error)})"
        raise InputError(f"is a {kind} that can't be read", parameter="the data", hint=hint) from None


def _from_sparse(x: Any) -> Any:
    if x.ndim != 2:
        hint = "use x.reshape(-1, 1) for one feature"
        raise InputError(f"has shape {x.shape}", parameter="the data", expected="(n, d)", hint=hint)
    rows = as_csr(x)
    return rows.astype(np.float64) if _is_long_double(rows.dtype) else rows


def _from_sequence(x: Any) -> NDArray[Any]:
    """Convert lists, or other objects that NumPy accepts, to an array."""
    try:
        rows = np.asarray(x)
    except ValueError as error:
        hint = f"give each row the same number of values ({_one_line(error)})"
        raise InputError("differ in length", parameter="the data's rows", hint=hint) from None
    if rows.ndim == 0 and rows.dtype == object:
        raise InputError(f"is a {type(x).__name__}", parameter="the data", expected="a table of numbers (n, d)")
    return np.array(x, dtype=object) if rows.dtype.kind in "US" else rows  # NumPy would convert [[1, "a"]] to text


def _from_array(x: NDArray[Any]) -> NDArray[Any]:
    """Convert an array to an array of numbers; return it unchanged if it is one."""
    if np.ma.is_masked(x):
        x = np.ma.filled(x.astype(np.result_type(x, np.float32)), np.nan)
    x = np.asarray(x)
    if x.dtype.names and x.ndim == 1:
        return _stack_columns(x.dtype.names, (_to_numbers(x[name]) for name in x.dtype.names))
    if x.dtype.kind in "OUS" and x.ndim == 2 and x.size:
        return _from_objects(x)
    return x.astype(np.float64) if _is_long_double(x.dtype) else x


def _from_objects(x: NDArray[Any]) -> NDArray[Any]:
    try:
        return _stack_columns(range(x.shape[1]), map(_to_numbers, x.T))
    except _NotNumericError as error:
        raise _NotNumericError(error.problem, hint=f"{error.hint}{_conversion_error(x)}") from None


def _conversion_error(x: NDArray[Any]) -> str:
    """Return Python's message for objects that are not numbers, which scikit-learn's checks expect in the error."""
    try:
        x.astype(np.float64)
    except TypeError as error:
        return f" ({error})"
    except (OverflowError, ValueError):
        pass
    return ""


def _from_frame(frame: nw.DataFrame[Any]) -> Rows:
    """Return a data frame's rows: a view if its columns have one type and share one array, else a copy."""
    if 0 in frame.shape:
        return np.empty(frame.shape)
    native = frame.to_native()
    if nw.dependencies.is_pandas_dataframe(native) and all(_is_sparse(dtype) for dtype in native.dtypes):
        return as_csr(native.sparse.to_coo())
    if len(set(frame.schema.values())) == 1 and _is_numpy_type(frame.schema[frame.columns[0]]):
        rows = frame.to_numpy()
        if rows.dtype.kind in "fiub":  # missing values may turn a column into objects
            return rows
    return _stack_columns(frame.columns, (_series_values(frame.get_column(name)) for name in frame.columns))


def _is_numpy_type(dtype: nw.dtypes.DType) -> bool:
    """Return whether NumPy has this numeric type."""
    return dtype.is_float() or (dtype.is_integer() and dtype not in INT128_TYPES) or dtype == nw.Boolean


def _series_values(series: nw.Series[Any]) -> NDArray[Any] | str:
    """Return a series' numbers (n,), or (n, m) of lists of m numbers; if it is not numeric, the name of its type."""
    dtype = series.dtype
    if isinstance(dtype, nw.List | nw.Array | nw.Object) and (length := _list_length(series)) is not None:
        return _matrix_of_lists(series, length)
    if dtype in INT128_TYPES:
        series = series.cast(nw.Float64)
    if dtype.is_numeric() or dtype in (nw.Boolean, nw.Object, nw.Unknown):
        values = _to_numbers(series.to_numpy())
        native = series.to_native()
        return str(getattr(native, "dtype", values)) if dtype == nw.Unknown and isinstance(values, str) else values
    return type(dtype).__name__.lower()


def _matrix_of_lists(series: nw.Series[Any], length: int) -> NDArray[Any] | str:
    """Return lists of one length as an array (n, length); if they hold something else than numbers, "list"."""
    rows = [value if _is_list(value) else () for value in series]
    lengths = np.array([len(row) for row in rows])
    if (lengths != length).any():
        row = int((lengths != length).argmax())
        problem = f"has {lengths[row]} elements in row {row} (counted from 0), and {length} in the first list"
        hint = "give every row the same number"
        raise InputError(problem, parameter=f"column {series.name!r}", hint=hint)
    numbers = _to_numbers(np.array([list(row) for row in rows]).reshape(len(rows) * length))
    return "list" if isinstance(numbers, str) else numbers.reshape(len(rows), length)


def _to_numbers(values: NDArray[Any]) -> NDArray[Any] | str:
    """Convert values (n,), also objects, to numbers with NaN for missing ones; else return the name of their type."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64) if _is_long_double(values.dtype) else values
    if values.dtype.kind != "O":
        return "string" if values.dtype.kind in "US" else values.dtype.name
    pandas = nw.dependencies.get_pandas()
    missing = np.array([value is None for value in values]) if pandas is None else pandas.isna(values)
    not_numeric = [value for value in values[~missing] if not _is_number(value)]
    if not_numeric:
        return "string" if isinstance(not_numeric[0], str) else type(not_numeric[0]).__name__
    return np.where(missing, np.nan, values).astype(np.float64)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return not isinstance(value, str | bytes)


def _is_long_double(dtype: np.dtype[Any]) -> bool:
    """Return whether this is a float type with more than 64 bits, which PyTorch does not support."""
    return dtype.kind == "f" and dtype.itemsize > 8


def _is_sparse(dtype: Any) -> bool:
    """Return whether this is the type of a numeric pandas column that stores only values other than zero."""
    return type(dtype).__name__ == "SparseDtype" and dtype.kind in "fiub" and dtype.fill_value == 0


def _stack_columns(names: Iterable[Hashable], columns: Iterable[NDArray[Any] | str]) -> NDArray[Any]:
    """Stack columns (n,), or (n, m), of numbers.

    A column that is not numeric is given as the name of its type; the error names all such columns.
    """
    by_name = dict(zip(names, columns, strict=True))
    not_numeric = {name: kind for name, kind in by_name.items() if isinstance(kind, str)}
    if not_numeric:
        raise _not_numeric_error(not_numeric)
    return np.column_stack(list(by_name.values()))


def _not_numeric_error(kinds: dict[Hashable, str]) -> _NotNumericError:
    """Return an error with the names and types of the columns that are not numeric."""
    shown = [f"{name!r} ({kind})" for name, kind in list(kinds.items())[:MAX_COLUMNS_SHOWN]]
    if len(kinds) > MAX_COLUMNS_SHOWN:
        shown.append(f"{len(kinds) - MAX_COLUMNS_SHOWN} more")
    if len(kinds) == 1:
        return _NotNumericError(f"column {shown[0]} is not numeric", hint="leave it out or encode it")
    names = f"{', '.join(shown[:-1])} and {shown[-1]}"
    return _NotNumericError(f"columns {names} are not numeric", hint="leave them out or encode them")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
