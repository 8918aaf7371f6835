"""Text of users, such as names of columns, as it is shown."""

from __future__ import annotations

__all__ = ["printable", "shortened"]


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


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters; from a longer one, the middle is taken out.

    Parameters
    ----------
    text : str
        A text.
    length : int
        The most characters, 3 or more.

    Examples
    --------
    >>> shortened("the temperature of the outer wall", 20)
    'the temper…uter wall'
    """
    if len(text) <= length:
        return text
    return f"{text[: length // 2]}…{text[len(text) - (length - 1) // 2 :]}"
