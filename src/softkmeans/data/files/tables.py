"""Reading a whole file as a table."""

__all__ = ["Table", "column_names_of", "read_frame", "read_table"]

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..._utils.brief import with_brief_repr
from ...errors import FileError
from .columns import (
    ColumnChoice,
    as_floats,
    check_rows,
    check_weights,
    choose,
    raise_for_missing,
    raise_for_no_numbers,
    raise_for_no_weight,
)
from .dialect import ANY_DIALECT, Dialect
from .errors import encoding_error, one_line_errors
from .formats.base import OpenTable, arrow
from .formats.opening import open_table


@with_brief_repr
class Table(NamedTuple):
    """Rows read from a file.

    Attributes
    ----------
    x : numpy.ndarray of shape (n, d), C-contiguous
        The rows: float32 if every source column is float32 or float16, else float64.
    columns : tuple of d str, or None
        The names of the columns of ``x``; ``None`` if the file has no column names (a 2-D array in NPY or NPZ).
    labels : numpy.ndarray of shape (n,), or None
        The known classes, text or numbers. Used for evaluation only.
    weights : numpy.ndarray of shape (n,) and type float64, or None
        The weight of each row.
    ignored : tuple of str
        Columns that were left out although the caller did not ask for it (text, dates, row names, no values).
    carried : pyarrow.Table of n rows, or None
        The columns to carry, as they are in the file; those of text files are text.
    notes : tuple of str
        How the file was read, where that is unusual: its delimiter, encoding and the like.
    """

    x: NDArray[Any]
    columns: tuple[str, ...] | None
    labels: NDArray[Any] | None = None
    weights: NDArray[np.float64] | None = None
    ignored: tuple[str, ...] = ()
    carried: Any = None
    notes: tuple[str, ...] = ()

    def frame(self) -> Any:
        """Return ``x`` with its column names as a pyarrow.Table (n, d), or ``x`` itself if it has no column names."""
        return self.x if self.columns is None else arrow("lib").table(dict(zip(self.columns, self.x.T, strict=True)))


def read_table(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    label_column: str | None = None,
    weight_column: str | None = None,
    carry: Sequence[str] = (),
    dialect: Dialect = ANY_DIALECT,
) -> Table:
    r"""Read the rows of a file: CSV, TSV, TXT, JSON lines, XLSX, Parquet, Arrow, NPY, NPZ, or another of ``FORMATS``.

    How a text file is written (delimiter, decimal commas, thousands, encoding, header, compression) is detected from
    its first mebibyte, and reported in ``notes`` if it is unusual. Spaces around names are dropped, and the first rows
    determine which columns are numbers. A column of lists of numbers, such as an embedding, is one feature for each
    element. NPY holds one (n, d) array. NPZ holds either an (n, d) array named ``x`` or ``X`` (or with any name if it
    is the only array), with an optional array ``y`` or ``labels`` of the labels; or 1-D arrays, which are named
    columns. Nothing is ever unpickled.

    Parameters
    ----------
    path : str or path-like
        The file; its extension determines the format.
    columns : sequence of str or None, default=None
        The columns to use, in this order. ``None`` uses every column of numbers or true/false (1 and 0), except
        the label and weight columns, columns without a value, and row names (an index of pandas, or a
        column with an empty name).
    exclude : sequence of str, default=()
        Columns that are not features.
    label_column : str or None, default=None
        A column of known classes, not used as a feature.
    weight_column : str or None, default=None
        A column of weights, not used as a feature.
    carry : sequence of str, default=()
        Columns to carry to the results, such as names of the rows. They are features, too, if they hold numbers and are
        not excluded.
    dialect : Dialect, optional
        How a text file is written. What is not given is detected.

    Returns
    -------
    Table
        ``x``, ``columns``, ``labels``, ``weights``, ``ignored``, ``carried`` and ``notes``.

    Raises
    ------
    InputError
        If the file can't be used, a column is missing or not numeric, a value is missing or infinite, or a few cells of
        a column of numbers hold text. The message is one line; it counts the rows of data from 1.
    MissingExtraError
        If a package that the file's format needs is not installed: pyarrow for all formats but NPY, NPZ and XLSX, and
        python-calamine for XLSX.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from softkmeans.data import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "flowers.csv"
    ...     _ = path.write_text("length;width;name\n5,1;3,5;setosa\n6,2;2,9;virginica\n")
    ...     table = read_table(path, label_column="name")
    >>> table.columns, table.x.tolist(), table.labels.tolist()
    (('length', 'width'), [[5.1, 3.5], [6.2, 2.9]], ['setosa', 'virginica'])
    >>> table.notes
    ("read with ';' and decimal commas",)
    """
    choice = ColumnChoice(columns, exclude, label_column, weight_column, carry)
    with one_line_errors(Path(path)):
        return _read(open_table(Path(path), dialect), choice)


@with_brief_repr
class Frame(NamedTuple):
    """Rows of numbers and text, with missing values, for models that take them.

    Attributes
    ----------
    rows : pyarrow.Table of n rows
        Columns of float64 or float32, and of text.
    carried, notes
        As in `Table`.
    """

    rows: Any
    carried: Any
    notes: tuple[str, ...]

    def frame(self) -> Any:
        """Return the rows."""
        return self.rows


class FrameColumns(Protocol):
    """The names of columns: of numbers, of text, and of those that are not read, in whose place are zeros."""

    @property
    def numbers(self) -> list[str]: ...
    @property
    def texts(self) -> list[str]: ...
    @property
    def unused(self) -> list[str]: ...


def read_frame(
    path: Path, columns: FrameColumns, *, carry: Sequence[str] = (), dialect: Dialect = ANY_DIALECT
) -> Frame:
    """Read columns of numbers and of text, with missing values.

    Raises
    ------
    InputError
        As `read_table`, except for missing values.
    """
    with one_line_errors(path):
        opened = open_table(path, dialect)
        choice = ColumnChoice(columns.numbers or None, exclude=columns.texts, carry=carry)
        values: dict[str, Any] = {}
        if columns.numbers:
            choose(opened.header, lambda name: opened.load([], [name])[name], choice)
            values |= {name: as_floats(column) for name, column in opened.load(columns.numbers, []).items()}
        lib = arrow("lib")
        if columns.texts and opened.carry is not None:
            table = opened.carry(columns.texts)
            values |= {name: table[name].cast(lib.string()) for name in columns.texts}
        n_rows = len(next(iter(values.values())))
        values |= {name: np.zeros(n_rows) for name in columns.unused}
        carried = opened.carry(list(carry)) if carry and opened.carry is not None else None
        return Frame(lib.table(values), carried, opened.header.notes)


def column_names_of(path: Path, dialect: Dialect = ANY_DIALECT) -> list[str]:
    """Return the names of a file's columns, without reading its rows if the format allows it."""
    with one_line_errors(path):
        header = open_table(path, dialect).header
        return list(dict.fromkeys([*header.numeric, *header.groups]))


def _read(opened: OpenTable, choice: ColumnChoice) -> Table:
    """Read the columns of an open file, and check them."""
    header, columns = opened.header, choice.columns
    choice = choice._replace(label=header.label if choice.label is None else choice.label)
    features = choose(header, lambda name: opened.load([], [name])[name], choice)
    numbers = features if choice.weight is None else [*features, choice.weight]
    values = opened.load(numbers, [] if choice.label is None else [choice.label])
    if opened.rows is not None:
        x, names = opened.rows, None
    else:
        x, names = _stack(values, features, columns is None)
    known = {element for name in choice.mentioned for element in header.groups.get(name, (name,))}
    unused = set() if columns is not None else set(header.numeric) - {*(names or ()), *known}
    return Table(
        x=_checked_rows(x, names, are_chosen=columns is not None),
        columns=names,
        labels=None if choice.label is None else _checked_labels(values[choice.label], choice.label),
        weights=None if choice.weight is None else _checked_weights(values[choice.weight], choice.weight),
        ignored=header.names_in(unused),
        carried=opened.carry(choice.carried) if choice.carried and opened.carry else None,
        notes=header.notes,
    )


def _stack(
    values: dict[str, NDArray[Any]], features: list[str], drop_empty: bool
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the features as an array (n, d), and their names; ``drop_empty`` leaves out columns without a value."""
    floats = {name: as_floats(values[name]) for name in features}
    kept = tuple(name for name in features if not (drop_empty and np.isnan(floats[name]).all()))
    if not kept:
        raise_for_no_numbers(features)
    return np.column_stack([floats[name] for name in kept]), kept


def _checked_rows(x: NDArray[Any], names: tuple[str, ...] | None, *, are_chosen: bool) -> NDArray[Any]:
    if x.dtype.kind not in "biuf":
        raise FileError(f"the array holds {x.dtype}", hint="it must hold numbers")
    if not x.shape[1]:
        raise FileError(f"the array has shape {x.shape}", hint="it must have at least one column")
    x = as_floats(x)
    check_rows(x, names, are_chosen=are_chosen)
    return x


def _checked_labels(values: NDArray[Any], name: str) -> NDArray[Any]:
    missing = values != values  # true for NaN and NaT
    if values.dtype.kind in "OUS":
        missing = np.array([value in (None, "", b"") for value in values.tolist()])
    if missing.any():
        raise_for_missing(f"the label column {name!r} has {missing.sum()} empty cells", f"row {missing.argmax() + 1}")
    if isinstance(values[0], bytes):
        raise encoding_error(f"the label column {name!r}")
    return np.array(values, dtype=str if values.dtype.kind == "O" else None)  # a copy: pyarrow's memory is read-only


def _checked_weights(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    weights = np.array(values, dtype=np.float64)  # a copy, as for the labels
    check_weights(weights, f"the weight column {name!r}")
    if not weights.any():
        raise_for_no_weight(f"the weight column {name!r}")
    return weights
