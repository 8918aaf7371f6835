"""Files of data: a path, a folder, a glob, or a list of these."""

from __future__ import annotations

__all__ = ["File", "find_files"]

import glob
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ....errors import InputError
from ..formats import check_plain_file, one_line_errors


class File(NamedTuple):
    """A file, as it was when it was first looked at."""

    path: Path
    bytes: int
    time: int  # of its last change, in nanoseconds

    @classmethod
    def at(cls, path: Path) -> File:
        """Look at a file."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    def opened(self) -> BinaryIO:
        """Open the file, if it is still the one that was looked at."""
        self.check()
        return self.path.open("rb")

    def check(self) -> None:
        """Raise an InputError if the file is another one now."""
        if not self.path.exists():
            raise InputError("the file is gone, that was here at first; data must stay as it is while it is used")
        if File.at(self.path) != self:
            raise InputError("the file changed since it was first looked at; data must stay as it is while it is used")


def find_files(data: Any, suffixes: Collection[str]) -> list[File] | None:
    """Give the files that a path, a folder, a glob or a list of these means, or None if this is no path.

    A folder means all files of these formats in it and in its subfolders, sorted by name, but for those whose names
    begin with a dot or an underscore, which tools write beside data.
    """
    if isinstance(data, str | os.PathLike):
        with one_line_errors(Path(data)):
            paths = list(_expand(os.fspath(data), suffixes))
        return [_looked_at(path, suffixes) for path in paths]
    if isinstance(data, list | tuple) and data and all(isinstance(each, str | os.PathLike) for each in data):
        return [file for each in data for file in find_files(each, suffixes) or ()]
    return None


def _looked_at(path: Path, suffixes: Collection[str]) -> File:
    with one_line_errors(path):
        check_plain_file(path, suffixes)
        return File.at(path)


def _expand(name: str, suffixes: Collection[str]) -> Iterator[Path]:
    path = Path(name)
    if path.is_dir():
        yield from _inside(path, suffixes)
    elif path.exists() or not glob.has_magic(name):
        yield path
    else:
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not found:
            raise InputError("no file has a name like this")
        for each in map(Path, found):
            yield from _inside(each, suffixes) if each.is_dir() else [each]


def _inside(folder: Path, suffixes: Collection[str]) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.lower().endswith(tuple(suffixes)))
    found = [path for path in paths if not any(part[0] in "._" for part in path.relative_to(folder).parts)]
    if not found:
        raise InputError(f"this folder has no file whose name ends in {', '.join(suffixes)}")
    return found
