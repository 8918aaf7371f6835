"""The format of a file, by its suffix."""

__all__ = ["find_format", "suffixes"]

from pathlib import Path
from typing import Literal, TypeAlias

from ....errors import FileError
from ....registries import FORMATS
from ..compression import COMPRESSIONS
from .base import Format

Action: TypeAlias = Literal["read", "scan", "write"]

OTHER_COMPRESSED = tuple(suffix for suffix, _ in COMPRESSIONS.values() if suffix != ".gz")

OTHER_SPREADSHEETS = (".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
SAVE_AS = {"read": ".xlsx", "scan": ".csv"}  # what spreadsheet programs write and can be read or scanned

REFUSALS = {
    "read": "can't be read",
    "scan": "can't be read in blocks, but only whole (as read_table does)",
    "write": "can be read but not written",
}


def suffixes(action: Action, *, in_folders: bool = False) -> tuple[str, ...]:
    """Return the suffixes of the formats that can be read, scanned or written; ``in_folders``: of data in folders."""
    members = [member for member in FORMATS.values() if getattr(member, action) is not None]
    members = [member for member in members if member.in_folders or not in_folders]
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
    name = path.name.lower()
    if action != "write" and name.endswith(OTHER_COMPRESSED) and f"{path.stem.lower()}.gz".endswith(tuple(known)):
        name = f"{path.stem.lower()}.gz"  # formats that read files with gzip find out the compression
    suffix = next((suffix for suffix in known if name.endswith(suffix)), None)
    hint = f"it must be one of {', '.join(suffixes(action))}"
    if path.suffix.lower() in OTHER_SPREADSHEETS and action in SAVE_AS:
        hint = f"save it as {SAVE_AS[action]}"
    if suffix is None:
        raise FileError(f"unknown extension {path.suffix!r} of {path.name!r}", hint=hint)
    if getattr(known[suffix], action) is None:
        raise FileError(f"files with the extension {suffix!r} {REFUSALS[action]}", hint=hint)
    known[suffix].check_installed()
    return known[suffix]
