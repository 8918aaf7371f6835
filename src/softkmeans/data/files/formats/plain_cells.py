"""Writer of text files whose cells a spreadsheet program takes for text, and not for formulas."""

from __future__ import annotations

__all__ = ["PlainCellWriter"]

from typing import Any, BinaryIO

from .base import arrow

FORMULA = r"^[=+\-@]"  # the beginnings of cells that spreadsheet programs compute
NUMBER = r"^[+-]?[\d.,]+([eE][+-]?\d+)?$"  # cells that begin like formulas, and are what they seem


class PlainCellWriter:
    """Write tables as text; an apostrophe precedes texts and names that begin like a formula, with =, +, - or @.

    Spreadsheet programs hide the apostrophe, and show what follows it as it is.

    References
    ----------
    OWASP, "CSV Injection".
    """

    def __init__(self, file: BinaryIO, schema: Any, delimiter: str) -> None:
        lib = arrow("lib")
        self.names = _as_plain(lib.array(schema.names, lib.string())).to_pylist()
        options = arrow("csv").WriteOptions(delimiter=delimiter)
        named = lib.schema(list(zip(self.names, schema.types, strict=True)))
        self.writer = arrow("csv").CSVWriter(file, named, write_options=options)

    def write_table(self, table: Any) -> None:
        """Write the next rows."""
        types = arrow("types")
        for position, kind in enumerate(table.schema.types):
            if types.is_string(kind) or types.is_large_string(kind):
                table = table.set_column(position, table.schema.names[position], _as_plain(table[position]))
        self.writer.write_table(table.rename_columns(self.names))

    def close(self) -> None:
        """Write the end of the file, which stays open."""
        self.writer.close()


def _as_plain(cells: Any) -> Any:
    """Return texts with an apostrophe before those that begin like a formula and are no numbers."""
    compute = arrow("compute")
    is_number = compute.match_substring_regex(cells, NUMBER)
    is_formula = compute.and_not(compute.match_substring_regex(cells, FORMULA), is_number)
    return compute.if_else(is_formula, compute.replace_substring_regex(cells, FORMULA, r"'\0"), cells)
