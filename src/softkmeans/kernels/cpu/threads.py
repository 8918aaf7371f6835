"""A thread pool whose results are returned in order."""

from __future__ import annotations

__all__ = ["map_in_order"]

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")


def map_in_order(fn: Callable[[int, int], T], chunks: Sequence[tuple[int, int]]) -> Iterator[T]:
    """Yield fn(start, stop) of each chunk in order, computed in as many threads as PyTorch uses.

    The calling thread is one of them: it already runs on a core, while a pool thread would first have to be scheduled.
    """
    pending, results = deque(enumerate(chunks)), dict[int, T]()

    def run_next() -> bool:
        """Run the next pending chunk; return False if there is none."""
        try:
            i, chunk = pending.popleft()
        except IndexError:
            return False
        results[i] = fn(*chunk)
        return True

    def run_all() -> None:
        while run_next():
            pass

    n_helpers = min(torch.get_num_threads(), len(chunks)) - 1
    helpers = [_pool(os.getpid(), n_helpers).submit(run_all) for _ in range(n_helpers)]
    try:
        for i in range(len(chunks)):
            while i not in results and run_next():
                pass
            if i not in results:  # a helper is working on it
                _join(helpers)
            yield results.pop(i)
    finally:
        pending.clear()
        _join(helpers)


def _join(helpers: list[Future[None]]) -> None:
    """Wait for helpers that have started, cancel the others, and raise their exceptions."""
    for helper in helpers:
        if not helper.cancel():  # canceled if it still waits for a thread, which another fit may use
            helper.result()


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Return the pool of this process: a forked process needs threads of its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="softkmeans")
