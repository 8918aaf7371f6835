"""Text of users, such as names of columns, as it is shown."""

from __future__ import annotations

__all__ = ["printable", "shortened"]

from collections.abc import Sequence
from itertools import takewhile


def printable(text: str) -> str:
    r"""Return a text with control characters, line breaks and the like written as escapes, so that they do nothing.

    Parameters
    ----------
    text : str
        A text from a file or a user.

    Examples
    --------
    >>> print(printable("red\x1b[31m\nnext"))
    red\x1b[31m\nnext
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(names: Sequence[str], length: int) -> list[str]:
    """Return names shortened to about ``length`` characters, which still differ.

    Parameters
    ----------
    names : sequence of str
        Different names.
    length : int
        The most characters, 4 or more.

    Examples
    --------
    >>> shortened(["height", "temperature of the outer wall", "temperature of the roof"], 20)
    ['height', 'temperatur…uter wall', 'temperatur… the roof']
    >>> shortened([f"mean temperature in building {i} of the street" for i in (1, 2)], 20)
    ['…building 1 of the s…', '…building 2 of the s…']
    """
    for shorten in (_without_middle, _around_difference):
        found = shorten(names, length)
        if len(set(found)) == len(set(names)):
            return found
    return list(names)


def _without_middle(names: Sequence[str], length: int) -> list[str]:
    """Return names, the long ones by their beginnings and ends."""
    begin, end = length // 2, (length - 1) // 2
    return [name if len(name) <= length else f"{name[:begin]}…{name[len(name) - end :]}" for name in names]


def _around_difference(names: Sequence[str], length: int) -> list[str]:
    """Return names, the long ones by the part in which they begin to differ."""
    long = [name for name in names if len(name) > length]
    n_common = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*long, strict=False)))
    start = max(0, n_common - length // 2 + 1)
    return [_window(name, start, length - 1) if len(name) > length else name for name in names]


def _window(text: str, start: int, length: int) -> str:
    """Return a part of a text, with dots where something is left out."""
    return f"{'…' * (start > 0)}{text[start : start + length]}{'…' * (start + length < len(text))}"
