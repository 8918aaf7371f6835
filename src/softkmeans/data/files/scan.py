"""Source of larger-than-memory data, read again in windows at every pass."""

from __future__ import annotations

__all__ = ["Scan", "as_device", "scan"]

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from typing_extensions import override

from ..._utils import fork
from ...errors import InputError, Message, Setting
from ..block import Block, working_dtype
from ..source import Source
from .block_readers import Reader, Window, open_reader
from .columns import ColumnChoice, check_rows, check_weights, raise_for_no_weight
from .dialect import ANY_DIALECT, Dialect
from .prefetch import prefetch


def scan(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    weight_column: str | None = None,
    carry: Sequence[str] = (),
    dialect: Dialect = ANY_DIALECT,
    rows_per_block: int | None = None,
    device: str | torch.device | None = None,
) -> Scan:
    r"""Return a Source of larger-than-memory data, read window by window at every pass.

    Parameters
    ----------
    data : str, path-like, list of these, iterable or callable
        The data to read: files or tables. Files are given as the name of a file, whose extension determines the format;
        a folder, whose files and subfolders are read unless their names begin with a dot or an underscore; a glob
        pattern such as ``"part-*.parquet"``; or a list of these. The formats are those of ``FORMATS`` that can be read
        in blocks: NPY (an array (n, d), mapped to memory window by window), Parquet, Arrow (also named Feather), JSON
        lines, and CSV, TSV and TXT (also compressed). TXT files in folders are ignored. Tables are given as a
        ``torch.utils.data.DataLoader`` or ``IterableDataset``, whose items are tensors (m, d) or tuples that begin with
        one; a list of arrays; or a function without arguments that returns a fresh iterator of arrays, tensors, PyArrow
        record batches or data frames at every call.
    columns : sequence of str or None, default=None
        The columns to use, in this order. ``None`` uses every column of numbers or true/false (1 and 0), except the
        weights, columns without a value, and row names (an index of pandas, or a column with an
        empty name).
    exclude : sequence of str, default=()
        Columns that are not features.
    weight_column : str or None, default=None
        A column of weights, not used as a feature.
    carry : sequence of str, default=()
        Columns to carry to the results, such as names of the rows. They are features, too, if they hold numbers and are
        not excluded.
    dialect : Dialect, optional
        How text files are written. What is not given is detected from the first mebibyte of each file.
    rows_per_block : int or None, default=None
        Number of rows in a window; by default a window holds about two million numbers (16 MB). A few windows are in
        memory at a time.
    device : str or torch.device, optional
        Device of the computations; the CPU by default.

    Returns
    -------
    Scan
        The rows with their weights. ``columns`` holds the names of the features, ``ignored`` the names of columns that
        were left out although the caller did not ask for it.

    Raises
    ------
    InputError
        If the data can't be used. This may be found only while the data is read. The message is one line that names
        the file and the row of data in it, counted from 1.
    MissingExtraError
        If a package that the files' format needs is not installed: pyarrow for all formats but NPY.

    Notes
    -----
    All files need the same columns, and the data must not change while it is used. The first complete pass checks for
    missing values. In CSV, the first rows determine the type of each column.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from softkmeans.data import scan
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "january.csv").write_text("length,width\n5.1,3.5\n6.2,2.9\n")
    ...     _ = (Path(folder) / "february.csv").write_text("length,width\n4.7,3.2\n")
    ...     source = scan(folder)
    ...     source.n_rows, source.columns, round(source.sum(lambda block: block.x.sum().item()), 3)
    (3, ('length', 'width'), 25.6)
    """
    choice = ColumnChoice(columns, exclude, None, weight_column, carry)
    reader = open_reader(data, choice, dialect=dialect, rows_per_block=rows_per_block)
    return Scan(reader, as_device(device))


def as_device(device: str | torch.device | None) -> torch.device:
    """Return the device of a name, the CPU by default; raise an InputError if it is not available."""
    try:
        available = torch.device("cpu" if device is None else device)
        torch.empty(0, device=available)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        problem = f"can't be used ({str(error).splitlines()[0]})"
        raise InputError(problem, parameter="device", value=device, hint="choose another one, such as 'cpu'") from None
    return available


class Scan(Source):
    """The rows of a reader, or a share of them.

    Parameters
    ----------
    reader : Reader
        Reads the rows, any number of times.
    device : torch.device
        Device of the computations.
    rank, size : int
        Index of this share and number of shares; all rows by default.

    Attributes
    ----------
    ignored : tuple of str
        Columns that were left out although the caller did not ask for it.
    notes : tuple of str
        How files are read, where that is unusual.
    """

    in_memory = False

    def __init__(self, reader: Reader, device: torch.device, rank: int = 0, size: int = 1) -> None:
        self.reader, self.rank, self.size = reader, rank, size
        self.device, self.dtype = device, working_dtype(device)
        self.n_features, self.columns, self.ignored = reader.n_features, reader.columns, reader.ignored
        self.paths, self.notes = reader.paths, reader.notes
        self._n_rows_read: int | None = None  # rows of the first complete pass, which checked them

    @functools.cached_property
    def n_rows(self) -> int:  # type: ignore[override]
        """The number of rows; if the files do not store it, a first pass counts the rows."""
        count = self.reader.count(self.rank, self.size) if self._n_rows_read is None else self._n_rows_read
        return sum(map(len, self.blocks())) if count is None else count

    @override
    def blocks(self) -> Iterator[Block]:
        if fork.is_forked_child:
            fork.use_one_thread()
        for window in prefetch(self._pass()):
            yield Block(window.rows, window.weights, self.device, self.dtype, start=window.start)

    def carried(self) -> Iterator[Any] | None:
        """Return the columns to carry of all rows, as PyArrow tables; None if there are none."""
        return self.reader.carry() if self.reader.carried else None

    def share(self, rank: int, size: int) -> Scan:
        """Return share ``rank`` of ``size``, counted from 0. Each row is in exactly one share; a share may be empty."""
        if self.size > 1:
            raise InputError("this scan is already a share", hint="call share on the whole scan")
        if not 0 <= rank < size:
            problem, hint = Message("of ", Setting("size", size)), "expected 0 <= rank < size"
            raise InputError(problem, parameter="rank", value=rank, hint=hint)
        return Scan(self.reader, self.device, rank, size)

    def _pass(self) -> Iterator[Window]:
        """Yield the windows; check the rows in the first complete pass, and only their number in later ones."""
        known = self._n_rows_read
        n_rows = 0
        has_weight = False
        for window in self.reader.windows(self.rank, self.size):
            if known is None:
                self._check(window)
                has_weight = has_weight or window.weights is None or bool(window.weights.any())
            n_rows += len(window.rows)
            yield window
        if known is None:
            self._check_all(n_rows, has_weight)
        elif n_rows != known:
            problem = f"this pass read {n_rows} rows, and the previous pass {known}"
            raise InputError(problem, hint="every pass needs the same rows")
        self._n_rows_read = n_rows

    def _check(self, window: Window) -> None:
        try:
            are_chosen = self.reader.are_chosen
            check_rows(window.rows, self.columns, window.row, " in these rows", are_chosen=are_chosen)
            if window.weights is not None:
                check_weights(window.weights, f"the weight column {self.reader.weight_column!r}", window.row)
        except InputError as error:
            raise InputError(Message(f"{window.name}: ", error.message)) from None

    def _check_all(self, n_rows: int, has_weight: bool) -> None:
        expected = self.reader.count(self.rank, self.size)
        if expected is not None and n_rows != expected:
            problem, hint = f"has {n_rows} rows", "check that it is complete"
            raise InputError(problem, parameter="the data", expected=f"{expected}", hint=hint)
        if self.size > 1:  # a share may have no rows, or only weights of 0
            return
        if not n_rows:
            raise InputError("has no rows", parameter="the data", hint="give at least one row")
        if not has_weight:
            raise_for_no_weight(f"the weight column {self.reader.weight_column!r}")
