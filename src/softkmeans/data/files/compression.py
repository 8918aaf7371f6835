"""Compressed files: recognized by their first bytes when read, and by the end of their name when written."""

__all__ = ["COMPRESSIONS", "compression_of", "is_compressed", "open_binary"]

import gzip
from pathlib import Path
from typing import Any, BinaryIO

LEVEL = 6  # as the program gzip; Python's default takes twice the time for files hardly smaller

# For each compression that pyarrow reads: the end of the names of its files, and their first bytes.
COMPRESSIONS = {
    "gzip": (".gz", b"\x1f\x8b"),
    "bz2": (".bz2", b"BZh"),
    "zstd": (".zst", b"\x28\xb5\x2f\xfd"),
}


def compression_of(file: BinaryIO) -> str | None:
    """Return the compression of a file by its first bytes, which it does not consume; None if it has none."""
    start = file.read(4)
    file.seek(0)
    return next((name for name, (_, magic) in COMPRESSIONS.items() if start.startswith(magic)), None)


def is_compressed(path: Path) -> bool:
    """Return whether the name of a file says that it is compressed."""
    return path.suffix.lower() in {suffix for suffix, _ in COMPRESSIONS.values()}


def open_binary(path: Path, mode: str) -> Any:
    """Open a file for writing ("wb"), with gzip if its name says so."""
    return gzip.open(path, mode, compresslevel=LEVEL) if path.suffix.lower() == ".gz" else path.open(mode)
