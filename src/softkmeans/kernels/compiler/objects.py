"""Kernels as LLVM's intermediate representation, as object files, and as functions of this process."""

from __future__ import annotations

__all__ = ["CompiledKernel", "Kernel", "compile_kernel", "link", "write_llvm_ir"]

import ctypes
import itertools
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import llvmlite.binding as llvm
from llvmlite import ir

from .arguments import Arguments
from .code import Code
from .machine import target_machine
from .values import INT64

A = TypeVar("A", bound=Arguments)

FUNCTION_NAME = "kernel"  # the name of a kernel's function in its object file

_NUMBERS = itertools.count()
_LIBRARIES: list[Any] = []  # compiled code is freed with its library


class Kernel(NamedTuple, Generic[A]):
    """A kernel: a Python function that writes it, and the class that declares its arguments.

    Attributes
    ----------
    name : str
        Its name, also in the file name of its machine code.
    write : callable
        Function of a `Code` and of an object of ``arguments``, which writes the machine code.
    arguments : type of Arguments
        Declarations of the arguments.
    """

    name: str
    write: Callable[[Code, A], None]
    arguments: type[A]


def write_llvm_ir(kernel: Kernel[Any], bits: int, *, optimized: bool = False) -> str:
    """Return a kernel as LLVM's intermediate representation, before or after LLVM's optimizations.

    Raises
    ------
    IndexError
        If a constant index is negative.
    TypeError
        If the kernel combines values of different types, or stores one in an array of another type.
    ValueError
        If a loop has a constant step that is not positive.
    """
    types = kernel.arguments.parameter_types(bits)
    module = ir.Module(kernel.name)
    module.triple = llvm.get_process_triple()
    main = ir.Function(module, ir.FunctionType(ir.VoidType(), types.values()), FUNCTION_NAME)
    main.attributes.add("nounwind")
    for parameter, name in zip(main.args, types, strict=True):
        parameter.name = name
        if parameter.type != INT64:
            parameter.add_attribute("noalias")
    entry, start = (main.append_basic_block(label) for label in ("entry", "start"))
    ir.IRBuilder(entry).branch(start)
    code = Code(ir.IRBuilder(start), bits)
    kernel.write(code, kernel.arguments(code, main.args))
    if code.n_open_loops:
        raise TypeError(f"{kernel.name} leaves a loop of the machine code by break or return: use code.if_then in it")
    code.builder.ret_void()
    return str(_optimize(str(module))[1]) if optimized else str(module)


def _optimize(llvm_ir: str) -> tuple[Any, Any]:
    """Return the target machine and the optimized module; LLVM neither vectorizes nor unrolls, as kernels do so."""
    machine, module = target_machine(), llvm.parse_assembly(llvm_ir)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine, module


def compile_kernel(kernel: Kernel[Any], bits: int) -> bytes:
    """Compile a kernel for floats of 32 or 64 bits to an object file; raises the errors of `write_llvm_ir`."""
    machine, module = _optimize(write_llvm_ir(kernel, bits))
    image: bytes = machine.emit_object(module)
    return image


class CompiledKernel(NamedTuple):
    """A kernel as a function of this process.

    Attributes
    ----------
    kernel : Kernel
        The kernel.
    bits : int
        Size of its floats: 32 or 64.
    parameters : tuple of str
        Names of the function's parameters, in order.
    function : callable
        The function, of addresses and integers. It releases the interpreter's lock while it runs.
    """

    kernel: Kernel[Any]
    bits: int
    parameters: tuple[str, ...]
    function: Callable[..., None]


def link(image: bytes, kernel: Kernel[Any], bits: int) -> CompiledKernel:
    """Return the kernel in an object file as a function.

    Raises
    ------
    RuntimeError
        If the object file is none for this machine.
    """
    name = f"kernel-{next(_NUMBERS)}"
    library = llvm.JITLibraryBuilder().add_object_img(image).export_symbol(FUNCTION_NAME).link(_linker(), name)
    _LIBRARIES.append(library)
    parameters = kernel.arguments.parameter_types(bits)
    types = [ctypes.c_int64 if kind == INT64 else ctypes.c_void_p for kind in parameters.values()]
    return CompiledKernel(kernel, bits, tuple(parameters), ctypes.CFUNCTYPE(None, *types)(library[FUNCTION_NAME]))


@cache
def _linker() -> Any:
    return llvm.create_lljit_compiler(target_machine())
