"""Life in a forked process."""

from __future__ import annotations

__all__ = ["survive_fork"]

import os

import torch

_IN_CHILD = False


def _note() -> None:
    global _IN_CHILD
    _IN_CHILD = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)


def survive_fork() -> None:
    """Let PyTorch work in one thread if this process was forked: it would wait for its parent's threads for ever."""
    if _IN_CHILD and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
