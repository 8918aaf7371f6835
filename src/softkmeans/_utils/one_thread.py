"""PyTorch in threads of our own, each of which computes alone: results have the same bits for any number of threads.

PyTorch and BLAS split a product or a sum according to the number of threads, which changes the rounding. Here, the work
is split into parts that do not depend on it, and each part is computed by one thread.
"""

from __future__ import annotations

__all__ = ["in_one_thread", "in_one_thread_if_few", "map_in_single_threads"]

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

S = TypeVar("S")
T = TypeVar("T")

MAX_FEW_NUMBERS = 2**15  # for most functions, PyTorch starts threads from here on
_local = threading.local()  # each thread of the user has workers of its own, so that it waits for none of another


def in_one_thread(function: Callable[[], T]) -> T:
    """Return the result of a function, computed by PyTorch with one thread.

    Examples
    --------
    >>> in_one_thread(torch.get_num_threads)
    1
    """
    n_threads = torch.get_num_threads()
    return function() if n_threads == 1 else _submit(function, n_threads).result()


def in_one_thread_if_few(function: Callable[[], T], n_numbers: int) -> T:
    """Return the result of a function of n numbers, computed by one thread if there are too few for more.

    PyTorch starts threads for some functions of a few numbers. If other programs use the processor, they wait long for
    each other.

    Examples
    --------
    >>> in_one_thread_if_few(torch.get_num_threads, 10)
    1
    """
    return in_one_thread(function) if n_numbers <= MAX_FEW_NUMBERS else function()


def map_in_single_threads(function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield the results for items in order, computed by as many threads as PyTorch uses, each of which works alone.

    Examples
    --------
    >>> list(map_in_single_threads(lambda x: x + 1, [1, 2, 3]))
    [2, 3, 4]
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1:
        yield from map(function, items)
        return
    pending: deque[Future[T]] = deque()
    try:
        for item in items:
            pending.append(_submit(functools.partial(function, item), n_threads))
            if len(pending) > n_threads:  # no more, as results take memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _submit(function: Callable[[], T], n_threads: int) -> Future[T]:
    """Let one of this thread's workers run a function, with gradients enabled or not as here."""
    gradients = torch.is_grad_enabled()

    def run() -> T:
        with torch.set_grad_enabled(gradients):  # it is on in new threads
            return function()

    return _workers(n_threads).submit(run)


def _workers(n_threads: int) -> ThreadPoolExecutor:
    """Return this thread's workers; a forked process needs workers of its own."""
    key = (os.getpid(), n_threads)
    if getattr(_local, "key", None) != key:
        _local.key, _local.workers = key, _start_workers(n_threads)
    workers: ThreadPoolExecutor = _local.workers
    return workers


def _start_workers(n_threads: int) -> ThreadPoolExecutor:
    """Start threads for which PyTorch uses one thread.

    The number of threads is one of each thread, and also the number of threads that start later: the latter is
    restored.
    """
    workers, all_started = ThreadPoolExecutor(n_threads, thread_name_prefix="softkmeans"), threading.Barrier(n_threads)

    def start() -> None:
        all_started.wait()
        torch.get_num_threads()  # the first call in a thread would undo the next one
        torch.set_num_threads(1)

    try:
        for started in [workers.submit(start) for _ in range(n_threads)]:
            started.result()
    finally:
        torch.set_num_threads(n_threads)
    return workers
