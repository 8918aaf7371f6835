"""Tables on disk: read points from CSV, TSV, Parquet, NPY and NPZ; write columns of results."""

__all__ = ["Table", "read_table", "write_table"]

import gzip
import os
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_write
from ..errors import InputError
from .formats import Opened, arrow, find_suffix, is_number, listing, one_line_errors, open_table


class Table(NamedTuple):
    """Points read from a file.

    Attributes
    ----------
    x : numpy.ndarray of shape (n, d), C-contiguous
        The points: float32 if every source column is float32 or float16, else float64.
    columns : tuple of d str, or None
        Where each column of ``x`` comes from; ``None`` if the file has no column names (a 2-D array in NPY or NPZ).
    labels : numpy.ndarray of shape (n,), or None
        The known classes, text or numbers. Kept for evaluation only.
    weights : numpy.ndarray of shape (n,) and type float64, or None
        The weight of each point.
    ignored : tuple of str
        Columns that were left out without being asked about (text, dates, row names, no values): worth reporting.
    """

    x: NDArray[Any]
    columns: tuple[str, ...] | None
    labels: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    ignored: tuple[str, ...]

    def frame(self) -> Any:
        """Give ``x`` with its column names, a pyarrow.Table (n, d), to estimators that keep names; without, ``x``."""
        return self.x if self.columns is None else arrow("lib").table(dict(zip(self.columns, self.x.T, strict=True)))


def read_table(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    weight_column: str | None = None,
) -> Table:
    r"""Read points from a CSV, TSV, Parquet, NPY or NPZ file.

    CSV and TSV (also ``.gz``) are UTF-8 text with a header row; spaces around names are dropped. NPY holds one (n, d)
    array. NPZ holds either an (n, d) array named ``x`` or ``X`` (or alone, under any name), beside which ``y`` or
    ``labels`` are the labels; or 1-D arrays, which are named columns. Nothing is ever unpickled.

    Parameters
    ----------
    path : str or path-like
        The file; its extension says the format.
    columns : sequence of str or None, default=None
        The columns to use, in this order. ``None`` takes every column of numbers or true/false (1 and 0), except
        the label and weight columns, columns without a value, and row names (those with an empty heading).
    label_column : str or None, default=None
        A column of known classes, not used as a feature.
    weight_column : str or None, default=None
        A column of weights, not used as a feature.

    Returns
    -------
    Table
        ``x``, ``columns``, ``labels``, ``weights`` and ``ignored``.

    Raises
    ------
    InputError
        If the file can't be used, a column is missing or not numeric, or a value is missing or infinite. The message
        is one line; rows in it are rows of data, counted from 1.
    MissingExtraError
        If the file is CSV, TSV or Parquet and pyarrow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from softkmeans.data import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "flowers.csv"
    ...     _ = path.write_text("length,width,name\n5.1,3.5,setosa\n6.2,2.9,virginica\n")
    ...     table = read_table(path, label_column="name")
    >>> table.columns, table.x.tolist(), table.labels.tolist()
    (('length', 'width'), [[5.1, 3.5], [6.2, 2.9]], ['setosa', 'virginica'])
    """
    with one_line_errors(Path(path)):
        opened = open_table(Path(path))
        label = opened.label if label_column is None else label_column
        features, used = _choose(opened, columns, label, weight_column)
        values = opened.load(features + used)
        x, names = (opened.matrix, None) if opened.matrix is not None else _stack(values, features, columns is None)
        taken = set(opened.numeric if columns is not None else [*(names or ()), *used])
        return Table(
            x=_checked_points(x, names),
            columns=names,
            labels=None if label is None else _checked_labels(values[label], label),
            weights=None if weight_column is None else _checked_weights(values[weight_column], weight_column),
            ignored=tuple(name for name in opened.numeric if name not in taken),
        )


def write_table(target: str | os.PathLike[str] | BinaryIO, columns: Mapping[str, ArrayLike]) -> None:
    """Write named columns as CSV, TSV or Parquet.

    Numbers are written with as many digits as it takes to read them back exactly. A file appears only when complete.

    Parameters
    ----------
    target : str, path-like or binary file
        The file to write; its extension says the format (``.csv`` and ``.tsv`` also with ``.gz``). An open binary
        file, such as ``sys.stdout.buffer``, gets CSV and stays open.
    columns : mapping of str to array-like of shape (n,)
        The columns, in order: numbers, true/false or text.

    Raises
    ------
    InputError
        If the extension is unknown, the columns are not (n,) arrays of one length, or the file can't be written.
    MissingExtraError
        If pyarrow is not installed.

    Examples
    --------
    >>> import io
    >>> from softkmeans.data import write_table
    >>> file = io.BytesIO()
    >>> write_table(file, {"label": [0, 1], "probability": [0.1, 0.75]})
    >>> print(file.getvalue().decode())
    "label","probability"
    0,0.1
    1,0.75
    """
    table = _arrow_table({name: np.asarray(values) for name, values in columns.items()})
    if not isinstance(target, str | os.PathLike):
        arrow("csv").write_csv(table, target)
        return
    suffix = find_suffix(Path(target), _WRITABLE)
    with atomic_write(target) as temporary, _opened_to_write(temporary) as file:
        if suffix == ".parquet":
            arrow("parquet").write_table(table, file)
        else:
            options = arrow("csv").WriteOptions(delimiter="\t" if suffix.startswith(".tsv") else ",")
            arrow("csv").write_csv(table, file, options)


# --- Columns: which to use, and are their values fit for use? ---------------------------------------------------------


def _choose(
    opened: Opened, columns: Sequence[str] | None, label: str | None, weight: str | None
) -> tuple[list[str], list[str]]:
    """Return the names of the features, and those of the label and weight columns."""
    used = [name for name in (label, weight) if name is not None]
    if isinstance(columns, str) or (columns is not None and not len(columns)):
        raise InputError(f"columns must be a list of names, got {columns!r}")
    chosen = list(columns or ())
    _check_known(opened, chosen + used, columns)
    if opened.matrix is not None:
        return [], used
    if columns is None:
        chosen = [n for n, numeric in opened.numeric.items() if numeric and n not in used and not _is_row_name(n)]
    if not chosen:
        _raise_for_no_numbers(list(opened.numeric))
    for name in (*chosen, weight):
        if name is not None and not opened.numeric[name]:
            _raise_for_text(name, opened.load([name])[name])
    return chosen, used


def _check_known(opened: Opened, names: list[str], columns: Sequence[str] | None) -> None:
    """Every name is a column, and has one use."""
    known = list(opened.numeric)
    if opened.matrix is not None and (columns is not None or (names and not known)):
        raise InputError(f"the points are one array without column names, so {listing(names)} can't be chosen")
    if opened.headless and not set(names) & set(known):
        remedy = "a header row with the names of the columns is needed (if these are the names, choose them by name)"
        raise InputError(f"the first row holds only numbers ({listing(known, 4)}); {remedy}")
    for name, count in Counter(names).items():
        if name not in opened.numeric:
            close = "".join(f" (did you mean {match!r}?)" for match in get_close_matches(name, known, 1))
            raise InputError(f"there is no column {name!r}{close}; the columns are {listing(known)}")
        if count > 1:
            raise InputError(f"column {name!r} is chosen twice; a column is a feature, the label or the weight")


def _is_row_name(name: str) -> bool:
    """Tell whether pandas or R wrote the names of the rows here."""
    return not name or name.startswith("__index_level_")


def _raise_for_no_numbers(known: list[str]) -> NoReturn:
    joined = len(known) == 1 and any(separator in known[0] for separator in ";,\t|")
    hint = "; are its cells separated by another character?" if joined else ""
    raise InputError(f"no column to use holds numbers; the columns are {listing(known)}{hint}")


def _raise_for_text(name: str, values: NDArray[Any]) -> NoReturn:
    filled = [(row, value) for row, value in enumerate(values.tolist(), start=1) if value is not None]
    if not filled:
        raise InputError(f"column {name!r} has no values")
    row, value = next(((row, value) for row, value in filled if not is_number(value)), filled[0])
    raise InputError(f"column {name!r} is not numeric: row {row} of the data holds {reprlib.repr(value)}")


def _stack(
    values: dict[str, NDArray[Any]], features: list[str], drop_blank: bool
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Set the features side by side as (n, d); a column without any value is no feature unless it was asked for."""
    floats = {name: _as_floats(values[name]) for name in features}
    kept = tuple(name for name in features if not (drop_blank and np.isnan(floats[name]).all()))
    if not kept:
        _raise_for_no_numbers(features)
    return np.column_stack([floats[name] for name in kept]), kept


def _as_floats(values: NDArray[Any]) -> NDArray[Any]:
    single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    return np.ascontiguousarray(values, dtype=np.float32 if single else np.float64)


def _checked_points(x: NDArray[Any], names: tuple[str, ...] | None) -> NDArray[Any]:
    if x.dtype.kind not in "biuf":
        raise InputError(f"the array holds {x.dtype}; it must hold numbers")
    if not x.shape[1]:
        raise InputError(f"the array has shape {x.shape}; it must have at least one column")
    x = _as_floats(x)
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        where = f"row {row + 1} of the data, column {column + 1 if names is None else repr(names[column])}"
        _raise_for_missing(f"{bad.sum()} missing or infinite values", where)
    return x


def _raise_for_missing(what: str, where: str) -> NoReturn:
    raise InputError(f"{what}, the first in {where} (rows and columns counted from 1); fill in or remove them")


def _checked_labels(values: NDArray[Any], name: str) -> NDArray[Any]:
    missing = values != values  # NaN and NaT
    if values.dtype.kind in "OUS":
        missing = np.array([value in (None, "", b"") for value in values.tolist()])
    if missing.any():
        _raise_for_missing(f"the label column {name!r} has {missing.sum()} empty cells", f"row {missing.argmax() + 1}")
    if isinstance(values[0], bytes):
        raise InputError(f"the label column {name!r} is not UTF-8 text; save the file as UTF-8")
    return np.array(values, dtype=str if values.dtype.kind == "O" else None)  # a copy: pyarrow's memory is read-only


def _checked_weights(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    weights = np.array(values, dtype=np.float64)  # a copy, as for the labels
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = bad.argmax()
        found = f"row {first + 1} of the data holds {weights[first]}"
        raise InputError(f"the weight column {name!r} must be finite and not negative: {found}")
    if not weights.any():
        raise InputError(f"the weight column {name!r} is zero in every row; some weight must be positive")
    return weights


# --- Writing ----------------------------------------------------------------------------------------------------------


def _arrow_table(columns: dict[str, NDArray[Any]]) -> Any:
    shapes = {name: values.shape for name, values in columns.items()}
    if not shapes or len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise InputError(f"the columns must be one-dimensional and of one length, got shapes {shapes}")
    return arrow("lib").table(columns)


def _opened_to_write(path: Path) -> Any:
    return gzip.open(path, "wb", compresslevel=6) if path.suffix.lower() == ".gz" else path.open("wb")


_WRITABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
