"""A pool of threads that gives what comes of tasks in order."""

from __future__ import annotations

__all__ = ["in_order"]

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")


def in_order(work: Callable[[int, int], T], chunks: Sequence[tuple[int, int]]) -> Iterator[T]:
    """Work on chunks in as many threads as PyTorch uses, this one among them; give what comes of them in order.

    This thread takes part since it has a core already: a pool of all threads would wait for one to be moved there.
    """
    todo, done = deque(enumerate(chunks)), dict[int, T]()

    def take() -> bool:
        try:
            i, chunk = todo.popleft()
        except IndexError:
            return False
        done[i] = work(*chunk)
        return True

    def help_out() -> None:
        while take():
            pass

    n_helpers = min(torch.get_num_threads(), len(chunks)) - 1
    helpers = [_pool(os.getpid(), n_helpers).submit(help_out) for _ in range(n_helpers)]
    try:
        for i in range(len(chunks)):
            while i not in done and take():
                pass
            if i not in done:  # a helper has it
                _join(helpers)
            yield done.pop(i)
    finally:
        todo.clear()
        _join(helpers)


def _join(helpers: list[Future[None]]) -> None:
    for helper in helpers:
        if not helper.cancel():  # it may wait for another fit's, and is not needed then
            helper.result()


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one makes its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="softkmeans")
