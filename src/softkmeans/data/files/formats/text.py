"""CSV and TSV files, also compressed with gzip: UTF-8 text with a header row.

The first rows determine the types of the columns, for reading whole and in blocks alike. pyarrow reads blocks of bytes,
in which a row must fit: the blocks grow when a file has longer rows.
"""

from __future__ import annotations

__all__ = ["CSV", "TSV"]

import csv
import io
import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from typing_extensions import override

from ....errors import FileError
from ..compression import is_compressed, open_binary
from ..errors import is_number, no_rows_error, no_text_error, separator_advice, text_error
from .base import Format, Header, OpenTable, Parts, TableWriter, arrow, check_same_columns, check_unique

BLOCK_SIZE = 2**20  # bytes that pyarrow parses at a time; it reads up to 36 such blocks ahead
MAX_ROW_SIZE = 2**24  # bytes: with longer rows, what is read ahead would take gigabytes
MAX_CELL_SIZE = 2**14  # characters of a cell in rows whose cells are only counted
GZIP_MAGIC = b"\x1f\x8b"


class _TextFile(Parts):
    """A text file, which must be read from its beginning.

    Attributes
    ----------
    types : dict of str to pyarrow.DataType
        The types of the columns of numbers: float64, or boolean for columns of true and false. Other columns have none.
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path, self.delimiter, self.block_size = path, delimiter, BLOCK_SIZE
        self.raw_names = _read_header(path, delimiter)
        self.names = [name.strip() for name in self.raw_names]
        check_unique(self.names)

    @override
    @property
    def has_rows(self) -> bool:
        return self._first_rows is not None

    @cached_property
    def _first_rows(self) -> dict[str, Any] | None:
        """The cells of the first block, by column, without any conversion; None if there are no rows."""
        cells = dict.fromkeys(self.names, arrow("lib").binary())
        first = next(self._batches(cells), None)
        return None if first is None else dict(zip(first.schema.names, first.columns, strict=True))

    @cached_property
    def types(self) -> dict[str, Any]:
        kinds = {name: _number_type(cells) for name, cells in (self._first_rows or {}).items()}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    @cached_property
    def header(self) -> Header:  # type: ignore[override] # computed when it is needed
        """The columns, as the first rows show them."""
        others = {name: cells for name, cells in (self._first_rows or {}).items() if name not in self.types}
        found = {name: _first_text_after_numbers(cells) for name, cells in others.items()}
        return Header(
            {name: name in self.types for name in self.names},
            is_headless=any(self.names) and all(is_number(name) for name in self.names if name),
            mixed={name: text for name, text in found.items() if text is not None},
            filled=frozenset(self.types),
        )

    @override
    def check_like(self, first: Parts, used: list[str], first_name: str) -> None:
        """Raise an InputError unless the columns are those of the first file, and take their types from it.

        Text where these are numbers is found when the file is read.
        """
        check_same_columns(dict.fromkeys(self.names, True), first.header.numeric, used, first_name)
        self.types = first.types  # type: ignore[attr-defined] # of this format, as all files of a scan

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        return self._batches({name: self.types.get(name) for name in names})

    def _batches(self, types: dict[str, Any]) -> Iterator[Any]:
        """Yield record batches of some columns, with these types; None stands for the type that pyarrow infers."""
        n_yielded = 0
        while True:
            try:
                for batch in _skip_rows(arrow("csv").open_csv(self._open(), **self._options(types)), n_yielded):
                    n_yielded += len(batch)
                    yield batch.rename_columns([name.strip() for name in batch.schema.names])
                return
            except arrow("lib").ArrowInvalid:
                if self._has_no_rows():
                    return
                if not self._grow_blocks():
                    self._explain(types)
                    raise

    def read(self, types: dict[str, Any]) -> Any:
        """Return all rows of some columns, with these types; None stands for the type that pyarrow infers."""
        while True:
            try:
                table = arrow("csv").read_csv(self._open(), **self._options(types, strings_can_be_null=False))
            except arrow("lib").ArrowInvalid:
                if not self._grow_blocks():
                    self._explain(types)
                    raise
            else:
                return table.rename_columns([name.strip() for name in table.column_names])

    def _open(self) -> Any:
        return arrow("lib").input_stream(str(self.path), compression="gzip" if is_compressed(self.path) else None)

    def _options(self, types: dict[str, Any], *, strings_can_be_null: bool = True) -> dict[str, Any]:
        csv_options, raw = arrow("csv"), [name for name in self.raw_names if name.strip() in types]
        return {
            # Without threads, reading is as fast; with threads, some versions of pyarrow hang after an error.
            "read_options": csv_options.ReadOptions(use_threads=False, block_size=self.block_size),
            "parse_options": csv_options.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            "convert_options": csv_options.ConvertOptions(
                include_columns=raw,
                column_types={name: types[name.strip()] for name in raw if types[name.strip()] is not None},
                strings_can_be_null=strings_can_be_null,
            ),
        }

    def _grow_blocks(self) -> bool:
        """Enlarge the blocks to the longest row; return False if it fits already, and something else is wrong."""
        with open_binary(self.path, "rb") as file:
            longest = min(_longest_row(file), MAX_ROW_SIZE)
        grows = longest >= self.block_size
        self.block_size = max(self.block_size, longest + 1)
        return grows

    def _has_no_rows(self) -> bool:
        """Return whether the file holds at most a header; pyarrow fails if that has no line end."""
        with _open_text(self.path) as text, suppress(csv.Error):
            return len(list(islice(_parse(_lines(text), self.delimiter), 2))) < 2
        return False

    def _explain(self, types: dict[str, Any]) -> None:
        """Read the file again, and raise an InputError for the first text, or the first row of another length."""
        self._raise_for_text({name: kind for name, kind in types.items() if kind is not None})
        if self.block_size > MAX_ROW_SIZE:
            raise _long_row_error()
        self._raise_for_uneven_row()

    def _raise_for_uneven_row(self) -> None:
        # Not with pyarrow's invalid_row_handler: its threads call it, even while the program ends, which aborts that.
        # Long cells are shortened, as the module csv refuses them.
        ordinary = re.compile(rf'[^"\r\n{self.delimiter}]{{{MAX_CELL_SIZE},}}')
        with _open_text(self.path) as text, suppress(csv.Error):
            lines = (ordinary.sub("...", line) for line in _lines(text))
            for number, row in enumerate(_parse(lines, self.delimiter)):
                if len(row) != len(self.names):
                    raise FileError(
                        f"row {number} of the data has {len(row)} cells",
                        expected=f"{len(self.names)} as in the header (rows counted from 1)",
                        hint=f"correct the row{separator_advice(self.names)}",
                    )

    def _raise_for_text(self, types: dict[str, Any]) -> None:
        row = 0
        cells_as_they_are = self._options(dict.fromkeys(types, arrow("lib").binary()))
        with suppress(arrow("lib").ArrowInvalid):
            for batch in arrow("csv").open_csv(self._open(), **cells_as_they_are):
                for raw_name, cells in zip(batch.schema.names, batch.columns, strict=True):
                    n_valid = _count_valid(cells, types[raw_name.strip()])
                    if n_valid < len(cells):
                        raise text_error(raw_name.strip(), row + n_valid + 1, _text(cells[n_valid]))
                row += len(batch)


def _skip_rows(batches: Iterable[Any], n_rows: int) -> Iterator[Any]:
    """Yield record batches without their first rows, and without empty ones."""
    for batch in batches:
        if n_rows < len(batch):
            yield batch.slice(n_rows)
        n_rows = max(0, n_rows - len(batch))


def _read_header(path: Path, delimiter: str) -> list[str]:
    """Return the column names as they are in the file."""
    _check_not_compressed(path)
    with _open_text(path) as text:
        try:
            names = next(_parse(_lines(text), delimiter), None)
        except csv.Error as error:
            raise ValueError(f"its header is invalid ({error})") from None
    if names is None:
        raise no_rows_error()
    if sum(map(len, names)) + len(names) >= MAX_ROW_SIZE:
        raise _long_row_error()
    if any("\0" in name or not _is_utf8(name) for name in names):
        raise no_text_error()
    return names


def _long_row_error() -> FileError:
    problem = f"a row has more than {MAX_ROW_SIZE // 2**20} MiB of text"
    return FileError(problem, hint="save the data as Parquet, or correct a quotation mark without an end")


def _check_not_compressed(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(GZIP_MAGIC)) == GZIP_MAGIC and not is_compressed(path):
            raise FileError("the file is compressed with gzip", hint="add .gz to its name")


def _open_text(path: Path) -> TextIO:
    """Open a text file, in which bytes that are no UTF-8 become surrogate characters."""
    return io.TextIOWrapper(open_binary(path, "rb"), encoding="utf-8-sig", errors="surrogateescape", newline="")


def _lines(text: TextIO) -> Iterator[str]:
    """Yield the lines of a file, or parts of lines that would fill the memory."""
    return iter(partial(text.readline, MAX_ROW_SIZE), "")


def _parse(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the rows that are not empty."""
    return filter(None, csv.reader(lines, delimiter=delimiter))


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def _longest_row(file: BinaryIO) -> int:
    """Return the bytes of the longest row, or of a longer part of the file than a row may have.

    Line ends between quotation marks do not end a row.
    """
    longest = n_open = 0  # n_open: bytes of the row that is not complete yet
    is_quoted = False
    while n_open <= MAX_ROW_SIZE and (data := file.read(BLOCK_SIZE)):
        chunk = np.frombuffer(data, np.uint8)
        quoted = (np.cumsum(chunk == ord('"')) + is_quoted) % 2 == 1
        ends = np.flatnonzero(~quoted & ((chunk == ord("\n")) | (chunk == ord("\r")))) + 1
        edges = np.concatenate([[-n_open], ends])
        longest = max(longest, int(np.diff(edges).max(initial=0)))
        n_open = chunk.size - int(edges[-1])
        is_quoted = bool(quoted[-1])
    return max(longest, n_open)


def _text(cell: Any) -> str:
    return cell.as_py().decode(errors="replace")  # type: ignore[no-any-return]


def _number_type(cells: Any) -> Any:
    """Return float64 for a column of numbers, boolean for one of true and false, None for any other and without values.

    Whole numbers are read as float64, too: later rows may have decimals.
    """
    if cells.null_count < len(cells):
        kinds = arrow("lib").float64(), arrow("lib").bool_()
        return next((kind for kind in kinds if _can_be(cells, kind)), None)
    return None


def _can_be(cells: Any, kind: Any) -> bool:
    """Return whether all cells can be converted to a type."""
    try:
        arrow("compute").utf8_trim_whitespace(cells.cast(arrow("lib").string())).cast(kind)
    except ValueError:
        return False
    return True


def _count_valid(cells: Any, kind: Any) -> int:
    """Return the number of cells before the first that can't be converted to this type."""
    return bisect(range(len(cells)), False, key=lambda i: not _can_be(cells[: i + 1], kind))


def _first_text_after_numbers(cells: Any) -> tuple[int, str] | None:
    """Return the first row, from 1, and text of a column that begins with numbers; None if it begins with text."""
    valid = cells.is_valid().index(True).as_py()
    if valid < 0:
        return None
    n_valid = _count_valid(cells, arrow("lib").float64())
    return (n_valid + 1, _text(cells[n_valid])) if n_valid > valid else None


def _read(path: Path, delimiter: str) -> OpenTable:
    file = _TextFile(path, delimiter)
    if not file.has_rows:
        raise no_rows_error()

    def load(numbers: list[str], others: list[str]) -> dict[str, Any]:
        table = file.read(dict.fromkeys(others) | {name: file.types[name] for name in numbers})
        return {name: table[name].to_numpy() for name in numbers + others}

    return OpenTable(file.header, 1, load)


def _format(delimiter: str, *suffixes: str) -> Format:
    def write(file: BinaryIO, schema: Any) -> TableWriter:
        options = arrow("csv").WriteOptions(delimiter=delimiter)
        writer: TableWriter = arrow("csv").CSVWriter(file, schema, write_options=options)
        return writer

    return Format(
        suffixes,
        read=partial(_read, delimiter=delimiter),
        scan=partial(_TextFile, delimiter=delimiter),
        write=write,
        needs="pyarrow",
    )


CSV = _format(",", ".csv", ".csv.gz")
TSV = _format("\t", ".tsv", ".tsv.gz")
