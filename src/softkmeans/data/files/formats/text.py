"""CSV, TSV and TXT files, also compressed: text in any dialect, with or without a header row.

The first mebibyte determines the dialect and the types of the columns, for reading whole and in blocks alike. pyarrow
reads blocks of bytes, in which a row must fit: the blocks grow when a file has longer rows.
"""

from __future__ import annotations

__all__ = ["CSV", "TSV", "TXT"]

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from typing_extensions import override

from ....errors import FileError, Message, Setting
from .. import text_rows
from ..compression import is_compressed
from ..detection import find_dialect, not_text_error
from ..dialect import Dialect, FoundDialect
from ..errors import encoding_error, no_rows_error, text_error
from ..number_styles import NumberStyle, can_be, column_type, count_valid, find_style, first_text
from ..text_rows import has_invalid_bytes, is_filled, lines_of, longest_row, open_text, open_utf8, rows_of
from .base import Format, Header, OpenTable, Parts, TableWriter, arrow, check_same_columns, check_unique
from .plain_cells import PlainCellWriter


class _TextFile(Parts):
    """A text file, which must be read from its beginning.

    Attributes
    ----------
    dialect : FoundDialect
        How the file is written.
    names : dict of str to int
        The position of each column, by its name.
    empty : list of int
        The positions of columns without a name and without values, which are left out.
    types : dict of str to pyarrow.DataType
        The types of the columns of numbers: float64, or boolean for columns of true and false. Other columns have none.
    """

    def __init__(self, path: Path, given: Dialect, usual_delimiter: str) -> None:
        self.path, self.given, self.usual_delimiter = path, given, usual_delimiter
        self.block_size = text_rows.BLOCK_SIZE
        self._use(find_dialect(path, given, usual_delimiter))

    def _use(self, dialect: FoundDialect) -> None:
        """Read the header in a dialect."""
        self.dialect, self.empty = dialect, list[int]()
        self.all_names, self.n_header_lines = _read_header(self.path, dialect)
        unnamed = [j for j, name in enumerate(self.all_names) if not name]
        if len(unnamed) > 1:
            self._name_columns(unnamed)
        names = [(name, j) for j, name in enumerate(self.all_names) if j not in self.empty]
        check_unique(name for name, _ in names)
        self.names = dict(names)

    def _name_columns(self, unnamed: list[int]) -> None:
        """Find the columns without a name and without a value in the first rows; name the others, except the first."""
        if len(unnamed) == len(self.all_names):
            raise FileError("the first row has no names", hint="name the columns")
        first = self._read_first_rows(unnamed) or [arrow("lib").nulls(0)] * len(unnamed)
        self.empty = [j for j, cells in zip(unnamed, first, strict=True) if cells.null_count == len(cells)]
        for j in {*unnamed} - {0, *self.empty}:
            self.all_names[j] = f"column_{j + 1}"

    @override
    @property
    def has_rows(self) -> bool:
        return self._first_rows is not None

    @cached_property
    def _first_rows(self) -> dict[str, Any] | None:
        """The cells of the first block, by column, without any conversion; None if there are no rows."""
        first = self._read_first_rows(list(self.names.values()))
        return dict(zip(self.names, first, strict=True)) if first else None

    def _read_first_rows(self, columns: list[int]) -> list[Any]:
        """Return the cells of some columns in the first block; nothing if there are no rows."""
        first = next(self._batches(dict.fromkeys(columns, arrow("lib").binary())), None)
        return [] if first is None else first.columns

    @cached_property
    def style(self) -> NumberStyle:
        """The style of the numbers: their decimal character and separator of thousands."""
        return find_style(self._first_rows or {}, self.given, self.dialect.delimiter)

    @cached_property
    def types(self) -> dict[str, Any]:
        kinds = {name: column_type(cells, self.style) for name, cells in (self._first_rows or {}).items()}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    @cached_property
    def header(self) -> Header:  # type: ignore[override] # computed when it is needed
        """The columns, as the first rows show them."""
        others = {name: cells for name, cells in (self._first_rows or {}).items() if name not in self.types}
        found = {name: first_text(cells, self.style) for name, cells in others.items()}
        return Header(
            {name: name in self.types for name in self.names},
            mixed={name: text for name, text in found.items() if text is not None},
            filled=frozenset(self.types),
            notes=self.notes,
        )

    @override
    @property
    def notes(self) -> tuple[str, ...]:
        dialect = self.dialect._replace(decimal=self.style.decimal, thousands=self.style.thousands)
        return dialect.describe(self.usual_delimiter, is_compressed(self.path)) + self.style.notes()

    @override
    def check_like(self, first: Parts, used: list[str], first_name: str) -> None:
        """Raise an InputError unless the columns are those of the first file, and take their types from it.

        Text where these are numbers is found when the file is read.
        """
        assert isinstance(first, _TextFile)  # noqa: S101 -- all files of a scan have one format
        if self.dialect.header != first.dialect.header:
            self._use(self.dialect._replace(header=first.dialect.header))
        check_same_columns(dict.fromkeys(self.names, True), first.header.numeric, used, first_name)
        if self.dialect.delimiter == first.dialect.delimiter:  # few rows may not show how numbers are written
            self.style = first.style
        self.types = first.types

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        used = {self.names[name]: self.types.get(name) for name in names}
        for batch in self._batches(used):
            yield batch.rename_columns(names)

    @override
    def carry(self, names: list[str]) -> Iterator[Any]:
        texts = {self.names[name]: arrow("lib").string() for name in names}
        for batch in self._batches(texts, strings_can_be_null=False):  # "NA" is a text, too
            yield batch.rename_columns(names)

    def _batches(self, types: dict[int, Any], *, strings_can_be_null: bool = True) -> Iterator[Any]:
        """Yield record batches of some columns, with these types; None stands for the type that pyarrow infers."""
        n_yielded = 0
        while True:
            try:
                with open_utf8(self.path, self.dialect) as file:
                    options = self._options(types, strings_can_be_null=strings_can_be_null)
                    batches = arrow("csv").open_csv(file, **options)
                    for batch in _skip_rows(batches, n_yielded):
                        n_yielded += len(batch)
                        yield self._converted(batch, types)
                return
            except (arrow("lib").ArrowInvalid, _NotNumberError):
                if self._has_no_rows():
                    return
                if not self._grow_blocks():
                    self._explain(types)
                    raise

    def read(self, types: dict[int, Any]) -> Any:
        """Return all rows of some columns, with these types; None stands for the type that pyarrow infers."""
        while True:
            try:
                with open_utf8(self.path, self.dialect) as file:
                    table = arrow("csv").read_csv(file, **self._options(types, strings_can_be_null=False))
                return self._converted(table, types)
            except (arrow("lib").ArrowInvalid, _NotNumberError):
                if not self._grow_blocks():
                    self._explain(types)
                    raise

    def _converted(self, table: Any, types: dict[int, Any]) -> Any:
        """Return a table without its empty columns, with numbers in those of text that must be numbers."""
        table = table.select(list(range(len(types)))) if self.empty else table
        if not any(map(self._is_text_in_pyarrow, types.values())):
            return table
        columns = [
            self._floats(column) if self._is_text_in_pyarrow(kind) else column
            for column, kind in zip(table.columns, types.values(), strict=True)
        ]
        return type(table).from_arrays(columns, names=table.schema.names)

    def _floats(self, column: Any) -> Any:
        """Return a column of text, an array or chunked array, as numbers."""
        lib = arrow("lib")
        try:
            if isinstance(column, lib.ChunkedArray):
                return lib.chunked_array([self.style.floats(cells) for cells in column.chunks], lib.float64())
            return self.style.floats(column)
        except ValueError as error:
            raise _NotNumberError from error

    def _is_text_in_pyarrow(self, kind: Any) -> bool:
        """Return whether pyarrow can't read the numbers of a column, as their thousands are separated."""
        return bool(kind is not None and kind == arrow("lib").float64() and self.style.thousands)

    def _options(
        self, types: dict[int, Any], *, strings_can_be_null: bool = True, with_empty: bool = True
    ) -> dict[str, Any]:
        csv_options, lib = arrow("csv"), arrow("lib")
        kinds = {str(j): lib.string() if self._is_text_in_pyarrow(kind) else kind for j, kind in types.items()}
        has_numbers = any(kind is not None and kind == lib.float64() for kind in kinds.values())
        empty = {str(j): lib.null() for j in self.empty if with_empty}  # a value in these columns is an error
        convert: dict[str, Any] = {"decimal_point": self.style.decimal} if has_numbers else {}
        # Without threads, reading is as fast; with threads, some versions of pyarrow hang after an error.
        return {
            "read_options": csv_options.ReadOptions(
                use_threads=False,
                block_size=self.block_size,
                column_names=[str(j) for j in range(len(self.all_names))],
                skip_rows=self.n_header_lines,
            ),
            "parse_options": csv_options.ParseOptions(delimiter=self.dialect.separator, newlines_in_values=True),
            "convert_options": csv_options.ConvertOptions(
                include_columns=[*kinds, *empty],
                column_types={name: kind for name, kind in kinds.items() if kind is not None} | empty,
                strings_can_be_null=strings_can_be_null,
                **convert,
            ),
        }

    def _grow_blocks(self) -> bool:
        """Enlarge the blocks to the longest row; return False if it fits already, and something else is wrong."""
        with open_utf8(self.path, self.dialect) as file:
            longest = min(longest_row(file), text_rows.MAX_ROW_SIZE)
        grows = longest >= self.block_size
        self.block_size = max(self.block_size, longest + 1)
        return grows

    def _has_no_rows(self) -> bool:
        """Return whether the file holds at most a header; pyarrow fails if that has no line end."""
        with open_text(self.path, self.dialect) as text, suppress(csv.Error):
            n_header = self.dialect.skip + self.dialect.header
            return len(list(islice(rows_of(text, self.dialect.separator), n_header + 1))) <= n_header
        return False

    def _explain(self, types: dict[int, Any]) -> None:
        """Read the file again, and raise an InputError for the first text, or the first row of another length."""
        self._raise_for_text({j: kind for j, kind in types.items() if kind is not None})
        if self.block_size > text_rows.MAX_ROW_SIZE:
            raise _long_row_error()
        self._raise_for_uneven_row()
        texts = [self.all_names[j] for j, kind in types.items() if kind is None or kind == arrow("lib").string()]
        if texts:  # all other errors are excluded
            raise encoding_error(f"column {texts[0]!r}")

    def _raise_for_uneven_row(self) -> None:
        # Not with pyarrow's invalid_row_handler: its threads call it, even while the program ends, which aborts that.
        n_header = self.dialect.skip + self.dialect.header
        with open_text(self.path, self.dialect) as text, suppress(csv.Error):
            rows = islice(rows_of(text, self.dialect.separator, shorten=True), n_header, None)
            for number, row in enumerate(rows, start=1):
                if len(row) != len(self.all_names):
                    raise FileError(
                        f"row {number} of the data has {len(row)} cells",
                        expected=f"{len(self.all_names)} as in the first row (rows counted from 1)",
                        hint=Message("correct the row, or give another ", Setting("delimiter", self.dialect.delimiter)),
                    )

    def _raise_for_text(self, types: dict[int, Any]) -> None:
        row, lib = 0, arrow("lib")
        kinds = {j: kind for j, kind in types.items() if kind in (lib.float64(), lib.bool_())}
        kinds |= dict.fromkeys(self.empty, lib.null())
        if not kinds:
            return
        with suppress(lib.ArrowInvalid), open_utf8(self.path, self.dialect) as file:
            for batch in arrow("csv").open_csv(
                file, **self._options(dict.fromkeys(kinds, lib.binary()), with_empty=False)
            ):
                for (j, kind), cells in zip(kinds.items(), batch.columns, strict=True):
                    if kind == lib.null() and cells.null_count < len(cells):
                        raise _unnamed_error(j, row + cells.is_valid().index(True).as_py() + 1)
                    if kind != lib.null() and not can_be(cells, kind, self.style):
                        n_valid = count_valid(cells, kind, self.style)
                        value = cells[n_valid].as_py().decode(errors="replace")
                        raise text_error(self.all_names[j], row + n_valid + 1, value)
                row += len(batch)


def _unnamed_error(column: int, row: int) -> FileError:
    problem = f"column {column + 1} has no name and no values in the first rows, but a value in row {row} of the data"
    return FileError(problem, hint="name the column, or remove the value")


class _NotNumberError(ValueError):
    """A column of numbers with separated thousands holds something else."""


def _skip_rows(batches: Iterable[Any], n_rows: int) -> Iterator[Any]:
    """Yield record batches without their first rows, and without empty ones."""
    for batch in batches:
        if n_rows < len(batch):
            yield batch.slice(n_rows)
        n_rows = max(0, n_rows - len(batch))


def _read_header(path: Path, dialect: FoundDialect) -> tuple[list[str], int]:
    """Return the name of each column, "" for those that have none, and the number of lines before the data."""
    with open_text(path, dialect) as text:
        for _ in range(dialect.skip):
            text.readline()
        rows = csv.reader(lines_of(text), delimiter=dialect.separator)
        try:
            first = next(filter(is_filled, rows), None)
        except csv.Error as error:
            raise ValueError(f"its header is invalid ({error})") from None
        n_lines, second = rows.line_num, list[str]()
        with suppress(csv.Error):
            second = next(filter(is_filled, rows), [])
    if first is None:
        raise no_rows_error()
    if sum(map(len, first)) + len(first) >= text_rows.MAX_ROW_SIZE:
        raise _long_row_error()
    if any("\0" in name for name in first):
        raise not_text_error()
    if not dialect.header:
        return [f"column_{j}" for j in range(1, len(first) + 1)], dialect.skip
    if any(map(has_invalid_bytes, first)):
        raise encoding_error("the header")
    if first[0].startswith("#"):
        return _names_in_comment(dialect.separator.join(first), len(second), dialect.separator), dialect.skip + n_lines
    return _complete([name.strip() for name in first], second, dialect.separator), dialect.skip + n_lines


def _names_in_comment(line: str, n_columns: int, separator: str) -> list[str]:
    """Return the names in a comment, as NumPy writes them, if it has as many words as there are columns."""
    text = line.lstrip("#").strip()
    words = ([word.strip() for word in text.split(sign)] for sign in (separator, None, ",", ";", "\t", "|"))
    found = next((names for names in words if len(names) == n_columns), None)
    return found or [f"column_{j}" for j in range(1, n_columns + 1)]


def _complete(names: list[str], second: list[str], separator: str) -> list[str]:
    """Return a name for each cell of the second row: "" for empty cells at its end, and for row names of R."""
    n_more = len(second) - len(names)
    if n_more < 0 and second and not any(names[len(second) :]):
        return names[: len(second)]
    if n_more > 0 and not any(cell.strip() for cell in second[len(names) :]):
        return names + [""] * n_more
    return ["", *names] if n_more == 1 and separator == "\t" else names


def _long_row_error() -> FileError:
    problem = f"a row has more than {text_rows.MAX_ROW_SIZE // 2**20} MiB of text"
    return FileError(problem, hint="save the data as Parquet, or correct a quotation mark without an end")


def _read(path: Path, dialect: Dialect, delimiter: str) -> OpenTable:
    file = _TextFile(path, dialect, delimiter)
    if not file.has_rows:
        if dialect.encoding is not None:
            hint = Message("check whether ", Setting("encoding", dialect.encoding), " is right")
            raise FileError("the file has no rows of data", hint=hint)
        raise no_rows_error()

    def load(numbers: list[str], others: list[str]) -> dict[str, Any]:
        # One column may be both: for the message about a text in it.
        names = numbers + others
        table = file.read({file.names[n]: None for n in others} | {file.names[n]: file.types[n] for n in numbers})
        columns = dict(zip(dict.fromkeys(others + numbers), table.columns, strict=True))
        return {name: columns[name].to_numpy() for name in names}

    return OpenTable(file.header, 1, load, carry=lambda names: arrow("lib").Table.from_batches(file.carry(names)))


def _format(delimiter: str, *suffixes: str, is_written: bool = True, in_folders: bool = True) -> Format:
    def write(file: BinaryIO, schema: Any) -> TableWriter:
        return PlainCellWriter(file, schema, delimiter)

    return Format(
        suffixes,
        read=partial(_read, delimiter=delimiter),
        scan=partial(_TextFile, usual_delimiter=delimiter),
        write=write if is_written else None,
        needs="pyarrow",
        takes_dialect=True,
        in_folders=in_folders,
    )


CSV = _format(",", ".csv", ".csv.gz")
TSV = _format("\t", ".tsv", ".tsv.gz")
TXT = _format("\t", ".txt", ".txt.gz", is_written=False, in_folders=False)
