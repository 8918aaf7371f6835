"""Handlers for the signals that end a fit: SIGINT (Ctrl-C) and SIGTERM.

A signal interrupts a single process at once. With several processes it can be deferred, so that all processes end
after the same pass.
"""

from __future__ import annotations

__all__ = ["clear_pending", "deferred", "exit_status", "is_pending", "terminable"]

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_pending = threading.Event()
_last_signal = [signal.SIGINT]  # last one handled by this module


def is_pending() -> bool:
    """Return whether a signal was received while `deferred`, and not cleared since."""
    return _pending.is_set()


def clear_pending() -> None:
    """Clear the pending signal, because the fit is being interrupted."""
    _pending.clear()


@contextmanager
def terminable() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, unless it has another handler; do nothing outside the main thread."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    with _handled(_interrupt, signal.SIGTERM):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Record the first SIGINT or SIGTERM for `is_pending`; raise KeyboardInterrupt at the second."""

    def record(number: int, frame: FrameType | None) -> None:
        _last_signal[0] = signal.Signals(number)
        if is_pending():
            raise KeyboardInterrupt
        _pending.set()

    _pending.clear()
    with _handled(record, signal.SIGINT, signal.SIGTERM):
        yield


def _interrupt(number: int, frame: FrameType | None) -> None:
    _last_signal[0] = signal.Signals(number)
    raise KeyboardInterrupt


def exit_status() -> int:
    """Return the conventional exit status of a program that ends because of the last signal (SIGINT or SIGTERM)."""
    return 128 + _last_signal[0]


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any], *signals: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)
