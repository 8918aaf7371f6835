"""A hash of all that machine code depends on."""

from __future__ import annotations

__all__ = ["fingerprint", "hash_sources"]

import hashlib
import importlib.machinery
import importlib.resources
from collections.abc import Iterator
from functools import cache
from importlib.resources.abc import Traversable

from .machine import describe_machine

# A package may be installed as source, or as bytecode beside or in place of it.
_SUFFIXES = tuple(importlib.machinery.all_suffixes())
_BYTECODE_CACHE = "__pycache__"  # Python writes it by itself


@cache
def fingerprint(package: str) -> str | None:
    """Return a hash of the compiler, of the kernels in a package, and of this machine; None if the files are hidden.

    Files are hidden in some programs that were frozen with their libraries.
    """
    try:
        digests = [hash_sources(importlib.resources.files(name)) for name in (__package__, package)]
    except (OSError, ValueError):
        return None
    text = "\n".join([*describe_machine(), *digests])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_sources(folder: Traversable) -> str:
    """Return a hash of the names and contents of all Python files in a folder and its subfolders.

    Raises
    ------
    ValueError
        If there is none.
    """
    contents = dict(_python_files(folder, ""))
    if not contents:
        raise ValueError(f"no Python files in {folder}")
    lines = [f"{name} {hashlib.sha256(contents[name]).hexdigest()}" for name in sorted(contents)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _python_files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != _BYTECODE_CACHE:
            yield from _python_files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIXES):
            yield prefix + entry.name, entry.read_bytes()
