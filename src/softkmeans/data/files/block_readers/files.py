"""Reader of files, one after the other, by what their formats tell of them."""

from __future__ import annotations

__all__ = ["FileReader", "open_reader"]

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ....errors import FileError, InputError
from ..columns import ALL_COLUMNS, ColumnChoice
from ..dialect import ANY_DIALECT, Dialect
from ..errors import no_rows_error, one_line_errors
from ..formats.base import Parts
from ..formats.lookup import find_format
from ..formats.opening import open_parts
from ..paths import File, find_files
from .base import Reader, Window, resize_windows, rows_per_window, windows_of_share
from .named_columns import ChosenColumns, choose_from
from .streams import StreamReader

MAX_NOTES = 5  # about files that are read in several ways
N_FIRST_ROWS = 2**13  # rows read at a time before the first pass


def open_reader(
    data: Any,
    choice: ColumnChoice = ALL_COLUMNS,
    *,
    dialect: Dialect = ANY_DIALECT,
    rows_per_block: int | None = None,
) -> Reader:
    """Return a reader of files, which must all have one format, or of an iterable of tables."""
    files = find_files(data)
    if files is None:
        if given := dialect.given():
            problem = "is not supported with tables, which are not text"
            raise InputError(problem, parameter=given[0], value=getattr(dialect, given[0]), hint="remove it")
        return StreamReader(data, choice, rows_per_block)
    formats = dict.fromkeys(find_format(file.path, "scan") for file in files)
    if len(formats) > 1:
        problem = f"{data}: the files have several formats, {', '.join(known.suffixes[0] for known in formats)}"
        raise FileError(problem, hint="give files of one format")
    return FileReader(files, choice, dialect, rows_per_block)


class FileReader(Reader):
    """Rows of files.

    If rows can be reached without reading those before them, a share is a run of rows, and all shares have about the
    same length.
    """

    def __init__(self, files: list[File], choice: ColumnChoice, dialect: Dialect, rows_per_block: int | None) -> None:
        self.files, self.paths, self.weight_column = files, tuple(file.path for file in files), choice.weight
        self.carried, self.are_chosen = tuple(choice.carried), choice.columns is not None
        self.parts = [_open(file, dialect) for file in files]
        counts = [parts.n_rows for parts in self.parts if parts.n_rows is not None]
        is_counted = len(counts) == len(files)
        self.starts = list(accumulate(counts, initial=0)) if is_counted else None  # of the files, then the end
        self.chosen = self._choose(choice)
        self.columns, self.ignored = self.chosen.features or None, self.chosen.ignored
        self.notes = self._notes()
        self.n_features = self.first.header.n_columns or len(self.chosen.features)
        n_rows, rows_per_block = self.count(), rows_per_window(self.n_features, rows_per_block)
        self.rows_per_block = rows_per_block if n_rows is None else min(n_rows, rows_per_block)

    @override
    def count(self, rank: int = 0, size: int = 1) -> int | None:
        if self.starts is None or (size > 1 and not self._has_cuts):
            return None
        start, stop = self._range(rank, size)
        return stop - start

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        if size == 1 or not self._has_cuts:
            return windows_of_share(self._windows(), rank, size)
        return self._windows(*self._range(rank, size))

    def _windows(self, start: int = 0, stop: int | None = None) -> Iterator[Window]:
        pieces = self._pieces(self.chosen, self.rows_per_block, start, stop)
        return pieces if self._is_exact else resize_windows(pieces, self.rows_per_block)

    @cached_property
    def first(self) -> Parts:
        """The first file that has rows; the columns of the others must agree with its columns."""
        for file, parts in zip(self.files, self.parts, strict=True):
            with one_line_errors(file.path):
                if parts.has_rows:
                    return parts
        with one_line_errors(self.files[0].path):
            raise no_rows_error()

    @property
    def _has_cuts(self) -> bool:
        return all(parts.cuts is not None for parts in self.parts)

    @property
    def _is_exact(self) -> bool:
        """True if reading can begin at any row: pieces then have the length of a window, and are not copied."""
        return all(isinstance(parts.cuts, range) for parts in self.parts)

    def _notes(self) -> tuple[str, ...]:
        """Return how files are read; with their names, if they are read in several ways."""
        notes = [
            (file.path.name, parts.notes) for file, parts in zip(self.files, self.parts, strict=True) if parts.has_rows
        ]
        if all(one == notes[0][1] for _, one in notes):
            return notes[0][1]
        listed = [f"{name}: {note}" for name, several in notes for note in several]
        more = len(listed) - MAX_NOTES
        return (*listed[:MAX_NOTES], *((f"and {more} more files are read in unusual ways",) if more > 0 else ()))

    def _choose(self, choice: ColumnChoice) -> ChosenColumns:
        """Choose the columns from those of the first file, and check that the other files have them."""
        first_file = self.files[self.parts.index(self.first)]
        with one_line_errors(first_file.path):
            chosen = choose_from(self.first.header, self._first_values, choice)
        for file, parts in zip(self.files, self.parts, strict=True):
            if parts is not self.first and parts.has_columns:
                with one_line_errors(file.path):
                    parts.check_like(self.first, chosen.used, str(first_file.path))
        if choice.columns is not None:
            return chosen
        empty = self._empty_columns([name for name in chosen.features if name not in self.first.header.filled])
        with one_line_errors(first_file.path):
            return chosen.without(empty, self.first.header)

    def _first_values(self, name: str) -> NDArray[Any]:
        """Return values of a column from the first rows."""
        return np.array(next(iter(self.first.carry([name])))[name].to_pylist(), dtype=object)

    def _empty_columns(self, names: list[str]) -> list[str]:
        """Return the columns without a value; the first rows are usually enough to see that there are none."""
        while names:
            for window in self._pieces(ChosenColumns(tuple(names), None, ()), N_FIRST_ROWS):
                is_empty = np.isnan(window.rows).all(0)
                if not is_empty.all():
                    break  # read again, without the columns that have a value
            else:
                return names
            names = [name for name, empty in zip(names, is_empty, strict=True) if empty]
        return []

    @override
    def carry(self) -> Iterator[Any]:
        for file, parts in zip(self.files, self.parts, strict=True):
            with one_line_errors(file.path):
                file.check()
                if parts.has_rows:
                    yield from parts.carry(list(self.carried))

    def _range(self, rank: int, size: int) -> tuple[int, int]:
        """Return the first row of a share, and the row after its last one."""
        starts: list[int] = self.starts or []
        if size == 1 or self._is_exact:
            return starts[-1] * rank // size, starts[-1] * (rank + 1) // size
        cuts = {start + cut for start, parts in zip(starts, self.parts, strict=False) for cut in parts.cuts or ()}
        share_starts = _balanced_starts(sorted(cuts), size)
        return share_starts[rank], share_starts[rank + 1]

    def _pieces(
        self, chosen: ChosenColumns, max_rows: int, start: int = 0, stop: int | None = None
    ) -> Iterator[Window]:
        """Yield the rows from ``start`` to ``stop``, in pieces of different lengths."""
        file_start = 0  # index of the file's first row among all rows
        for file, parts in zip(self.files, self.parts, strict=True):
            row = max(0, start - file_start)
            end = None if stop is None or parts.n_rows is None else min(stop - file_start, parts.n_rows)
            if end is None or row < end:
                with one_line_errors(file.path):
                    file.check()
                    for table in parts.tables(chosen.used, row, end, max_rows):
                        yield chosen.window(table, file_start + row, str(file.path), row)
                        row += len(table)
            file_start += row if parts.n_rows is None else parts.n_rows


def _open(file: File, dialect: Dialect) -> Parts:
    with one_line_errors(file.path):
        return open_parts(file.path, dialect)


def _balanced_starts(cuts: list[int], size: int) -> list[int]:
    """Return the cuts where shares begin, and the last one: the longest share is as short as possible."""

    def starts(limit: int) -> list[int]:
        """Return where shares begin if each is as long as possible with at most ``limit`` rows."""
        found = [0]
        while found[-1] < cuts[-1]:
            found.append(cuts[bisect_right(cuts, found[-1] + limit) - 1])
        return found

    limits = range(max(after - before for before, after in pairwise(cuts)), cuts[-1] + 1)
    limit = limits[bisect_left(limits, True, key=lambda limit: len(starts(limit)) <= size + 1)]
    return starts(limit) + [cuts[-1]] * (size + 1 - len(starts(limit)))
