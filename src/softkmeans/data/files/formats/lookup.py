"""The format of a file, by its suffix."""

__all__ = ["find_format", "suffixes"]

from pathlib import Path
from typing import Literal, TypeAlias

from ....errors import FileError
from ....registries import FORMATS
from .base import Format

Action: TypeAlias = Literal["read", "scan", "write"]

REFUSALS = {
    "read": "can't be read",
    "scan": "can't be read in blocks, but only whole (as read_table does)",
    "write": "can be read but not written",
}


def suffixes(action: Action) -> tuple[str, ...]:
    """Return the suffixes of the formats that can be read, scanned or written."""
    members = [member for member in FORMATS.values() if getattr(member, action) is not None]
    return tuple(suffix for member in members for suffix in member.suffixes)


def find_format(path: Path, action: Action) -> Format:
    """Return the format of a file name.

    Raises
    ------
    InputError
        If no format has the file's suffix, or the format can't be read, scanned or written.
    MissingExtraError
        If a package that the format needs is not installed.
    """
    known = {suffix: member for member in FORMATS.values() for suffix in member.suffixes}
    suffix = next((suffix for suffix in known if path.name.lower().endswith(suffix)), None)
    hint = f"it must be one of {', '.join(suffixes(action))}"
    if suffix is None:
        raise FileError(f"unknown extension {path.suffix!r} of {path.name!r}", hint=hint)
    if getattr(known[suffix], action) is None:
        raise FileError(f"files with the extension {suffix!r} {REFUSALS[action]}", hint=hint)
    known[suffix].check_installed()
    return known[suffix]
