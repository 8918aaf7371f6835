"""Data files named by a path, a folder, a glob pattern, or a list of these."""

from __future__ import annotations

__all__ = ["File", "check_plain_file", "find_files"]

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import FileError
from .errors import one_line_errors
from .formats.lookup import find_format, suffixes

UNCHANGED = "data must not change while it is used"


class File(NamedTuple):
    """A file, with its size and modification time when it was first opened."""

    path: Path
    n_bytes: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> File:
        """Return the file at a path as it is now."""
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def open(self) -> BinaryIO:
        """Open the file for reading, if it has not changed."""
        self.check()
        return self.path.open("rb")

    def check(self) -> None:
        """Raise an InputError if the file was changed or removed."""
        if not self.path.exists():
            raise FileError("the file no longer exists", hint=UNCHANGED)
        if File.at(self.path) != self:
            raise FileError("the file changed since it was first read", hint=UNCHANGED)


def check_plain_file(path: Path) -> None:
    """Raise an InputError unless there is a file at a path that is not empty."""
    if not path.exists():
        raise FileError("there is no such file", hint="check its name and folder")
    if path.is_dir():
        raise FileError("this is a folder", hint="give a file in it")
    if not path.is_file():
        raise FileError("this is not a plain file", hint="save the data in a file")
    if not path.stat().st_size:
        raise FileError("the file is empty", hint="give one with rows")


def find_files(data: Any) -> list[File] | None:
    """Return the files that a path, a folder, a glob pattern or a list of these names, or None for anything else.

    A folder stands for all files in it and its subfolders that can be read in blocks, sorted by name. Names that begin
    with a dot or an underscore are left out: tools write such files beside data.
    """
    if isinstance(data, str | os.PathLike):
        with one_line_errors(Path(data)):
            paths = list(_expand(os.fspath(data)))
        return [_checked_file(path) for path in paths]
    if isinstance(data, list | tuple) and data and all(isinstance(item, str | os.PathLike) for item in data):
        return [file for item in data for file in find_files(item) or ()]
    return None


def _checked_file(path: Path) -> File:
    with one_line_errors(path):
        check_plain_file(path)
        find_format(path, "scan")
        return File.at(path)


def _expand(name: str) -> Iterator[Path]:
    path = Path(name)
    if path.is_dir():
        yield from _files_in(path)
    elif path.exists() or not glob.has_magic(name):
        yield path
    else:
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob does not support absolute patterns
        if not matches:
            raise FileError("no file matches this pattern", hint="check the pattern and the folder")
        for match in map(Path, matches):
            yield from _files_in(match) if match.is_dir() else [match]


def _files_in(folder: Path) -> list[Path]:
    endings = suffixes("scan", in_folders=True)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.lower().endswith(endings))
    visible = [path for path in paths if not any(part[0] in "._" for part in path.relative_to(folder).parts)]
    if not visible:
        problem = f"this folder has no file whose name ends in {', '.join(endings)}"
        raise FileError(problem, hint="give a folder with such files")
    return visible
