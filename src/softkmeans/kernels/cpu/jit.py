"""Compile kernels for this machine at their first use, and keep them on disk for later processes."""

from __future__ import annotations

__all__ = ["Function", "compile_kernel", "link", "load_kernel"]

import ctypes
import hashlib
import itertools
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import platformdirs
from llvmlite import ir

from ..._utils.atomic import atomic_write
from ...errors import InputError
from . import kernels
from .codegen import FLOAT32, FLOAT64, INT64, Array, Code, Value

Function = Callable[..., None]

FUNCTION_NAME = "kernel"  # the name of a kernel's function in its object file

_LOCK = threading.Lock()
_NUMBERS = itertools.count()
_LIBRARIES: list[Any] = []  # compiled code is freed with its library
if hasattr(os, "register_at_fork"):  # another thread of the parent may have held the lock
    os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))


def load_kernel(name: str, bits: int) -> Function:
    """Return one of `KERNELS` for floats of 32 or 64 bits as a function of `ARGUMENTS`, in that order.

    It releases the interpreter's lock while it runs.
    """
    with _LOCK:  # two threads that need the same kernel at once compile it once
        return _load_kernel(name, bits)


@cache
def _load_kernel(name: str, bits: int) -> Function:
    path = _cache_folder() / f"{name}-{bits}-{_fingerprint()[:32]}.o"
    image = _read(path)
    if image is None:
        image = compile_kernel(kernels.KERNELS[name], bits)
        _write(path, image)
    return link(image)


def link(image: bytes) -> Function:
    """Return the function in an object file."""
    name = f"kernel-{next(_NUMBERS)}"
    library = llvm.JITLibraryBuilder().add_object_img(image).export_symbol(FUNCTION_NAME).link(_linker(), name)
    _LIBRARIES.append(library)
    types = [ctypes.c_int64 if kind == "numbers" else ctypes.c_void_p for kind, _ in _arguments()]
    return ctypes.CFUNCTYPE(None, *types)(library[FUNCTION_NAME])


@cache
def _linker() -> Any:
    _initialize_llvm()
    return llvm.create_lljit_compiler(_target_machine())


@cache
def _initialize_llvm() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _target_machine() -> Any:
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True, reloc="pic", codemodel="small"
    )


def _arguments() -> list[tuple[str, str]]:
    """Return the type and the name of each argument of a kernel, in order."""
    return [(kind, name) for kind, names in kernels.ARGUMENTS.items() for name in names]


def _write_llvm_ir(kernel: kernels.Kernel, bits: int) -> str:
    """Return a kernel as LLVM's intermediate representation."""
    elements = {"floats": FLOAT32 if bits == 32 else FLOAT64, "doubles": FLOAT64, "integers": INT64}
    types = [INT64 if kind == "numbers" else elements[kind].as_pointer() for kind, _ in _arguments()]
    module = ir.Module(FUNCTION_NAME)
    module.triple = llvm.get_process_triple()
    main = ir.Function(module, ir.FunctionType(ir.VoidType(), types), FUNCTION_NAME)
    main.attributes.add("nounwind")
    entry, start = (main.append_basic_block(label) for label in ("entry", "start"))
    ir.IRBuilder(entry).branch(start)
    code, t = Code(ir.IRBuilder(start), bits), SimpleNamespace()
    for (kind, argument), value in zip(_arguments(), main.args, strict=True):
        if kind != "numbers":
            value.add_attribute("noalias")
        setattr(t, argument, Value(code, value) if kind == "numbers" else Array(code, value, elements[kind]))
    kernel(code, t)
    code.builder.ret_void()
    return str(module)


def compile_kernel(kernel: kernels.Kernel, bits: int) -> bytes:
    """Compile a kernel to an object file; LLVM neither vectorizes nor unrolls, as kernels do so themselves."""
    _initialize_llvm()
    machine, module = _target_machine(), llvm.parse_assembly(_write_llvm_ir(kernel, bits))
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    image: bytes = machine.emit_object(module)
    return image


@cache
def _fingerprint() -> str:
    """Return a hash of all that an object file depends on: the kernels' source, the compiler and the processor.

    The list must name every module that generates code.
    """
    sources = [
        Path(__file__).with_name(f"{name}.py").read_bytes()
        for name in ("codegen", "common", "dense", "jit", "kernels", "outputs", "panels", "sparse")
    ]
    machine = [llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    versions = "\n".join([llvmlite.__version__, str(llvm.llvm_version_info), *machine])
    return hashlib.sha256(b"\0".join([versions.encode(), *sources])).hexdigest()


def _cache_folder() -> Path:
    return Path(platformdirs.user_cache_path("softkmeans", appauthor=False)) / "kernels"


def _read(path: Path) -> bytes | None:
    """Read an object file from the cache; return None if it is missing or damaged."""
    try:
        digest, image = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    return image if digest == _digest(image) else None


def _write(path: Path, image: bytes) -> None:
    """Write an object file to the cache; if that fails, later processes compile again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_write(path) as temporary:
            temporary.write_bytes(_digest(image) + b"\n" + image)
    except (OSError, InputError):
        pass


def _digest(image: bytes) -> bytes:
    return hashlib.sha256(image).hexdigest().encode()
