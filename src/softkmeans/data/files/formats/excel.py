"""XLSX files: the first sheet that has rows, read by python-calamine."""

from __future__ import annotations

__all__ = ["EXCEL"]

import zipfile
from pathlib import Path
from typing import Any

from ....errors import FileError
from ..detection import find_header
from ..dialect import Dialect, FoundDialect
from ..errors import no_rows_error
from ..number_styles import column_type, find_style, first_text
from .arrow_tables import open_arrow_table
from .base import Format, OpenTable, arrow, check_unique, import_package
from .lists import Lists

MAX_SIZE = 2**30  # bytes of all sheets as they are before compression; the rows take several times this memory
MAX_HEADER_ROWS = 500  # rows that show whether the first one holds names
FEATURE = "reading .xlsx files"


def _read(path: Path, dialect: Dialect) -> OpenTable:
    sheet, n_sheets = _open_sheet(path)
    rows = [row for row in sheet.to_python() if any(cell != "" for cell in row)]
    header = find_header([[str(cell) for cell in row] for row in rows[:MAX_HEADER_ROWS]])[0]
    header = header if dialect.header is None else dialect.header
    names, rows = (_names(rows[0]), rows[1:]) if header else ([""] * len(rows[0]), rows)
    if not rows:
        raise no_rows_error()
    columns = dict[str, list[Any]]()
    for j, (name, cells) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        values = [None if cell == "" else cell for cell in cells]
        if name or any(value is not None for value in values):
            check_unique([*columns, name or f"column_{j + 1}"])
            columns[name or f"column_{j + 1}"] = values
    return _open(columns, dialect, header, sheet.name, n_sheets)


def _open_sheet(path: Path) -> tuple[Any, int]:
    """Return the first sheet with rows, and the number of sheets with rows."""
    calamine = import_package("python_calamine", FEATURE)
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_SIZE:
            problem = f"its sheets take more than {MAX_SIZE // 2**30} GiB"
            raise FileError(problem, hint="save the data as CSV or Parquet")
    try:
        workbook = calamine.CalamineWorkbook.from_path(str(path))
        sheets = [sheet for name in workbook.sheet_names if (sheet := workbook.get_sheet_by_name(name)).height]
    except calamine.PasswordError as error:
        raise FileError("the file needs a password", hint="save it without one") from error
    except calamine.CalamineError as error:
        raise ValueError(str(error)) from error
    if not sheets:
        raise no_rows_error()
    return sheets[0], len(sheets)


def _names(cells: list[Any]) -> list[str]:
    return [_text(cell).strip() for cell in cells]


def _text(cell: Any) -> str:
    """Return a cell as text; whole numbers, which the file stores as floats, without decimals."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _open(columns: dict[str, list[Any]], dialect: Dialect, header: bool, sheet: str, n_sheets: int) -> OpenTable:
    """Return the columns as an open table; text that holds numbers, in whatever style, becomes numbers."""
    lib = arrow("lib")
    texts = {name: _as_binary(values) for name, values in columns.items() if any(isinstance(v, str) for v in values)}
    style = find_style(texts, dialect, ";")
    arrays, mixed = dict[str, Any](), dict[str, tuple[int, str]]()
    for name, values in columns.items():
        if name not in texts:
            arrays[name] = _as_array(values)
        elif column_type(texts[name], style) == lib.float64():
            arrays[name] = style.floats(texts[name])
        else:
            found = first_text(texts[name], style)
            mixed |= {} if found is None else {name: found}
            arrays[name] = lib.array([None if value is None else _text(value) for value in values])
    table = lib.table(arrays)
    found_dialect = FoundDialect(",", style.decimal, style.thousands, header=header)
    notes = found_dialect.describe(",", is_named_compressed=True)
    notes += (f"read sheet {sheet!r}, the first of {n_sheets}",) if n_sheets > 1 else ()
    opened = open_arrow_table(Lists.of(table.schema, table.__getitem__), len(table), table.select)
    return opened._replace(header=opened.header._replace(mixed=mixed, notes=notes))


def _as_binary(values: list[Any]) -> Any:
    cells = [None if value is None else _text(value).encode() for value in values]
    return arrow("lib").array(cells, arrow("lib").binary())


def _as_array(values: list[Any]) -> Any:
    """Return cells of one kind as they are; whole numbers as integers, cells of several kinds as text."""
    filled = [value for value in values if value is not None]
    if filled and all(type(value) is float and value.is_integer() and abs(value) < 2**53 for value in filled):
        return arrow("lib").array([None if value is None else int(value) for value in values])
    try:
        return arrow("lib").array(values)
    except (TypeError, ValueError):
        return arrow("lib").array([None if value is None else _text(value) for value in values])


EXCEL = Format((".xlsx",), read=_read, needs="python_calamine", takes_dialect=True)
