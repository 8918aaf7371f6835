"""Atomic writing of files: readers see the old file or the complete new one."""

__all__ = ["atomic_write", "check_writable"]

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FileError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file that appears under its name only when it is complete.

    The caller writes to a hidden temporary file in the same folder. If the ``with`` block succeeds, the temporary file
    replaces ``path`` in one step. If it raises any exception, including KeyboardInterrupt, the temporary file is
    removed and ``path`` remains unchanged. A symbolic link is followed: the file that it points to is replaced.

    Parameters
    ----------
    path : str or path-like
        The file to write. A new file gets the permissions that ``open`` would give it; a replaced file keeps its
        permissions.

    Yields
    ------
    pathlib.Path
        An empty file with the suffixes of ``path``, for the caller to write.

    Raises
    ------
    InputError
        If the folder is missing or not writable, or ``path`` is a folder, a device or a read-only file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from softkmeans._utils.atomic import atomic_write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "note.txt") as temporary:
    ...         _ = temporary.write_text("complete")
    ...     [file.name for file in Path(folder).iterdir()]
    ['note.txt']
    """
    target = Path(os.path.realpath(path))
    check_writable(target)
    temporary = target.with_name(f".softkmeans-{secrets.token_hex(8)}{''.join(target.suffixes[-2:])}")
    try:
        _create_like(target, temporary)
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # after success it has been renamed


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an InputError if a file can't be written at this path; call it before a long computation."""
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.exists():
        raise FileError(f"can't write {target}: there is no folder {folder}", hint="create it first")
    if not folder.is_dir():
        raise FileError(f"can't write {target}: {folder} is not a folder", hint="choose another path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"can't write {target}: the folder {folder} is not writable", hint="choose another")
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "not a plain file"
        raise FileError(f"can't write {target}: it is {kind}", hint="choose another path")
    if target.exists() and not os.access(target, os.W_OK):
        raise FileError(f"can't write {target}: the file is read-only", hint="choose another path")


def _create_like(target: Path, temporary: Path) -> None:
    temporary.touch(exist_ok=False)  # mode 0666 minus the umask; tempfile would use 0600
    if target.exists():
        shutil.copymode(target, temporary)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
