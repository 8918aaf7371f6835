"""Columns of text files that hold numbers, in whatever way they are written."""

from __future__ import annotations

__all__ = ["NumberStyle", "column_type", "count_valid", "find_style", "first_text"]

import re
from bisect import bisect
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from ...errors import FileError, Message, Setting
from .dialect import THOUSANDS, Dialect
from .errors import listing
from .formats.base import arrow

MIN_NUMBERS = 0.5  # the share of a column's cells above which a text among them is taken for an error
MAX_NAMES = 3  # in a note
MAX_COLUMNS = 300  # that are looked at; in tables of thousands of columns, it would take seconds
BLANKS = " \t"  # around numbers; pyarrow leaves out no others
SPACE_LIKE = "".join(THOUSANDS[2:])  # separators of thousands that are never decimal characters
ADDRESS = r"\d{1,3}(\.\d{1,3}){3}"  # of the internet
_NUMBER_LIKE = rf"[+-]?[.,]?\d[\d.,{SPACE_LIKE}]*([eE][+-]?\d+)?"


class NumberStyle(NamedTuple):
    """How numbers are written.

    Attributes
    ----------
    decimal : str
        The decimal character.
    thousands : str
        The separator of thousands, "" if there is none.
    unsure : tuple of str
        The columns whose numbers may mean something else, as 1,234 is 1.234 in one country and 1234 in another.
    """

    decimal: str = "."
    thousands: str = ""
    unsure: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Return a line if numbers may mean something else."""
        if not self.unsure:
            return ()
        columns = f"column{'' if len(self.unsure) == 1 else 's'} {listing(self.unsure, MAX_NAMES)}"
        return (f"numbers in {columns} can be read in another way: check their decimals and thousands",)

    def floats(self, cells: Any) -> Any:
        """Convert cells (a PyArrow array of binary or text) to float64.

        Raises
        ------
        ValueError
            If a cell is not a number in this style.
        """
        compute, lib = arrow("compute"), arrow("lib")
        text = compute.utf8_trim(cells.cast(lib.string()), characters=BLANKS)
        if self.thousands:  # of a column that was read as text, in which missing values are text, too
            missing = lib.array(arrow("csv").ConvertOptions().null_values, lib.string())
            text = compute.if_else(compute.is_in(text, value_set=missing), lib.scalar(None, lib.string()), text)
            sign = re.escape(self.thousands)
            has_sign = compute.match_substring(text, self.thousands)
            pattern = rf"^[+-]?[1-9]\d{{0,2}}({sign}\d{{3}})+({re.escape(self.decimal)}\d*)?$"
            if compute.any(compute.and_not(has_sign, compute.match_substring_regex(text, pattern))).as_py():
                raise ValueError("thousands are separated at another place")
            text = compute.replace_substring(text, self.thousands, "")
        if self.decimal == ",":
            if compute.any(compute.match_substring(text, ".")).as_py():
                raise ValueError("a number has a decimal point")
            text = compute.replace_substring(text, ",", ".")
        return text.cast(lib.float64())


def can_be(cells: Any, kind: Any, style: NumberStyle) -> bool:
    """Return whether all cells can be converted to a type: float64 or boolean."""
    try:
        if kind == arrow("lib").float64():
            style.floats(cells)
        else:
            arrow("compute").utf8_trim(cells.cast(arrow("lib").string()), characters=BLANKS).cast(kind)
    except ValueError:
        return False
    return True


def count_valid(cells: Any, kind: Any, style: NumberStyle) -> int:
    """Return the number of cells before the first that can't be converted to this type."""
    return bisect(range(len(cells)), False, key=lambda i: not can_be(cells[: i + 1], kind, style))


def column_type(cells: Any, style: NumberStyle) -> Any:
    """Return float64 for a column of numbers, boolean for one of true and false, None for any other and without values.

    Whole numbers are read as float64, too: later rows may have decimals.
    """
    if cells.null_count < len(cells):
        kinds = arrow("lib").float64(), arrow("lib").bool_()
        return next((kind for kind in kinds if can_be(cells, kind, style)), None)
    return None


def first_text(cells: Any, style: NumberStyle) -> tuple[int, str] | None:
    """Return the first row, from 1, and text that is no number in a column of numbers; None for a column of text.

    A column of numbers begins with numbers, or most of its cells are numbers.
    """
    first = cells.is_valid().index(True).as_py()
    if first < 0:
        return None
    n_valid = count_valid(cells, arrow("lib").float64(), style)
    if n_valid > first or _has_mostly_numbers(cells, style):
        return n_valid + 1, cells[n_valid].as_py().decode(errors="replace")
    return None


def _has_mostly_numbers(cells: Any, style: NumberStyle) -> bool:
    """Return whether most cells are numbers; text that is no UTF-8 is none."""
    text = _as_text(cells)
    if text is None:
        return False
    whole, decimal = rf"\d[\d{re.escape(style.thousands)}]*", re.escape(style.decimal)
    n_numbers = _count(text, rf"[+-]?({whole}({decimal}\d*)?|{decimal}\d+)([eE][+-]?\d+)?")
    return bool(n_numbers > MIN_NUMBERS * (len(cells) - cells.null_count))


def _as_text(cells: Any) -> Any:
    try:
        return arrow("compute").utf8_trim(cells.cast(arrow("lib").string()), characters=BLANKS)
    except ValueError:
        return None


def _count(text: Any, pattern: str) -> int:
    """Return the number of cells that match a pattern."""
    compute = arrow("compute")
    return compute.sum(compute.match_substring_regex(text, f"^({pattern})$")).as_py() or 0


def find_style(columns: Mapping[str, Any], given: Dialect, delimiter: str) -> NumberStyle:
    """Return how the numbers in columns (PyArrow arrays of binary) are written; what is given is not looked for.

    Raises
    ------
    InputError
        If one column has decimal points and another one decimal commas.
    """
    counts = {} if given.decimal and given.thousands is not None else _count_styles(columns, delimiter)
    commas, points = ([name for name, count in counts.items() if count.has_decimals(sign)] for sign in ",.")
    if commas and points and given.decimal is None:
        problem = f"column {commas[0]!r} has decimal commas, and column {points[0]!r} decimal points"
        hint = Message("give ", Setting("decimal"), ", and correct or leave out the other column")
        raise FileError(problem, hint=hint)
    style = NumberStyle(",") if commas else NumberStyle(".") if points else None
    if given.decimal is not None:
        style = NumberStyle(given.decimal)
    style = _find_thousands(list(counts.values()), style.decimal) if style else _guess(list(counts.values()), delimiter)
    if given.thousands is not None:
        return style._replace(thousands=given.thousands)
    unsure = [] if given.decimal else [name for name, count in counts.items() if count.is_unsure(style, bool(commas))]
    return style._replace(unsure=tuple(unsure))


class _Counts(NamedTuple):
    """How many cells of a column are written in which way.

    Attributes
    ----------
    whole, short : int
        Whole numbers, and those of at most three digits.
    decimals : dict of str to int
        By decimal character: numbers with decimals, which are not three digits after one to three others.
    unclear : dict of str to int
        By character: numbers of one to three digits, the character and three digits.
    groups : dict of (str, str) to int
        By separator of thousands and decimal character: numbers of which the separator is certain.
    """

    whole: int
    short: int
    decimals: dict[str, int]
    unclear: dict[str, int]
    groups: dict[tuple[str, str], int]

    @classmethod
    def of(cls, text: Any) -> _Counts:
        """Count the cells of a column."""
        unclear = {sign: _count(text, rf"[+-]?[1-9]\d{{0,2}}[{sign}]\d{{3}}") for sign in ".,"}
        groups = {}
        for sign, other in ((".", ","), (",", ".")):
            one = _count(text, rf"[+-]?[1-9]\d{{0,2}}([{sign}]\d{{3}})+[{other}]\d*")
            groups[sign, other] = one + _count(text, rf"[+-]?[1-9]\d{{0,2}}([{sign}]\d{{3}}){{2,}}")
        for sign in SPACE_LIKE:
            for decimal in ",.":
                groups[sign, decimal] = _count(text, rf"[+-]?[1-9]\d{{0,2}}([{sign}]\d{{3}})+[{decimal}]\d*")
            groups[sign, ""] = _count(text, rf"[+-]?[1-9]\d{{0,2}}([{sign}]\d{{3}})+")
        return cls(
            whole=_count(text, r"[+-]?\d+"),
            short=_count(text, r"[+-]?\d{1,3}"),
            decimals={s: _count(text, rf"[+-]?\d*[{s}]\d+([eE][+-]?\d+)?") - unclear[s] for s in ".,"},
            unclear=unclear,
            groups=groups,
        )

    def is_unsure(self, style: NumberStyle, has_commas: bool) -> bool:
        """Return whether numbers are read in one of two possible ways, and none of the column shows which is right.

        ``has_commas`` says whether another column shows that commas are decimal characters.
        """
        sign = style.thousands if style.thousands in (".", ",") else "," if style.decimal == "," else ""
        if not sign or not self.unclear[sign] or (sign == style.decimal and has_commas):
            return False
        is_shown = any(n for (thousands, _), n in self.groups.items() if thousands == sign) or self.short > 0
        return not is_shown and not self.decimals[style.decimal]

    def has_decimals(self, sign: str) -> bool:
        """Return whether the decimal character of most numbers is certainly this one."""
        n_certain = {s: self.decimals[s] + sum(n for (_, d), n in self.groups.items() if d == s) for s in ".,"}
        return (
            n_certain[","] > 0 and n_certain[","] >= n_certain["."] if sign == "," else n_certain["."] > n_certain[","]
        )


def _count_styles(columns: Mapping[str, Any], delimiter: str) -> dict[str, _Counts]:
    """Return how the cells of columns of numbers are written; nothing if all are written in the usual way."""
    plain, float64 = NumberStyle(), arrow("lib").float64()
    others = [cells for cells in columns.values() if not can_be(cells, float64, plain)]
    if delimiter == "," and not any(_is_number_like(_as_text(cells)) for cells in others):
        return {}
    texts = {name: text for name, cells in columns.items() if _is_number_like(text := _as_text(cells))}
    texts = dict(islice(texts.items(), MAX_COLUMNS))
    return {name: _Counts.of(text) for name, text in texts.items()}


def _is_number_like(text: Any) -> bool:
    """Return whether most cells of a column, None if it is no text, are numbers in some style."""
    n_filled = 0 if text is None else len(text) - text.null_count
    if not n_filled or _count(text, _NUMBER_LIKE) <= MIN_NUMBERS * n_filled:
        return False
    return _count(text, ADDRESS) < n_filled


def _guess(counts: list[_Counts], delimiter: str) -> NumberStyle:
    """Return the style of numbers that have three digits after each comma and point."""
    for sign, other in ((",", "."), (".", ",")):
        found = [count for count in counts if count.unclear[sign]]
        # Beside 1,234, whole numbers of at most three digits show that thousands are separated.
        are_thousands = bool(found) and all(count.whole == count.short > 0 for count in found)
        if found and sign == "," and not are_thousands and delimiter != ",":
            return NumberStyle(",")
        if found and ((sign == "," and (are_thousands or delimiter == ",")) or (are_thousands and delimiter == ";")):
            return NumberStyle(other, sign)
    return _find_thousands(counts, ".")


def _find_thousands(counts: list[_Counts], decimal: str) -> NumberStyle:
    """Return the style with the separator of thousands that is found most often beside a decimal character."""
    other = "," if decimal == "." else "."
    found = {other: sum(count.unclear[other] for count in counts)}
    for sign in (other, *SPACE_LIKE):
        n_certain = sum(n for count in counts for (thousands, _), n in count.groups.items() if thousands == sign)
        found[sign] = found.get(sign, 0) + n_certain
    best = max(found, key=lambda sign: found[sign])
    return NumberStyle(decimal, best if found[best] else "")
