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
    sheets = _sheets(path)
    sheet = next((sheet for sheet in sheets if sheet.height > 1), sheets[0])
    rows = [row for row in sheet.to_python() if any(cell != "" for cell in row)]
    header = find_header([[str(cell) for cell in row] for row in rows[:MAX_HEADER_ROWS]])[0]
    header = header if dialect.header is None else dialect.header
    names, rows = (_names(rows[0]), rows[1:]) if header else ([""] * len(rows[0]), rows)
    if not rows:
        raise FileError(f"the sheet {sheet.name!r} has no rows of data", hint="give a file with rows")
    columns = dict[str, list[Any]]()
    for j, (name, cells) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        values = [None if cell == "" else cell for cell in cells]
        if name or any(value is not None for value in values):
            check_unique([*columns, name or f"column_{j + 1}"])
            columns[name or f"column_{j + 1}"] = values
    notes: tuple[str, ...] = (f"read sheet {sheet.name!r}, one of {len(sheets)}",) if len(sheets) > 1 else ()
    if any(all(value is None for value in values) for values in columns.values()) and _has_formulas(path):
        notes += ("formulas without saved results are empty: save the file in a spreadsheet program",)
    return _open(columns, dialect, header, notes)


def _sheets(path: Path) -> list[Any]:
    """Return the sheets with rows."""
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
    return sheets


def _has_formulas(path: Path) -> bool:
    """Return whether a sheet has formulas."""
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        return any(b"<f>" in archive.read(name) or b"<f " in archive.read(name) for name in sheets)


def _names(cells: list[Any]) -> list[str]:
    return [_text(cell).strip() for cell in cells]


def _text(cell: Any) -> str:
    """Return a cell as text; whole numbers, which the file stores as floats, without decimals."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _open(columns: dict[str, list[Any]], dialect: Dialect, header: bool, notes: tuple[str, ...]) -> OpenTable:
    """Return the columns as an open table; text that holds numbers, in whatever style, becomes numbers."""
    lib = arrow("lib")
    texts = {name: _as_texts(values) for name, values in columns.items() if any(isinstance(v, str) for v in values)}
    style = find_style(texts, dialect, ";")
    as_it_is = {name: _as_array(values) for name, values in columns.items()}
    numbers, mixed = dict[str, Any](), dict[str, tuple[int, str]]()
    for name, cells in texts.items():
        if column_type(cells, style) == lib.float64():
            numbers[name] = _as_floats(columns[name], style.floats(cells).to_pylist())
        elif (found := first_text(cells, style)) is not None:
            mixed[name] = found
    table = lib.table(as_it_is | numbers)
    found_dialect = FoundDialect(",", style.decimal, style.thousands, header=header)
    notes = (*found_dialect.describe(",", is_named_compressed=True), *style.notes(), *notes)
    lists = Lists.of(table.schema, table.__getitem__)
    opened = open_arrow_table(lists, len(table), table.select, lib.table(as_it_is).select)
    return opened._replace(header=opened.header._replace(mixed=mixed, notes=notes))


def _as_texts(values: list[Any]) -> Any:
    """Return the texts in a column as binary; a number that is no text becomes 1, which is a number in all styles."""
    cells = [None if v is None else b"1" if isinstance(v, float | int) else _text(v).encode() for v in values]
    return arrow("lib").array(cells, arrow("lib").binary())


def _as_floats(values: list[Any], of_texts: list[float | None]) -> Any:
    """Return the numbers in a column, of which some were texts."""
    cells = [of_text if isinstance(v, str) else v for v, of_text in zip(values, of_texts, strict=True)]
    return arrow("lib").array([None if v is None else float(v) for v in cells], arrow("lib").float64())


def _as_array(values: list[Any]) -> Any:
    """Return cells of one kind as they are; whole numbers as integers, cells of several kinds as text."""
    filled = [value for value in values if value is not None]
    if filled and all(type(value) is float and value.is_integer() and abs(value) < 2**53 for value in filled):
        return arrow("lib").array([None if value is None else int(value) for value in values])
    if filled and all(isinstance(value, float | int) for value in filled):
        all_true_or_false = all(isinstance(value, bool) for value in filled)
        values = [None if value is None else value if all_true_or_false else float(value) for value in values]
    try:
        return arrow("lib").array(values)
    except (TypeError, ValueError):
        return arrow("lib").array([None if value is None else _text(value) for value in values])


EXCEL = Format((".xlsx",), read=_read, needs="python_calamine", takes_dialect=True)
