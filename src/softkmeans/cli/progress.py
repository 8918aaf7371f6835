"""A progress bar for what fits many times."""

from __future__ import annotations

__all__ = ["progress"]

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(total: int, what: str, unit: str) -> Iterator[Any]:
    """Give a bar to ``update``, shown at a terminal if it takes more than a second, and wiped in the end."""
    from tqdm import tqdm  # here, so that --help answers at once

    with tqdm(total=total, desc=what, unit=unit, leave=False, delay=1.0, disable=None) as bar:
        yield bar
