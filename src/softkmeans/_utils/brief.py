"""Short representations of results: a few lines, however large their arrays are."""

from __future__ import annotations

__all__ = ["brief", "with_brief_repr"]

import textwrap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import prod
from typing import Any, TypeVar

T = TypeVar("T")

MAX_VALUES = 6  # of an array that is shown whole
MAX_LENGTH = 40  # characters of a value
WIDTH = 100  # characters of a line


def with_brief_repr(record: type[T]) -> type[T]:
    """Let a named tuple or dataclass show its fields in a few lines, the long ones by their sizes: a class decorator.

    Parameters
    ----------
    record : type
        The class.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> @with_brief_repr
    ... class Pair(NamedTuple):
    ...     first: float
    ...     others: tuple
    >>> Pair(0.5, tuple(range(1000)))
    Pair(first=0.5, others=<tuple of 1000>)
    """
    record.__repr__ = _brief_repr  # type: ignore[method-assign]
    return record


def _brief_repr(record: Any) -> str:
    """Return the fields of a record as text."""
    names = [field.name for field in fields(record) if field.repr] if is_dataclass(record) else record._fields
    text = ", ".join(f"{name}={brief(getattr(record, name))}" for name in names)
    return textwrap.fill(f"{type(record).__name__}({text})", WIDTH, subsequent_indent="    ", break_long_words=False)


def brief(value: Any) -> str:
    """Return a value as text, or its size if it is long.

    Parameters
    ----------
    value : object
        Any value.

    Examples
    --------
    >>> import numpy as np
    >>> brief(np.array([0.5, 2.0])), brief(np.zeros((1000, 2))), brief("text")
    ('[0.5, 2]', '<array (1000, 2)>', "'text'")
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return _brief_array(value, tuple(shape))
    if isinstance(value, Mapping | list | tuple) and not hasattr(value, "_fields") and len(value) > MAX_VALUES:
        return f"<{type(value).__name__} of {len(value)}>"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {brief(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_LENGTH else f"<{type(value).__name__}>"


def _brief_array(value: Any, shape: tuple[int, ...]) -> str:
    """Return a small vector as a list, another array or tensor by its shape."""
    if len(shape) != 1 or prod(shape) > MAX_VALUES or getattr(value, "is_meta", False):
        kind = "array" if type(value).__name__ == "ndarray" else type(value).__name__.lower()
        return f"<{kind} {shape}>" if shape else repr(value)
    return f"[{', '.join(brief(inner) for inner in value.tolist())}]"
