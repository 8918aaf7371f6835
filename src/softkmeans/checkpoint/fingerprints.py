"""What tells parameters, and what is done to rows, from others of another process: words, and digests."""

from __future__ import annotations

__all__ = ["described", "fingerprint"]

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

LENGTH = 12  # hexadecimal digits of a digest in words


def described(value: Any) -> str:
    """Say in words what a parameter is, so that the same words mean the same parameter.

    Examples
    --------
    >>> described("auto"), described(2.0)
    ("'auto'", '2.0')
    """
    if value is None or isinstance(value, str | bool | int | float | np.number | np.bool_ | torch.device):
        return repr(value)
    if isinstance(value, np.random.Generator):
        return f"a Generator in state {fingerprint(value.bit_generator.state)[:LENGTH]}"
    if is_dataclass(value) or isinstance(value, list | tuple):
        return repr(value)
    if isinstance(value, np.ndarray | Tensor) or hasattr(value, "__array__"):
        array = np.asarray(value.detach().cpu().double() if isinstance(value, Tensor) else value)
        return f"an array of shape {array.shape} and digest {fingerprint(array)[:LENGTH]}"
    kind = value if callable(value) and hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def fingerprint(value: Any) -> str:
    """Give a digest of a function and all that it refers to: centers, temperatures, objectives.

    It is the same in every process that does the same. What it knows nothing of only counts by its type.

    Examples
    --------
    >>> def plus(m):
    ...     return lambda x: x + m
    >>> fingerprint(plus(1)) == fingerprint(plus(1)), fingerprint(plus(1)) == fingerprint(plus(2))
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(value, set()):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Give the bytes that a value is made of, each thing once."""
    yield type(value).__qualname__.encode()
    if value is None or isinstance(value, str | bool | int | float | np.number | torch.dtype | torch.device):
        yield repr(value).encode()
    elif isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        yield repr((array.shape, array.dtype.str)).encode()
        yield np.ascontiguousarray(array).tobytes()
    elif id(value) not in seen and not isinstance(value, Source | type | types.ModuleType):
        seen.add(id(value))
        for inner in _inside(value):
            yield from _parts(inner, seen)


def _inside(value: Any) -> Iterator[Any]:
    """Give what a thing refers to."""
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
