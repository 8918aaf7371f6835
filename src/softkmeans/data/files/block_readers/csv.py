"""Reader of CSV and TSV files, also compressed: read from the beginning, some rows at a time."""

from __future__ import annotations

__all__ = ["CsvReader"]

import csv
import gzip
import reprlib
from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import override

from ....errors import FileError
from ..whole_files import (
    OpenTable,
    arrow,
    explain_csv,
    from_arrow,
    has_no_rows,
    is_headless,
    no_rows_error,
    no_text_error,
    one_line_errors,
)
from .base import Reader, Window, resize_windows, rows_per_window, windows_of_share
from .named_columns import check_same_columns, choose_from
from .paths import File


class CsvReader(Reader):
    """Rows of text files, one file after the other; the first rows determine the types of the columns."""

    def __init__(
        self, files: list[File], columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        self.files = files
        table, schema = _first_rows(files)
        with one_line_errors(files[0].path):
            self.chosen = choose_from(table, columns, weight_column)
        for file in files:
            with one_line_errors(file.path):
                # A header has no types: assume here that all columns are numeric. Text is found when the file is read.
                names = {name.strip(): True for name in _header(file.path)}
                check_same_columns(names, table.numeric, self.chosen, str(files[0].path))
        self.types = {name: _read_type(schema.field(name).type) for name in self.chosen.used}
        self.columns, self.ignored, self.weight_column = self.chosen.features, self.chosen.ignored, weight_column
        self.n_features = len(self.columns)
        self.rows_per_block = rows_per_window(self.n_features, rows_per_block)

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        return windows_of_share(resize_windows(self._pieces(), self.rows_per_block), rank, size)

    def _pieces(self) -> Iterator[Window]:
        start = 0  # index of the file's first row among all rows
        for file in self.files:
            row = 0
            with one_line_errors(file.path):
                file.check()
                for batch in _batches(file.path, self.types):
                    yield self.chosen.window(batch, start + row, str(file.path), row)
                    row += len(batch)
            start += row


def _first_rows(files: list[File]) -> tuple[OpenTable, Any]:
    """Return the columns as the first rows show them, and their schema."""
    for file in files:
        with one_line_errors(file.path):
            for batch in _batches(file.path, None):
                table = arrow("lib").Table.from_batches([batch])
                opened = from_arrow(len(batch), batch.schema, table.select)
                return opened._replace(headless=is_headless(batch.schema.names)), batch.schema
    with one_line_errors(files[0].path):
        raise no_rows_error()


def _batches(path: Path, types: dict[str, Any] | None) -> Iterator[Any]:
    """Yield batches of the columns in ``types``, or of all columns with inferred types; names are stripped."""
    header = _header(path)
    raw_types = None if types is None else {name: types[name.strip()] for name in header if name.strip() in types}
    try:
        for batch in _open(path, raw_types):
            if len(batch):
                yield batch.rename_columns([name.strip() for name in batch.schema.names])
    except arrow("lib").ArrowInvalid:
        if has_no_rows(path, _delimiter(path)):
            return
        explain_csv(path, _parse_options(path))
        _raise_for_text(path, raw_types or {})
        raise
    except UnicodeDecodeError:
        raise no_text_error() from None


def _open(path: Path, types: dict[str, Any] | None) -> Any:
    csv = arrow("csv")
    options = csv.ConvertOptions(column_types=types, include_columns=list(types or ()), strings_can_be_null=True)
    return csv.open_csv(path, parse_options=_parse_options(path)(), convert_options=options)


def _parse_options(path: Path) -> Any:
    return partial(arrow("csv").ParseOptions, delimiter=_delimiter(path), newlines_in_values=True)


def _delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower()[-7:] else ","


def _header(path: Path) -> list[str]:
    """Read the column names, and nothing else."""
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        try:
            names = next((row for row in csv.reader(file, delimiter=_delimiter(path)) if row), None)
        except UnicodeDecodeError:
            raise no_text_error() from None
        except csv.Error as error:
            raise ValueError(f"its header is invalid ({error})") from None
    if names is None:
        raise no_rows_error()
    return names


def _read_type(first_type: Any) -> Any:
    """Return the type to read a column as: later rows may have decimals where the first rows are integers."""
    return first_type if arrow("types").is_boolean(first_type) else arrow("lib").float64()


def _raise_for_text(path: Path, types: dict[str, Any]) -> None:
    """Read the file again as text, and raise an InputError for the first value that doesn't have its column's type."""
    row = 0
    for batch in _open(path, dict.fromkeys(types, arrow("lib").string())):
        for name, kind in types.items():
            column = batch.column(name)
            n_valid = _count_valid(column, kind)
            if n_valid < len(column):
                where = f"row {row + n_valid + 1} of the data holds {reprlib.repr(column[n_valid].as_py())}"
                raise FileError(
                    f"column {name.strip()!r} is not numeric: {where} (rows counted from 1), while the rows before "
                    "hold numbers",
                    hint="correct it or choose other columns",
                )
        row += len(batch)


def _count_valid(texts: Any, kind: Any) -> int:
    """Return the number of values before the first that can't be converted to this type."""
    compute = arrow("compute")

    def has_invalid(i: int) -> bool:
        try:
            compute.cast(compute.utf8_trim_whitespace(texts[: i + 1]), kind)
        except ValueError:
            return True
        return False

    return bisect(range(len(texts)), False, key=has_invalid)
