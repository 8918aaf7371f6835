"""Writer of text files whose cells a spreadsheet program takes for text, and not for formulas."""

from __future__ import annotations

__all__ = ["PlainCellWriter"]

from typing import Any, BinaryIO

from .base import arrow

FORMULA = r"^[=+\-@\t\r]"  # the beginnings of cells that spreadsheet programs compute


class PlainCellWriter:
    """Write tables as text; an apostrophe precedes texts and names that begin like a formula.

    Spreadsheet programs hide the apostrophe, and show what follows it as it is.

    References
    ----------
    OWASP, "CSV Injection".
    """

    def __init__(self, file: BinaryIO, schema: Any, delimiter: str) -> None:
        self.names = [_as_text(name) for name in schema.names]
        options = arrow("csv").WriteOptions(delimiter=delimiter)
        named = arrow("lib").schema(list(zip(self.names, schema.types, strict=True)))
        self.writer = arrow("csv").CSVWriter(file, named, write_options=options)

    def write_table(self, table: Any) -> None:
        """Write the next rows."""
        types, compute = arrow("types"), arrow("compute")
        for position, kind in enumerate(table.schema.types):
            if types.is_string(kind) or types.is_large_string(kind):
                plain = compute.replace_substring_regex(table[position], FORMULA, r"'\0")
                table = table.set_column(position, table.schema.names[position], plain)
        self.writer.write_table(table.rename_columns(self.names))

    def close(self) -> None:
        """Write the end of the file, which stays open."""
        self.writer.close()


def _as_text(name: str) -> str:
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name
