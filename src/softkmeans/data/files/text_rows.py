"""The rows of text files as Python sees them: for the header, for detection, and for the errors of bad rows."""

from __future__ import annotations

__all__ = [
    "BLOCK_SIZE",
    "MAX_ROW_SIZE",
    "has_invalid_bytes",
    "is_filled",
    "lines_of",
    "longest_row",
    "open_text",
    "open_utf8",
    "parse",
    "rows_of",
    "with_tabs",
]

import csv
import io
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from typing_extensions import Buffer, override

from .dialect import SPACES, FoundDialect
from .formats.base import arrow

BLOCK_SIZE = 2**20  # bytes that pyarrow parses at a time; it reads up to 36 such blocks ahead
MAX_ROW_SIZE = 2**24  # bytes: with longer rows, what is read ahead would take gigabytes
MAX_CELL_SIZE = 2**14  # characters of a cell in rows whose cells are only counted

_QUOTED_OR_SPACES = re.compile(rb'("[^"\r\n]*")|[ \t]+')
_SPACES_AROUND_LINES = re.compile(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)")


def open_utf8(path: Path, dialect: FoundDialect) -> Any:
    """Open a text file as decompressed UTF-8, in which runs of spaces that separate cells are tabs."""
    stream = arrow("lib").input_stream(str(path), compression=dialect.compression)
    if dialect.encoding != "utf-8":
        stream = arrow("lib").transcoding_input_stream(stream, dialect.encoding, "utf-8")
    return io.BufferedReader(_Tabs(stream), BLOCK_SIZE) if dialect.delimiter == SPACES else stream


class _Tabs(io.RawIOBase):
    """A file whose cells are separated by runs of spaces, read with one tab in place of each."""

    def __init__(self, file: Any) -> None:
        self.file, self.rest, self.line = file, b"", b""

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        while not self.rest and (data := self._read_lines()):
            self.rest = with_tabs(data)
        part, self.rest = self.rest[: len(view)], self.rest[len(view) :]
        view[: len(part)] = part
        return len(part)

    @override
    def close(self) -> None:
        self.file.close()
        super().close()

    def _read_lines(self) -> bytes:
        """Return whole lines, or a part of a line that is longer than a row may be; nothing at the end."""
        lines, found = self.line, b""
        while not found and (data := self.file.read(BLOCK_SIZE)):
            lines += data
            found = lines[: lines.rfind(b"\n") + 1] if len(lines) < MAX_ROW_SIZE else lines
        found = found or lines
        self.line = lines[len(found) :]
        return found


def with_tabs(text: bytes) -> bytes:
    """Return lines with a tab in place of each run of spaces and tabs, except between quotation marks."""
    return _QUOTED_OR_SPACES.sub(lambda match: match[1] or b"\t", _SPACES_AROUND_LINES.sub(b"", text))


def open_text(path: Path, dialect: FoundDialect) -> TextIO:
    """Open a text file, in which bytes that are no UTF-8 become surrogate characters."""
    return io.TextIOWrapper(open_utf8(path, dialect), encoding="utf-8-sig", errors="surrogateescape", newline="")


def lines_of(text: TextIO) -> Iterator[str]:
    """Yield the lines of a file, or parts of lines that would fill the memory."""
    return iter(partial(text.readline, MAX_ROW_SIZE), "")


def rows_of(text: TextIO, separator: str, *, shorten: bool = False) -> Iterator[list[str]]:
    """Yield the rows of a file that are not empty; ``shorten`` cuts long cells, which the module csv refuses."""
    lines = lines_of(text)
    return parse(_with_short_cells(lines, separator) if shorten else lines, separator)


def parse(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Yield the rows of lines that are not blank."""
    return filter(is_filled, csv.reader(lines, delimiter=separator))


def is_filled(row: list[str]) -> bool:
    """Return whether a row is none of a blank line."""
    return len(row) > 1 or (len(row) == 1 and bool(row[0].strip()))


def _with_short_cells(lines: Iterable[str], separator: str) -> Iterator[str]:
    ordinary = re.compile(rf'[^"\r\n{re.escape(separator)}]{{{MAX_CELL_SIZE},}}')
    return (ordinary.sub("...", line) for line in lines)


def has_invalid_bytes(text: str) -> bool:
    """Return whether a text from `open_text` has bytes that are no UTF-8."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def longest_row(file: Any) -> int:
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
