"""The next things are made while one is worked on."""

from __future__ import annotations

__all__ = ["prefetch"]

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

DEPTH = 2  # things made ahead
PATIENCE = 0.5  # seconds after which a waiting thread looks whether its program has ended


def prefetch(items: Iterable[T], depth: int = DEPTH) -> Iterator[T]:
    """Give the items of an iterable, of which a thread makes the next ones meanwhile.

    The thread starts with the first item and has ended when this iterator has: at the end, when making an item raised,
    which is raised here, and when this iterator is closed or dropped before its end.

    Parameters
    ----------
    items : iterable
        What to give; a generator runs in the thread and is closed there.
    depth : int, default=2
        How many items there are at most besides the one given last.

    Examples
    --------
    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    made: SimpleQueue[tuple[Any, ...]] = SimpleQueue()  # (item,), or () at the end, or (None, error)
    free, stop, process = threading.Semaphore(depth), threading.Event(), os.getpid()
    thread = threading.Thread(target=_make, args=(items, made, free, stop), name="softkmeans-prefetch")
    thread.start()
    try:
        while found := made.get():
            if len(found) > 1:
                raise found[1]
            yield found[0]
            del found  # it may be large
            if os.getpid() != process:
                raise RuntimeError("this pass through the data began before a fork: begin another one after it")
            free.release()
    finally:
        stop.set()
        free.release()
        if thread is not threading.current_thread():  # where the garbage collector may come by
            thread.join()


def _make(items: Iterable[Any], made: SimpleQueue[Any], free: threading.Semaphore, stop: threading.Event) -> None:
    """Put items into the queue, each when there is room, until all are made or the consumer stops."""
    try:
        iterator = iter(items)
        with ExitStack() as ends:
            if isinstance(iterator, Generator):
                ends.enter_context(closing(iterator))
            while _has_room(free, stop):
                made.put((next(iterator),))
    except StopIteration:
        pass
    except BaseException as error:  # noqa: BLE001
        made.put((None, error))
    finally:
        made.put(())


def _has_room(free: threading.Semaphore, stop: threading.Event) -> bool:
    """Wait for room; a program that ends while a pass is left in the middle must not wait for its thread."""
    while not free.acquire(timeout=PATIENCE):
        if not threading.main_thread().is_alive():
            return False
    return not stop.is_set()
