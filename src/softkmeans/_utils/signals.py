"""Signals that ask a fit to end: as Ctrl-C does, or, where several processes have to end at the same pass, in time."""

from __future__ import annotations

__all__ = ["answer", "deferred", "exit_status", "is_pending", "terminable"]

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_pending = threading.Event()
_last = [signal.SIGINT]  # that was handled here


def is_pending() -> bool:
    """Whether a signal came while it was `deferred`, and was not yet answered."""
    return _pending.is_set()


def answer() -> None:
    """Say that what the signal asked for is being done."""
    _pending.clear()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, unless someone else handles it; outside the main thread, change nothing."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    with _handled(_interrupt, signal.SIGTERM):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Take note of the first SIGINT or SIGTERM only, for `is_pending`; the second interrupts at once."""

    def note(number: int, frame: FrameType | None) -> None:
        _last[0] = signal.Signals(number)
        if is_pending():
            raise KeyboardInterrupt
        _pending.set()

    _pending.clear()
    with _handled(note, signal.SIGINT, signal.SIGTERM):
        yield


def _interrupt(number: int, frame: FrameType | None) -> None:
    _last[0] = signal.Signals(number)
    raise KeyboardInterrupt


def exit_status() -> int:
    """Give the status, by convention, of a program that ends because of the last signal: Ctrl-C's, or SIGTERM's."""
    return 128 + _last[0]


@contextmanager
def _handled(by: Callable[[int, FrameType | None], Any], *signals: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, by) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
