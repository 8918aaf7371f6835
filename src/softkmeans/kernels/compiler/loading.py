"""Compile kernels at their first use, and keep their machine code on disk for later processes."""

from __future__ import annotations

__all__ = ["load_kernel"]

import os
import threading
from functools import cache
from typing import Any

from .cache import read_object, write_object
from .fingerprint import fingerprint
from .objects import CompiledKernel, Kernel, compile_kernel, link

_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # another thread of the parent may have held the lock
    os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))


def load_kernel(kernel: Kernel[Any], bits: int, package: str) -> CompiledKernel:
    """Return a kernel as a function, for floats of 32 or 64 bits.

    Its machine code is kept on disk if the kernel is in the package, whose files make the version of the machine code.
    """
    with _LOCK:  # two threads that need the same kernel at once compile it once
        return _load_kernel(kernel, bits, package)


@cache
def _load_kernel(kernel: Kernel[Any], bits: int, package: str) -> CompiledKernel:
    version = fingerprint(package) if f"{kernel.write.__module__}.".startswith(f"{package}.") else None
    if version is None:
        return link(compile_kernel(kernel, bits), kernel, bits)
    name = f"{kernel.name}-{bits}-{version}.o"
    kept = read_object(name)
    if kept is not None:
        try:
            return link(kept, kernel, bits)
        except RuntimeError:  # LLVM can't read it
            pass
    image = compile_kernel(kernel, bits)
    compiled = link(image, kernel, bits)
    write_object(name, image, version)
    return compiled
