"""The processor that kernels are compiled for, and the LLVM that compiles them."""

from __future__ import annotations

__all__ = ["describe_machine", "lanes", "register_bytes", "target_machine"]

from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm


@cache
def register_bytes() -> int:
    """Return the number of bytes of this machine's SIMD registers."""
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


def lanes(bits: int) -> int:
    """Return the number of floats of a size that fit into a register."""
    return register_bytes() * 8 // bits


def target_machine() -> Any:
    """Return LLVM's description of this machine, after initializing LLVM."""
    _initialize_llvm()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    relocation, code_model = _addressing()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True, reloc=relocation, codemodel=code_model
    )


def _addressing() -> tuple[str, str]:
    """Return how machine code addresses its constants, in LLVM's words: relocation and code model.

    On Linux, LLVM loads code and constants into memory that may be farther apart than 32 bits can address, in which
    case it ends the process. Addresses of 64 bits take no more time, as they are loaded outside of loops.
    """
    triple = llvm.get_process_triple()
    return ("static", "large") if triple.startswith("x86_64") and "linux" in triple else ("pic", "small")


@cache
def _initialize_llvm() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def describe_machine() -> list[str]:
    """Return all that machine code depends on besides its source: versions, operating system and processor."""
    machine = [llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return [llvmlite.__version__, str(llvm.llvm_version_info), *machine]
