"""Errors of files: one line each, which names the file."""

__all__ = [
    "encoding_error",
    "is_number",
    "listing",
    "no_rows_error",
    "one_line_errors",
    "text_error",
]

import reprlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import FileError, InputError, Message, Setting

# Errors that libraries raise for damaged files; pyarrow's exceptions are subclasses of these.
_READ_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,  # of NumPy, for the header of an array
)


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Raise every error of a damaged or unsuitable file as an InputError of one line that names the file."""
    try:
        yield
    except InputError as error:
        raise InputError(_one_line(Message(f"{path}: ", error.message))) from None
    except PermissionError as error:
        problem = f"{path}: the file can't be read: permission denied"
        raise FileError(problem, hint="change its permissions") from error
    except _READ_ERRORS as error:
        # The text of a KeyError is only the key.
        reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else error or type(error).__name__
        problem = _one_line(Message(f"{path}: the file can't be read: {reason}"))
        hint = "check that it is complete and that its extension matches its format"
        raise FileError(problem, hint=hint) from error


def _one_line(message: Message) -> Message:
    """Return a message without line breaks, which names of files and errors of other libraries may have."""
    return Message(*(" ".join(part.splitlines()) if isinstance(part, str) else part for part in message.parts))


def no_rows_error() -> FileError:
    """Return the error for a file without rows."""
    return FileError("the file has no rows of data", hint="give one with rows")


def encoding_error(what: str) -> FileError:
    """Return the error for text with another encoding."""
    return FileError(
        f"{what} is not UTF-8 text", hint=Message("save the file as UTF-8, or give its ", Setting("encoding"))
    )


def text_error(name: str, row: int, value: str) -> FileError:
    """Return the error for a column of numbers with a text in a row, counted from 1."""
    return FileError(
        f"column {name!r} is not numeric: row {row} of the data holds {reprlib.repr(value)} (rows counted from 1), "
        "while other rows hold numbers",
        hint=Message("correct it, or leave the column out with ", Setting("exclude", name)),
    )


def is_number(value: Any) -> bool:
    """Return whether Python's ``float`` accepts this value."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def listing(names: Iterable[str], max_names: int = 20) -> str:
    """Return names as text for a message, at most ``max_names`` of them."""
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - max_names} more" if len(quoted) > max_names else ""
    return ", ".join(quoted[:max_names]) + more
