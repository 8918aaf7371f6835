"""CSV and TSV, also compressed: read from the beginning, some rows at a time."""

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

from ....errors import InputError
from ..formats import ENCODING, NO_ROWS, Opened, arrow, explain_csv, from_arrow, is_headless, one_line_errors
from .base import Reader, Window, cut, rows_of_window, share
from .named import check_same_columns, choose_from
from .paths import File


class CsvReader(Reader):
    """Rows of text, one file below the other; what types columns have is settled by the first rows."""

    def __init__(
        self, files: list[File], columns: Sequence[str] | None, weight_column: str | None, rows_per_block: int | None
    ) -> None:
        self.files = files
        found, schema = _first_rows(files)
        with one_line_errors(files[0].path):
            self.chosen = choose_from(found, columns, weight_column)
        for file in files:
            with one_line_errors(file.path):
                names = {name.strip(): True for name in _header(file.path)}
                check_same_columns(names, found.numeric, self.chosen, str(files[0].path))
        self.types = {name: _type_of(schema.field(name).type) for name in self.chosen.used}
        self.columns, self.ignored, self.weight_column = self.chosen.features, self.chosen.ignored, weight_column
        self.n_features = len(self.columns)
        self.rows_per_block = rows_of_window(self.n_features, rows_per_block)

    @override
    def windows(self, rank: int = 0, size: int = 1) -> Iterator[Window]:
        return share(cut(self._pieces(), self.rows_per_block), rank, size)

    def _pieces(self) -> Iterator[Window]:
        above = 0  # rows in the files before
        for file in self.files:
            row = 0
            with one_line_errors(file.path):
                file.check()
                for batch in _batches(file.path, self.types):
                    yield self.chosen.window(batch, above + row, str(file.path), row)
                    row += len(batch)
            above += row


def _first_rows(files: list[File]) -> tuple[Opened, Any]:
    """Give the columns as the first rows have them, and their schema."""
    for file in files:
        with one_line_errors(file.path):
            for batch in _batches(file.path, None):
                table = arrow("lib").Table.from_batches([batch])
                opened = from_arrow(len(batch), batch.schema, table.select)
                return opened._replace(headless=is_headless(batch.schema.names)), batch.schema
    raise InputError(f"{files[0].path}: {NO_ROWS}")


def _batches(path: Path, types: dict[str, Any] | None) -> Iterator[Any]:
    """Read some columns as these types, or all as what they look like, under their names without spaces around."""
    header = _header(path)
    raw = None if types is None else {name: types[name.strip()] for name in header if name.strip() in types}
    try:
        for batch in _open(path, raw):
            if len(batch):
                yield batch.rename_columns([name.strip() for name in batch.schema.names])
    except arrow("lib").ArrowInvalid as error:
        if "Empty CSV" in str(error):  # a header without the end of its line
            return
        explain_csv(path, _parse(path))
        _raise_for_text(path, raw or {})
        raise
    except UnicodeDecodeError:
        raise InputError(ENCODING) from None


def _open(path: Path, types: dict[str, Any] | None) -> Any:
    csv = arrow("csv")
    options = csv.ConvertOptions(column_types=types, include_columns=list(types or ()), strings_can_be_null=True)
    return csv.open_csv(path, parse_options=_parse(path)(), convert_options=options)


def _parse(path: Path) -> Any:
    return partial(arrow("csv").ParseOptions, delimiter=_delimiter(path), newlines_in_values=True)


def _delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower()[-7:] else ","


def _header(path: Path) -> list[str]:
    """Read the names of the columns, and nothing else."""
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        try:
            names = next((row for row in csv.reader(file, delimiter=_delimiter(path)) if row), None)
        except UnicodeDecodeError:
            raise InputError(ENCODING) from None
        except csv.Error as error:
            raise ValueError(f"its header is odd ({error})") from None
    if names is None:
        raise InputError(NO_ROWS)
    return names


def _type_of(found: Any) -> Any:
    """Give the type to read a column as: whole numbers may have decimals further down."""
    return found if arrow("types").is_boolean(found) else arrow("lib").float64()


def _raise_for_text(path: Path, types: dict[str, Any]) -> None:
    """Read once more, for the first value that is not what its column held before."""
    row = 0
    for batch in _open(path, dict.fromkeys(types, arrow("lib").string())):
        for name, kind in types.items():
            column = batch.column(name)
            bad = _count_good(column, kind)
            if bad < len(column):
                found = f"row {row + bad + 1} of the data holds {reprlib.repr(column[bad].as_py())}"
                raise InputError(
                    f"column {name.strip()!r} is not numeric: {found} (rows counted from 1), where rows before hold "
                    "numbers; correct it or choose other columns"
                )
        row += len(batch)


def _count_good(texts: Any, kind: Any) -> int:
    """Count the values before the first that is not of this type."""
    compute = arrow("compute")

    def has_bad(i: int) -> bool:
        try:
            compute.cast(compute.utf8_trim_whitespace(texts[: i + 1]), kind)
        except ValueError:
            return True
        return False

    return bisect(range(len(texts)), False, key=has_bad)
