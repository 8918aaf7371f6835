"""A compiler of kernels for the CPU: their language, arguments and memory, and a cache of machine code.

It knows nothing of clustering. docs/kernels.md shows how a kernel is written.
"""

from __future__ import annotations

__all__ = [
    "ALIGNMENT",
    "FLOAT",
    "FLOAT32",
    "FLOAT64",
    "INT32",
    "INT64",
    "MIN_EXPONENT",
    "Arguments",
    "Array",
    "Call",
    "Code",
    "CompiledKernel",
    "Input",
    "Kernel",
    "Layout",
    "Number",
    "Output",
    "Scratch",
    "Setting",
    "Sum",
    "Value",
    "Variable",
    "cache_folder",
    "compile_kernel",
    "lanes",
    "link",
    "load_kernel",
    "register_bytes",
    "run_once",
    "write_llvm_ir",
]

from .arguments import FLOAT, FLOAT32, FLOAT64, INT32, INT64, Arguments, Input, Number, Output, Scratch, Setting, Sum
from .cache import cache_folder
from .call import Call, run_once
from .code import MIN_EXPONENT, Code
from .layout import ALIGNMENT, Layout
from .loading import load_kernel
from .machine import lanes, register_bytes
from .objects import CompiledKernel, Kernel, compile_kernel, link, write_llvm_ir
from .values import Array, Value, Variable
