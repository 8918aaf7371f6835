"""Text of users, such as names of columns, as it is shown."""

from __future__ import annotations

__all__ = ["printable"]


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
