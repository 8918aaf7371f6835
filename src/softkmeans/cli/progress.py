"""A progress bar for commands that fit many times."""

from __future__ import annotations

__all__ = ["progress"]

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DELAY, INTERVAL = 1.0, 0.5  # seconds until the bar appears, and between two updates of its time


@contextmanager
def progress(total: int, description: str, unit: str) -> Iterator[Any]:
    """Yield a bar to ``update``; it is shown only on a terminal, after a second, and erased at the end.

    Its time goes on during long steps, too, so that nobody takes the command for dead. Warnings come after it.
    """
    from tqdm import tqdm  # imported here to keep --help fast

    ended = threading.Event()

    def tick() -> None:
        pause = DELAY
        while not ended.wait(pause):
            bar.refresh()
            pause = INTERVAL

    bar = tqdm(total=total, desc=description, unit=unit, leave=False, delay=DELAY, disable=None)
    if bar.disable:
        yield bar
        return
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    with warnings.catch_warnings(record=True) as caught:
        try:
            yield bar
        finally:
            ended.set()
            ticker.join()
            bar.close()
    for warning in caught:
        warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
