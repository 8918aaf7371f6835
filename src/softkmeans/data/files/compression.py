"""Compression with gzip, by the last suffix of a file."""

__all__ = ["is_compressed", "open_binary"]

import gzip
from pathlib import Path
from typing import Any

LEVEL = 6  # as the program gzip; Python's default takes twice the time for files hardly smaller


def is_compressed(path: Path) -> bool:
    """Return whether the name of a file says that it is compressed."""
    return path.suffix.lower() == ".gz"


def open_binary(path: Path, mode: str) -> Any:
    """Open a file for reading ("rb") or writing ("wb"), which decompresses or compresses if its name says so."""
    return gzip.open(path, mode, compresslevel=LEVEL) if is_compressed(path) else path.open(mode)
