"""From a kernel to a function of this machine, compiled at its first use and kept on disk for later processes."""

from __future__ import annotations

__all__ = ["Function", "compiled", "function", "linked"]

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
from .codegen import DOUBLE, INT, SINGLE, Array, Code, Value

Function = Callable[..., None]

ENTRY = "kernel"  # the name of a kernel's function in its object file

_LOCK = threading.Lock()
_NUMBERS = itertools.count()
_LIBRARIES: list[Any] = []  # compiled code lives as long as these do
if hasattr(os, "register_at_fork"):  # a thread of the parent's may have held it
    os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))


def function(name: str, bits: int) -> Function:
    """Give one of `KERNELS` for floats of 32 or 64 bits: it takes what `ARGUMENTS` names, in that order.

    While it runs, the interpreter's lock is free.
    """
    with _LOCK:  # two threads that want the same kernel at once compile it once
        return _function(name, bits)


@cache
def _function(name: str, bits: int) -> Function:
    path = _cache_folder() / f"{name}-{bits}-{_fingerprint()[:32]}.o"
    image = _read(path)
    if image is None:
        image = compiled(kernels.KERNELS[name], bits)
        _write(path, image)
    return linked(image)


def linked(image: bytes) -> Function:
    """Make a function of an object file."""
    name = f"kernel-{next(_NUMBERS)}"
    library = llvm.JITLibraryBuilder().add_object_img(image).export_symbol(ENTRY).link(_linker(), name)
    _LIBRARIES.append(library)
    types = [ctypes.c_int64 if kind == "numbers" else ctypes.c_void_p for kind, _ in _arguments()]
    return ctypes.CFUNCTYPE(None, *types)(library[ENTRY])


@cache
def _linker() -> Any:
    _initialize()
    return llvm.create_lljit_compiler(_machine())


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _machine() -> Any:
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True, reloc="pic", codemodel="small"
    )


def _arguments() -> list[tuple[str, str]]:
    return [(kind, name) for kind, names in kernels.ARGUMENTS.items() for name in names]


def _write_module(kernel: kernels.Kernel, bits: int) -> str:
    """Write a kernel in LLVM's own language."""
    kinds = {"floats": SINGLE if bits == 32 else DOUBLE, "doubles": DOUBLE, "integers": INT}
    types = [INT if kind == "numbers" else kinds[kind].as_pointer() for kind, _ in _arguments()]
    module = ir.Module(ENTRY)
    module.triple = llvm.get_process_triple()
    main = ir.Function(module, ir.FunctionType(ir.VoidType(), types), ENTRY)
    main.attributes.add("nounwind")
    entry, start = (main.append_basic_block(label) for label in ("entry", "start"))
    ir.IRBuilder(entry).branch(start)
    code, t = Code(ir.IRBuilder(start), bits), SimpleNamespace()
    for (kind, argument), value in zip(_arguments(), main.args, strict=True):
        if kind != "numbers":
            value.add_attribute("noalias")
        setattr(t, argument, Value(code, value) if kind == "numbers" else Array(code, value, kinds[kind]))
    kernel(code, t)
    code.builder.ret_void()
    return str(module)


def compiled(kernel: kernels.Kernel, bits: int) -> bytes:
    """Compile a kernel to an object file. Loops are left as they are written: they hold their own registers."""
    _initialize()
    machine, module = _machine(), llvm.parse_assembly(_write_module(kernel, bits))
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    image: bytes = machine.emit_object(module)
    return image


@cache
def _fingerprint() -> str:
    """Name all that an object file depends on: the kernels' source, the compiler and the processor."""
    sources = [
        Path(__file__).with_name(f"{name}.py").read_bytes()
        for name in ("codegen", "common", "dense", "jit", "kernels", "outputs", "panels", "sparse")
    ]
    machine = [llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    about = "\n".join([llvmlite.__version__, str(llvm.llvm_version_info), *machine])
    return hashlib.sha256(b"\0".join([about.encode(), *sources])).hexdigest()


def _cache_folder() -> Path:
    return Path(platformdirs.user_cache_path("softkmeans", appauthor=False)) / "kernels"


def _read(path: Path) -> bytes | None:
    """Read an object file that was kept, if it is there and whole."""
    try:
        digest, image = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    return image if digest == _digest(image) else None


def _write(path: Path, image: bytes) -> None:
    """Keep an object file for later processes; where that can't be done, they compile again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_write(path) as temporary:
            temporary.write_bytes(_digest(image) + b"\n" + image)
    except (OSError, InputError):
        pass


def _digest(image: bytes) -> bytes:
    return hashlib.sha256(image).hexdigest().encode()
