"""Machine code on disk, in a folder that only the user can have written.

Whoever can write a file of this cache can run code as the user. So nothing is loaded from a folder or file that belongs
to another user, or that other users may write to. Both are checked when they are open, by their descriptors, and links
are not followed: what was checked is what is read.

The cache is a folder in a folder: ``kernels`` in the user's cache folder for this library. These two must be the
user's own. The folder above them, such as ``~/.cache``, must belong to the user or to root; its mode does not matter,
since nobody else can make a folder that belongs to the user. No folder further up is checked.

Windows has neither owners nor modes that Python can check. There, the cache folder is in the user's profile, which
other users can't write to.

Where there is no such folder, or it can't be used, kernels are compiled in every process.
"""

# pathlib has no functions for files in an open folder:
# ruff: noqa: PTH105, PTH123, PTH208

from __future__ import annotations

__all__ = ["MAX_UNUSED_DAYS", "UntrustedError", "cache_folder", "read_object", "write_object"]

import hashlib
import os
import secrets
import stat
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import platformdirs

from ...errors import PerformanceWarning, warn

MAX_UNUSED_DAYS = 90  # files that no process has used for so long are deleted
_DAY = 24 * 60 * 60.0

_HAS_OWNERS = hasattr(os, "geteuid")  # not on Windows: see above
# Some platforms lack some of these flags. With O_NONBLOCK, opening a named pipe does not wait.
_SAFELY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)

_warned: set[str] = set()  # the folders that this process has warned of


class UntrustedError(Exception):
    """An error for a folder or file that another user may have written."""


def cache_folder() -> Path | None:
    """Return the folder of the cache, which may not exist yet; None if the user has no home folder."""
    if _HAS_OWNERS and not Path(os.environ.get("HOME", os.sep)).is_absolute():
        return None  # an empty HOME would put the cache into the root folder, a relative one into any
    try:
        folder = platformdirs.user_cache_path("softkmeans", appauthor=False) / "kernels"
    except RuntimeError:  # neither HOME nor an entry in the password file, as in some containers
        return None
    return folder if folder.is_absolute() else None


def read_object(name: str) -> bytes | None:
    """Return an object file of the cache; None if it is missing, damaged or not to be trusted."""
    with suppress(OSError), ExitStack() as stack:
        folder = _open_folder(stack, create=False)
        if folder is not None:
            digest, _, image = folder.read(name).partition(b"\n")
            if digest == _digest(image):
                folder.mark_as_used(name)
                return image
    return None


def write_object(name: str, image: bytes, version: str) -> None:
    """Write an object file to the cache, and delete files that have not been used for long.

    Files whose names contain ``version`` are kept. If the file can't be written, later processes compile again.
    """
    with suppress(OSError), ExitStack() as stack:
        folder = _open_folder(stack, create=True)
        if folder is not None:
            folder.write(name, _digest(image) + b"\n" + image)
            folder.delete_unused(version)


def _digest(image: bytes) -> bytes:
    return hashlib.sha256(image).hexdigest().encode()


def _open_folder(stack: ExitStack, *, create: bool) -> _Folder | None:
    """Open the cache; return None if there is none, or it is not to be trusted, of which a warning is issued once."""
    path = cache_folder()
    if path is None:
        return None
    try:
        return _Folder(path, stack, create=create)
    except UntrustedError as error:
        if str(path) not in _warned:
            _warned.add(str(path))
            warn(f"compiled kernels are not kept, and compiled again in every process: {error}", PerformanceWarning)
    return None


def _owner(status: os.stat_result) -> int | None:
    """Return the owner of an open file if it is another user; None if it is this user, or there are no owners."""
    return status.st_uid if _HAS_OWNERS and status.st_uid != os.geteuid() else None


def _is_shared(status: os.stat_result) -> bool:
    """Return whether other users may write to an open file."""
    return _HAS_OWNERS and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _error_of_owner(folder: Path) -> UntrustedError:
    return UntrustedError(f"{folder} belongs to another user: set XDG_CACHE_HOME to a folder of your own")


class _Folder:
    """The folder of the cache, open and checked.

    Parameters
    ----------
    path : Path
        The folder. It and the folder that contains it are the library's.
    stack : ExitStack
        Closes the folder.
    create : bool
        Whether to make the folder if it is missing.

    Raises
    ------
    OSError
        If the folder is missing, or can't be made.
    UntrustedError
        If another user may have written to it.
    """

    def __init__(self, path: Path, stack: ExitStack, *, create: bool) -> None:
        self.path = path
        self._descriptor: int | None = None  # Windows can't open folders; paths are used there
        base = path.parent.parent
        if create:
            base.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.open not in os.supports_dir_fd:
            if create:
                path.mkdir(parents=True, exist_ok=True)
            return
        self._descriptor = os.open(base, _FOLDER)  # a link is followed: some keep ~/.cache on another disk
        stack.callback(os.close, self._descriptor)
        if _owner(os.fstat(self._descriptor)) not in (None, 0):
            raise _error_of_owner(base)
        for folder in (path.parent, path):
            self._enter(folder, stack, create=create)

    def _enter(self, folder: Path, stack: ExitStack, *, create: bool) -> None:
        """Open and check a folder inside the open one, which it replaces."""
        if create:
            with suppress(FileExistsError):
                os.mkdir(folder.name, 0o700, dir_fd=self._descriptor)
        if stat.S_ISLNK(os.stat(folder.name, dir_fd=self._descriptor, follow_symlinks=False).st_mode):
            raise UntrustedError(f"{folder} is a symbolic link: replace it by a folder")
        self._descriptor = os.open(folder.name, _FOLDER | _SAFELY, dir_fd=self._descriptor)
        stack.callback(os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        if _owner(status) is not None:
            raise _error_of_owner(folder)
        if _is_shared(status):
            raise UntrustedError(f"other users may write to {folder}: run chmod go-w {folder}")

    def _at(self, name: str) -> str:
        """Return the name of a file for functions that take ``dir_fd``."""
        return name if self._descriptor is not None else str(self.path / name)

    def read(self, name: str) -> bytes:
        """Return the content of a file, or nothing if it is not a file that only the user may write."""
        descriptor = os.open(self._at(name), os.O_RDONLY | _SAFELY, dir_fd=self._descriptor)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or _owner(status) is not None or _is_shared(status):
                return b""  # the folder is the user's, so the file will be replaced
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def mark_as_used(self, name: str) -> None:
        """Set the time of a file to now, if it is more than a day ago."""
        with suppress(OSError):
            if time.time() - self._status(name).st_mtime > _DAY:
                os.utime(self._at(name), dir_fd=self._descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Write a file that appears under its name only when it is complete."""
        temporary, flags = f"{name}.{secrets.token_hex(8)}.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
        descriptor = os.open(self._at(temporary), flags, 0o600, dir_fd=self._descriptor)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            both = {"src_dir_fd": self._descriptor, "dst_dir_fd": self._descriptor}
            os.replace(self._at(temporary), self._at(name), **both)
        except BaseException:
            self._delete(temporary)
            raise

    def delete_unused(self, version: str) -> None:
        """Delete files of other versions that have not been used for `MAX_UNUSED_DAYS`."""
        oldest = time.time() - MAX_UNUSED_DAYS * _DAY
        for name in os.listdir(self.path if self._descriptor is None else self._descriptor):
            with suppress(OSError):  # another process may have deleted it first
                is_old_version = name.endswith(".o") and version not in name
                if (is_old_version or name.endswith(".tmp")) and self._status(name).st_mtime < oldest:
                    self._delete(name)

    def _status(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def _delete(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(self._at(name), dir_fd=self._descriptor)
