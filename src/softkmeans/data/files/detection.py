"""Detection of the dialect of a text file from its first mebibyte."""

from __future__ import annotations

__all__ = ["find_dialect", "find_header", "is_number_like", "not_text_error"]

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from ...errors import FileError
from .compression import compression_of
from .dialect import SPACES, Dialect, FoundDialect
from .formats.base import arrow
from .text_rows import MAX_CELL_SIZE, parse, with_tabs

HEAD_SIZE = 2**20  # bytes that are looked at
SAMPLE_SIZE = 2**16  # characters in which the delimiter is looked for
MAX_SAMPLE_ROWS = 500

# More than one encoding may begin with the bytes of UTF-16, so the longer mark comes first.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
CONTROL_CHARACTERS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1a") | {127}
DELIMITERS = (",", ";", "\t", "|", SPACES)
MISSING = frozenset({"", "na", "n/a", "nan", "null", "#n/a", "-nan", "none", "true", "false"})
EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?(?:\r\n|\n|\r)')

_NUMBER = re.compile(
    r"[+-]?(?:\d+|\d{1,3}(?:[.,' \u2019\u00a0\u202f]\d{3})+)?(?:[.,]\d*)?(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?"
)


def find_dialect(path: Path, given: Dialect, usual_delimiter: str) -> FoundDialect:
    """Return the dialect of a file, except how it writes numbers; what is given is not looked for.

    Raises
    ------
    InputError
        If the file is not text.
    """
    with path.open("rb") as file:
        compression = compression_of(file)
    with arrow("lib").input_stream(str(path), compression=compression) as stream:
        head = stream.read(HEAD_SIZE + 1)
    is_whole, head = len(head) <= HEAD_SIZE, head[:HEAD_SIZE]
    encoding = given.encoding or _find_encoding(head, is_whole)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, is_whole).removeprefix("\ufeff")
    hint = EXCEL_SEPARATOR.match(text)
    sample = _Sample.of(text[hint.end() :] if hint else text, is_whole)
    delimiter = given.delimiter or sample.find_delimiter(usual_delimiter, hint[1] if hint else None)
    rows = sample.rows(delimiter)
    header, has_numbers = (given.header, False) if given.header is not None else find_header(rows)
    n_comments = sample.n_comments
    if n_comments and not header and given.header is None:  # the last comment may hold the names
        n_comments, header = n_comments - 1, True
    return FoundDialect(
        delimiter,
        encoding=encoding,
        header=header,
        compression=compression,
        skip=(1 if hint else 0) + n_comments,
        has_numbers_as_names=has_numbers,
    )


def is_number_like(cell: str) -> bool:
    """Return whether a cell holds a number in any dialect."""
    text = cell.strip()
    return bool(text) and any(map(str.isdigit, text)) and _NUMBER.fullmatch(text) is not None


def _find_encoding(head: bytes, is_whole: bool) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        return _find_utf16(head, is_whole)
    if _can_decode(head, "utf-8", is_whole):
        return "utf-8"
    if CONTROL_CHARACTERS.intersection(head):
        raise not_text_error()
    return "cp1252" if _can_decode(head, "cp1252", is_whole) else "latin-1"


def _find_utf16(head: bytes, is_whole: bool) -> str:
    """Return the byte order of UTF-16 without a mark, in which every other byte of most characters is 0."""
    n_low, n_high = head[::2].count(0), head[1::2].count(0)
    encoding = "utf-16-le" if n_high > n_low else "utf-16-be"
    if 4 * max(n_low, n_high) < len(head) or min(n_low, n_high) or not _can_decode(head, encoding, is_whole):
        raise not_text_error()
    return encoding


def not_text_error() -> FileError:
    """Return the error for a file that is not text."""
    return FileError("the file is not text", hint="give a text file, or the extension of its format")


def _can_decode(head: bytes, encoding: str, is_whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head, is_whole)
    except UnicodeDecodeError:
        return False
    return True


class _Sample(NamedTuple):
    """The first lines of a file, without comments at the beginning.

    Attributes
    ----------
    text : str
        The lines.
    n_comments : int
        The number of lines before them that begin with #.
    """

    text: str
    n_comments: int

    @classmethod
    def of(cls, text: str, is_whole: bool) -> _Sample:
        """Return the lines at the beginning of a text; the last one only if it is complete."""
        sample = text[:SAMPLE_SIZE]
        if not is_whole or len(text) > SAMPLE_SIZE:
            ends = [match.end() for match in re.finditer(r"\r\n|\n|\r", sample)]
            sample = sample[: ends[-1]] if ends else sample
        lines = list(io.StringIO(sample, newline=""))
        n_comments = next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)
        sample = "".join(lines[n_comments:])
        return cls(re.sub(rf'[^"\r\n,;\t| ]{{{MAX_CELL_SIZE},}}', "...", sample), n_comments)

    def rows(self, delimiter: str) -> list[list[str]]:
        """Return the first rows, if the cells are separated like this."""
        text, separator = self.text, delimiter
        if delimiter == SPACES:
            text, separator = with_tabs(text.encode(errors="replace")).decode(), "\t"
        rows: list[list[str]] = []
        with suppress(csv.Error):
            rows.extend(islice(parse(io.StringIO(text, newline=""), separator), MAX_SAMPLE_ROWS))
        return rows

    def find_delimiter(self, usual: str, hint: str | None = None) -> str:
        """Return the delimiter with which the rows look most like a table; the usual one if none does."""
        candidates = list(dict.fromkeys([*filter(None, [hint]), usual, *DELIMITERS]))
        scores = {delimiter: _score(self.rows(delimiter), delimiter) for delimiter in candidates}
        if hint is not None and scores[hint][0] >= SINGLE_COLUMN:
            return hint
        return max(
            candidates[1:] if hint else candidates, key=lambda delimiter: scores[delimiter]
        )  # the first of several


# How much rows look like a table, apart from their columns of numbers.
TABLE, HEADER_WITHOUT_ROW_NAMES, SINGLE_COLUMN, SOME_ROWS, UNEVEN, NO_TABLE = 2.0, 1.5, 1.0, 0.5, 0.3, 0.25


def _score(rows: list[list[str]], delimiter: str) -> tuple[float, int, int]:
    """Return how much rows look like a table: rows of one length, then many columns of numbers and few others."""
    if not rows:
        return NO_TABLE, 0, 0
    first, rest = rows[0], rows[1:] or rows[:1]
    width, count = Counter(map(len, rest)).most_common(1)[0]
    share = count / len(rest)
    columns = _columns(rest, width)
    n_numeric = sum(map(_is_numeric, columns))
    if delimiter == SPACES and any(cell.endswith((",", ";")) for row in rows for cell in row):
        return NO_TABLE, 0, 0  # the spaces follow the real delimiters
    if width == 1:
        is_table = (
            n_numeric == 1 and share == 1 and len(rows) > 1 and not any(sign in first[0] for sign in DELIMITERS[:4])
        )
        return (SINGLE_COLUMN if is_table else NO_TABLE), n_numeric, 0
    fit = _fit(first, columns)
    quality = UNEVEN if fit == UNEVEN else fit if share == 1 else SOME_ROWS + share / 4
    return quality, n_numeric, n_numeric - width


def _fit(first: list[str], columns: list[list[str]]) -> float:
    """Return whether the cells of the first row go with the columns of the others."""
    width = len(columns)
    empty_names = len(first) > width and not any(cell.strip() for cell in first[width:])
    empty_columns = len(first) < width and not any(cell.strip() for cells in columns[len(first) :] for cell in cells)
    if len(first) == width or empty_names or empty_columns:
        return TABLE
    return HEADER_WITHOUT_ROW_NAMES if len(first) == width - 1 > 1 else UNEVEN  # R writes no name for row names


def _columns(rows: list[list[str]], width: int) -> list[list[str]]:
    """Return the cells of each column, of the rows of this length."""
    return [list(cells) for cells in zip(*(row for row in rows if len(row) == width), strict=True)]


def _is_numeric(cells: Iterable[str]) -> bool:
    """Return whether cells are numbers, except missing ones."""
    filled = [cell for cell in cells if cell.strip().lower() not in MISSING]
    return bool(filled) and all(map(is_number_like, filled))


def find_header(rows: list[list[str]]) -> tuple[bool, bool]:
    """Return whether the first row holds names, and whether these are numbers."""
    if not rows:
        return True, False
    first, rest = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    numbers = [cell for cell in first if cell.strip()]
    if not rest:
        return not all(map(is_number_like, numbers)), False
    columns = _columns(rest, len(first))
    over_numbers = [cell for cell, cells in zip(first, columns, strict=True) if cell.strip() and _is_numeric(cells)]
    if not over_numbers or not all(map(is_number_like, over_numbers)):
        return True, False
    if _are_names(over_numbers, rest, first, columns):
        return True, True
    return False, False


def _are_names(numbers: list[str], rest: list[list[str]], first: list[str], columns: list[list[str]]) -> bool:
    """Return whether numbers in the first row are names: 0, 1, 2 as of pandas, years, or a rising scale."""
    values = _values(numbers)
    is_repeated = any(cell in cells for cell, cells in zip(first, columns, strict=True) if cell)
    if values is None or is_repeated or len(first) == 1:
        return False
    from_zero = values == list(range(len(values)))
    are_years = _is_rising(numbers) and _are_years(values) and not _are_years(_values(rest[0]) or [])
    n_rising = sum(_is_rising(row[-len(values) :]) for row in rest)
    return from_zero or are_years or (len(values) >= 5 and _is_rising(numbers) and 2 * n_rising <= len(rest))


def _are_years(values: list[float]) -> bool:
    return bool(values) and all(1900 <= value <= 2100 and value.is_integer() for value in values)


def _is_rising(cells: list[str]) -> bool:
    values = _values(cells)
    return values is not None and all(before < after for before, after in pairwise(values))


def _values(cells: list[str]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None
