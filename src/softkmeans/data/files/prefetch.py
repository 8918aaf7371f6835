"""Computation of the next items of an iterable in a thread, while the current one is processed."""

from __future__ import annotations

__all__ = ["prefetch"]

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

N_AHEAD = 2  # items computed ahead
POLL_SECONDS = 0.5  # interval at which a waiting thread checks whether the program has ended


def prefetch(items: Iterable[T], depth: int = N_AHEAD) -> Iterator[T]:
    """Yield the items of an iterable, while a thread computes the next ones.

    The thread starts when the first item is requested. It ends together with this iterator: after the last item, after
    an error in the thread, which is raised here, or when this iterator is closed or dropped early.

    Parameters
    ----------
    items : iterable
        The items; a generator runs in the thread and is closed there.
    depth : int, default=2
        Maximum number of items computed ahead of the current one.

    Examples
    --------
    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    queue: SimpleQueue[tuple[Any, ...]] = SimpleQueue()  # (item,), or () at the end, or (None, error)
    slots = threading.Semaphore(depth)
    stop = threading.Event()
    process = os.getpid()
    thread = threading.Thread(target=_produce, args=(items, queue, slots, stop), name="softkmeans-prefetch")
    thread.start()
    try:
        while entry := queue.get():
            if len(entry) > 1:
                raise entry[1]
            yield entry[0]
            del entry  # frees its memory before the next item is requested
            if os.getpid() != process:
                raise RuntimeError("this pass over the data began before a fork: start a new pass after the fork")
            slots.release()
    finally:
        stop.set()
        slots.release()
        if thread is not threading.current_thread():  # the garbage collector may close this iterator in that thread
            thread.join()


def _produce(items: Iterable[Any], queue: SimpleQueue[Any], slots: threading.Semaphore, stop: threading.Event) -> None:
    """Put items into the queue whenever a slot is free, until there are no more or the consumer stops."""
    try:
        iterator = iter(items)
        with ExitStack() as stack:
            if isinstance(iterator, Generator):
                stack.enter_context(closing(iterator))
            while _wait_for_slot(slots, stop):
                queue.put((next(iterator),))
    except StopIteration:
        pass
    except BaseException as error:  # noqa: BLE001
        queue.put((None, error))
    finally:
        queue.put(())


def _wait_for_slot(slots: threading.Semaphore, stop: threading.Event) -> bool:
    """Wait for a free slot, and return whether to continue.

    The wait is interrupted at intervals: a program that ends during a pass must not wait for this thread.
    """
    while not slots.acquire(timeout=POLL_SECONDS):
        if not threading.main_thread().is_alive():
            return False
    return not stop.is_set()
