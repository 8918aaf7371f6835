"""Support for forked processes."""

from __future__ import annotations

__all__ = ["is_forked_child", "use_one_thread"]

import os

import torch

is_forked_child = False  # whether this process was forked from one that had imported the library


def _mark_as_child() -> None:
    global is_forked_child
    is_forked_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_as_child)


def use_one_thread() -> None:
    """Limit PyTorch to one thread in a forked process, where it would wait forever for threads of the parent."""
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
