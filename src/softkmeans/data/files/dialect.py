"""Dialects of text files: how they separate cells, and how they write numbers."""

from __future__ import annotations

__all__ = ["ANY_DIALECT", "SPACES", "Dialect", "FoundDialect"]

import codecs
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InputError, Message, Setting

SPACES = " "  # the delimiter that stands for any number of spaces and tabs
DELIMITER_NAMES = {"space": SPACES, "tab": "\t", "\\t": "\t"}
THOUSANDS = (",", ".", " ", "'", "\u2019", "\u00a0", "\u202f")  # two quotation marks, two spaces without line break
DECIMALS = (".", ",")


@dataclass(frozen=True)
class Dialect:
    r"""How a text file (CSV, TSV, TXT) is written. What is None is detected from its first mebibyte.

    Parameters
    ----------
    delimiter : str or None, default=None
        The character between cells, or "tab", or "space" for any number of spaces and tabs.
    decimal : {".", ","} or None, default=None
        The character before decimals.
    thousands : str or None, default=None
        The character between groups of three digits, as in 1,234,567: a comma, point, space or apostrophe; ``""`` if
        there is none.
    encoding : str or None, default=None
        The encoding of the text, by its name in Python, such as "utf-8", "cp1252" or "utf-16".
    header : bool or None, default=None
        Whether the first row holds the names of the columns. Without a header, the columns are named ``column_1``,
        ``column_2`` and so on. This parameter also applies to XLSX files.

    Raises
    ------
    InputError
        If a value is not one of these, or the decimal character is also the thousands separator.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from softkmeans.data import Dialect, read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "prices.csv"
    ...     _ = path.write_text("price;tax\n1.200,5;0,19\n900;0,07\n")
    ...     print(read_table(path).x.tolist())
    ...     print(read_table(path, dialect=Dialect(decimal=",")).notes)
    [[1200.5, 0.19], [900.0, 0.07]]
    ("read with ';', decimal commas and '.' between thousands",)
    """

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "delimiter", _checked_delimiter(self.delimiter))
        object.__setattr__(self, "encoding", _checked_encoding(self.encoding))
        if self.decimal not in (None, *DECIMALS):
            raise InputError(parameter="decimal", value=self.decimal, expected="'.' or ','")
        if self.thousands not in (None, "", *THOUSANDS):
            raise InputError(
                parameter="thousands", value=self.thousands, expected="a comma, point, space or apostrophe"
            )
        if self.thousands and self.thousands == self.decimal:
            problem = Message(Setting("thousands", self.thousands), " is also the decimal character")
            raise InputError(problem, hint="give two different ones")
        if self.header not in (None, True, False):
            raise InputError(parameter="header", value=self.header, expected="True, False or None")

    def given(self) -> list[str]:
        """Return the names of the parameters that are not None."""
        return [name for name, value in vars(self).items() if value is not None]


def _checked_delimiter(text: Any) -> str | None:
    delimiter = DELIMITER_NAMES.get(text, text) if isinstance(text, str) else text
    if delimiter is not None:
        is_one = isinstance(delimiter, str) and len(delimiter) == 1
        if not is_one or delimiter.isalnum() or delimiter in '"\r\n\0' or ord(delimiter) > 127:
            expected = "one character that is no letter, digit or quotation mark, or 'tab' or 'space'"
            raise InputError(parameter="delimiter", value=text, expected=expected)
    return delimiter


def _checked_encoding(name: Any) -> str | None:
    if name is None:
        return None
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)  # fails for codecs that convert something else than text
        codecs.getincrementaldecoder(name)("replace").decode(b"")  # and this for those of other uses
    except (AssertionError, LookupError, TypeError, ValueError):
        expected = "the name of an encoding, such as 'utf-8', 'cp1252' or 'utf-16'"
        raise InputError(parameter="encoding", value=name, expected=expected) from None
    encoding = codec.name
    return "utf-8" if encoding == "utf-8-sig" else encoding  # a byte order mark is skipped in any case


ANY_DIALECT = Dialect()


class FoundDialect(NamedTuple):
    """How a text file is written.

    Attributes
    ----------
    delimiter, decimal, thousands, encoding, header
        As in `Dialect`; ``thousands`` is ``""`` if there are no separators.
    compression : str or None
        The name of the compression, if the file is compressed.
    skip : int
        The number of lines before the table, such as ``sep=;`` of Excel.
    has_numbers_as_names : bool
        Whether the first row was taken for names although it holds only numbers.
    """

    delimiter: str
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    header: bool = True
    compression: str | None = None
    skip: int = 0
    has_numbers_as_names: bool = False

    def describe(self, usual_delimiter: str, is_named_compressed: bool) -> tuple[str, ...]:
        """Return notes of what is unusual, one line each; none if nothing is."""
        names = {SPACES: "spaces", "\t": "tabs"}
        parts = []
        if self.delimiter != usual_delimiter:
            parts.append(names.get(self.delimiter, repr(self.delimiter)))
        if self.decimal == ",":
            parts.append("decimal commas")
        if self.thousands:
            parts.append(f"{self.thousands!r} between thousands")
        if self.encoding != "utf-8":
            parts.append(f"encoding {self.encoding}")
        if self.compression and not is_named_compressed:
            parts.append(f"{self.compression} compression")
        if not self.header:
            parts.append("no header (the columns are column_1 and so on)")
        if self.has_numbers_as_names:
            parts.append("the numbers in the first row as names")
        listed = " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
        return (f"read with {listed}",) if parts else ()

    @property
    def separator(self) -> str:
        """The character between cells after runs of spaces are replaced by tabs."""
        return "\t" if self.delimiter == SPACES else self.delimiter
