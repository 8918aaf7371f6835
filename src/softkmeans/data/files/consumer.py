"""A function that takes an iterator of items, given the items one by one; it runs in a thread."""

from __future__ import annotations

__all__ = ["consumer"]

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


class _Signal(Enum):
    END = "there are no more items"
    STOP = "the function must stop"


class _StoppedError(Exception):
    """Raised in the function by its iterator, if the items end with an error."""


@contextmanager
def consumer(function: Callable[[Iterator[T]], object]) -> Iterator[Callable[[T], None]]:
    """Call a function with an iterator of items that are given to it later, while it runs.

    Parameters
    ----------
    function : callable
        Is called in a thread, with the iterator. If the ``with`` block raises an exception, so does the iterator.

    Yields
    ------
    callable
        Gives the function an item. It waits while another item waits. An exception of the function is raised by the
        next call, or at the end of the ``with`` block.

    Examples
    --------
    >>> with consumer(lambda items: print(sum(items))) as give:
    ...     give(1)
    ...     give(2)
    3
    """
    waiting: queue.Queue[Any] = queue.Queue(maxsize=1)
    failures: list[BaseException] = []
    ended = threading.Event()

    def items() -> Iterator[T]:
        while (item := waiting.get()) is not _Signal.END:
            if item is _Signal.STOP:
                raise _StoppedError
            yield item
        ended.set()

    def run() -> None:
        try:
            function(items())
        except BaseException as error:  # noqa: BLE001 -- raised by the caller
            failures.append(error)
        while not ended.is_set() and waiting.get() is not _Signal.END:  # who gives items must not wait for ever
            pass

    def give(item: Any) -> None:
        if failures:
            raise failures[0]
        waiting.put(item)

    with ThreadPoolExecutor(1, thread_name_prefix="softkmeans-consumer") as pool:
        pool.submit(run)
        try:
            yield give
        except BaseException:
            waiting.put(_Signal.STOP)
            raise
        finally:
            waiting.put(_Signal.END)
    if failures:
        raise failures[0]
