"""Stable descriptions and hashes of parameters and functions, to compare fits across processes."""

from __future__ import annotations

__all__ = ["describe", "fingerprint"]

import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.source import Source

DIGEST_LENGTH = 12  # hexadecimal digits of a digest in a description


def describe(value: Any) -> str:
    """Return a description of a parameter as text; equal parameters have equal descriptions.

    Examples
    --------
    >>> describe("auto"), describe(2.0)
    ("'auto'", '2.0')
    """
    if value is None or isinstance(value, str | bool | int | float | np.number | np.bool_ | torch.device):
        return repr(value)
    if isinstance(value, np.random.Generator):
        return f"a Generator in state {fingerprint(value.bit_generator.state)[:DIGEST_LENGTH]}"
    if is_dataclass(value) or isinstance(value, list | tuple):
        return repr(value)
    if isinstance(value, np.ndarray | Tensor) or hasattr(value, "__array__"):
        array = np.asarray(value.detach().cpu().double() if isinstance(value, Tensor) else value)
        return f"an array of shape {array.shape} and digest {fingerprint(array)[:DIGEST_LENGTH]}"
    kind = value if callable(value) and hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def fingerprint(value: Any) -> str:
    """Return a digest of a function and of everything that it refers to, such as centers and objectives.

    The digest is the same in every process. Of values that can't be inspected, only the type is included.

    Examples
    --------
    >>> def plus(m):
    ...     return lambda x: x + m
    >>> fingerprint(plus(1)) == fingerprint(plus(1)), fingerprint(plus(1)) == fingerprint(plus(2))
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _bytes_of(value, set()):
        digest.update(part)
    return digest.hexdigest()


def _bytes_of(value: Any, visited: set[int]) -> Iterator[bytes]:
    """Yield the bytes of a value and of everything that it refers to, each object once."""
    yield type(value).__qualname__.encode()
    if value is None or isinstance(value, str | bool | int | float | np.number | torch.dtype | torch.device):
        yield repr(value).encode()
    elif isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        yield repr((array.shape, array.dtype.str)).encode()
        yield np.ascontiguousarray(array).tobytes()
    elif id(value) not in visited and not isinstance(value, Source | type | types.ModuleType):
        visited.add(id(value))
        for inner in _references(value):
            yield from _bytes_of(inner, visited)


def _references(value: Any) -> Iterator[Any]:
    """Yield the values that an object refers to."""
    if isinstance(value, types.FunctionType):
        yield value.__qualname__
        yield from (cell.cell_contents for cell in value.__closure__ or ())
        yield value.__defaults__
        yield value.__kwdefaults__
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, Mapping):
        yield from (part for pair in value.items() for part in pair)
    elif isinstance(value, tuple | list):
        yield from value
    elif is_dataclass(value):
        yield from (getattr(value, field.name) for field in fields(value))
    else:
        yield from getattr(value, "__dict__", {}).values()
