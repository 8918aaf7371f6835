"""Support for forked processes."""

from __future__ import annotations

__all__ = ["survive_fork"]

import os

import torch

_is_forked_child = False


def _mark_as_child() -> None:
    global _is_forked_child
    _is_forked_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_as_child)


def survive_fork() -> None:
    """Limit PyTorch to one thread in a forked process, where it would wait forever for threads of the parent."""
    if _is_forked_child and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
