"""A progress bar for commands that fit many times."""

from __future__ import annotations

__all__ = ["progress"]

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(total: int, description: str, unit: str) -> Iterator[Any]:
    """Yield a bar to ``update``; it is shown only on a terminal, after a second, and erased at the end."""
    from tqdm import tqdm  # imported here to keep --help fast

    with tqdm(total=total, desc=description, unit=unit, leave=False, delay=1.0, disable=None) as bar:
        yield bar
