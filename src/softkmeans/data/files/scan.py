"""Data larger than memory as a Source: read in windows, every pass anew."""

from __future__ import annotations

__all__ = ["Scan", "as_device", "scan"]

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from typing_extensions import override

from ..._utils.fork import survive_fork
from ...errors import InputError
from ..block import Block, working_dtype
from ..source import Source
from .columns import check_points, check_weights, raise_for_no_weight
from .formats import NO_ROWS
from .prefetch import prefetch
from .readers import Reader, Window, open_reader


def scan(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    rows_per_block: int | None = None,
    device: str | torch.device | None = None,
) -> Scan:
    r"""Make a Source of data larger than memory, that is read in windows at every pass.

    Parameters
    ----------
    data : str, path-like, list of these, iterable or callable
        What to read: files, by their extensions NPY (an array (n, d), mapped to memory window by window), Parquet, or
        CSV and TSV (also ``.gz``; UTF-8 with a header row); a folder of files, with its subfolders, of which names that
        begin with a dot or an underscore are left out; a glob pattern such as ``"part-*.parquet"``; or a list of all
        these, one below the other. Else a ``torch.utils.data.DataLoader`` or ``IterableDataset``, whose items are
        tensors (m, d) or tuples that begin with one; a list of arrays; or a function without arguments that makes a
        fresh iterator of arrays, tensors, PyArrow's record batches or data frames at every call.
    columns : sequence of str or None, default=None
        The columns to use, in this order. ``None`` takes every column of numbers or true/false (1 and 0) except the
        weights and row names (those with an empty heading).
    weight_column : str or None, default=None
        A column of weights, not used as a feature.
    rows_per_block : int or None, default=None
        How many rows are read at a time; by default so many that they hold about two million numbers (16 MB). Some
        such windows are in memory at a time.
    device : str or torch.device, optional
        Where the work is done; on the CPU by default.

    Returns
    -------
    Scan
        The rows with their weights: ``columns`` are the names of the features, ``ignored`` those of columns that were
        left out without being asked about.

    Raises
    ------
    InputError
        If the data can't be used, now or while it is read: the message is one line that names the file, and the row of
        data in it, counted from 1.
    MissingExtraError
        If files are CSV, TSV or Parquet and pyarrow is not installed.

    Notes
    -----
    All files have the same columns, and what is read must not change. The first pass through all rows looks for missing
    values; in CSV, columns are what their first rows look like.

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
    reader = open_reader(data, columns=columns, weight_column=weight_column, rows_per_block=rows_per_block)
    return Scan(reader, as_device(device))


def as_device(device: str | torch.device | None) -> torch.device:
    """Give the device of a name, the CPU by default, if there is one here."""
    try:
        place = torch.device("cpu" if device is None else device)
        torch.empty(0, device=place)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device={device!r}: {str(error).splitlines()[0]}") from None
    return place


class Scan(Source):
    """The rows of a reader, or a share of them.

    Parameters
    ----------
    reader : Reader
        What gives the rows, as often as wanted.
    device : torch.device
        Where the work is done.
    rank, size : int
        Which of how many shares this is; all rows by default.

    Attributes
    ----------
    ignored : tuple of str
        Columns that were left out without being asked about.
    """

    in_memory = False

    def __init__(self, reader: Reader, device: torch.device, rank: int = 0, size: int = 1) -> None:
        self.reader, self.rank, self.size = reader, rank, size
        self.device, self.dtype = device, working_dtype(device)
        self.n_features, self.columns, self.ignored = reader.n_features, reader.columns, reader.ignored
        self.paths = reader.paths
        self._seen: int | None = None  # how many rows the first pass found, all fit for use

    @functools.cached_property
    def n_rows(self) -> int:  # type: ignore[override]
        """The number of rows; where files don't say, counted by a first pass."""
        count = self.reader.count(self.rank, self.size) if self._seen is None else self._seen
        return sum(map(len, self.blocks())) if count is None else count

    @override
    def blocks(self) -> Iterator[Block]:
        survive_fork()
        for window in prefetch(self._pass()):
            yield Block(window.rows, window.weights, self.device, self.dtype, start=window.start)

    def share(self, rank: int, size: int) -> Scan:
        """Give one of ``size`` shares, by its number from 0: together they are all rows once; one may be empty."""
        if self.size > 1:
            raise InputError("this scan is a share already: take shares of the whole")
        if not 0 <= rank < size:
            raise InputError(f"rank={rank!r} of size={size!r}: give numbers with 0 <= rank < size")
        return Scan(self.reader, self.device, rank, size)

    def _pass(self) -> Iterator[Window]:
        """Give the windows; the first time looked through, and then as many rows as then."""
        known = self._seen
        n_rows, weighted = 0, False
        for window in self.reader.windows(self.rank, self.size):
            if known is None:
                self._check(window)
                weighted = weighted or window.weights is None or bool(window.weights.any())
            n_rows += len(window.rows)
            yield window
        if known is None:
            self._check_whole(n_rows, weighted)
        elif n_rows != known:
            raise InputError(
                f"this pass gave {n_rows} rows, and the one before {known}: every pass needs the same rows"
            )
        self._seen = n_rows

    def _check(self, window: Window) -> None:
        try:
            check_points(window.rows, self.columns, window.row, " in these rows")
            if window.weights is not None:
                check_weights(window.weights, f"the weight column {self.reader.weight_column!r}", window.row)
        except InputError as error:
            raise InputError(f"{window.name}: {error}") from None

    def _check_whole(self, n_rows: int, weighted: bool) -> None:
        expected = self.reader.count(self.rank, self.size)
        if expected is not None and n_rows != expected:
            raise InputError(f"{n_rows} rows came, and {expected} were announced: is the data complete?")
        if self.size > 1:  # a share may be without rows, and without weight
            return
        if not n_rows:
            raise InputError(f"the data: {NO_ROWS}")
        if not weighted:
            raise_for_no_weight(f"the weight column {self.reader.weight_column!r}")
