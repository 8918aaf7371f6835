"""Nested records of numbers and tensors as JSON and a list of tensors: what a checkpoint can hold, without pickle."""

from __future__ import annotations

__all__ = ["Encoded", "decode", "encode", "record_types"]

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..errors import InputError

EXPECTED = "numbers, text and tensors, in tuples, lists, dicts, named tuples or dataclasses"


class Encoded(NamedTuple):
    """A value as JSON, in which numbers stand for tensors, and the tensors.

    Attributes
    ----------
    json : object
        The value, made of None, numbers, text, lists and dicts.
    tensors : list of Tensor
        The tensors, each once, on the CPU.
    """

    json: Any
    tensors: list[Tensor]


def record_types(value: Any) -> Iterator[type]:
    """Yield the types of the named tuples and dataclasses in a nested value.

    Examples
    --------
    >>> import torch
    >>> from softkmeans.solvers import PlainState
    >>> [kind.__name__ for kind in record_types((1.0, PlainState([torch.zeros(2)])))]
    ['PlainState']
    """
    if _is_record(value):
        yield type(value)
    if isinstance(value, Tensor):
        return
    for part in _parts(value):
        yield from record_types(part)


def encode(value: Any, types: Collection[type]) -> Encoded:
    """Encode a nested value.

    Parameters
    ----------
    value : object
        None, numbers, text and tensors, in lists, tuples, dicts with text as keys, and records of the given types.
    types : collection of type
        Named tuples and dataclasses that the value may contain.

    Raises
    ------
    InputError
        If the value contains anything else.

    Examples
    --------
    >>> import torch
    >>> zeros = torch.zeros(2)
    >>> encode((zeros, [1.5, zeros]), ()).json
    {'tuple': [{'tensor': 0}, [1.5, {'tensor': 0}]]}
    """
    tensors: dict[int, tuple[int, Tensor]] = {}  # by identity: solvers often hold the same tensor several times

    def to_json(part: Any) -> Any:
        if isinstance(part, Tensor):
            return {"tensor": tensors.setdefault(id(part), (len(tensors), part))[0]}
        if part is None or isinstance(part, bool | int | float | str):
            return part
        if type(part) in types:
            return {"record": _name(type(part)), "fields": {n: to_json(getattr(part, n)) for n in _field_names(part)}}
        if type(part) is tuple:
            return {"tuple": list(map(to_json, part))}
        if type(part) is list:
            return list(map(to_json, part))
        if type(part) is dict and all(isinstance(key, str) for key in part):
            return {"dict": {key: to_json(item) for key, item in part.items()}}
        raise InputError(f"a checkpoint can't hold {_describe(part)}", expected=EXPECTED)

    json = to_json(value)
    return Encoded(json, [tensor.detach().cpu().contiguous() for _, tensor in tensors.values()])


def decode(json: Any, tensors: list[Tensor], types: Collection[type]) -> Any:
    """Return the value that `encode` encoded.

    Parameters
    ----------
    json : object
        JSON of the value, or of a part of it.
    tensors : list of Tensor
        The tensors.
    types : collection of type
        The types of records that the value may contain; no others are made.

    Raises
    ------
    LookupError, TypeError or ValueError
        If the value is damaged, or a type has other fields than the value.

    Examples
    --------
    >>> import torch
    >>> decode({"tuple": [1.5, {"tensor": 0}]}, [torch.zeros(2)], ())
    (1.5, tensor([0., 0.]))
    """
    by_name = {_name(kind): kind for kind in types}

    def from_json(part: Any) -> Any:
        if isinstance(part, list):
            return [from_json(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "tensor" in part:
            return tensors[part["tensor"]]
        if "record" in part:
            return _make_record(by_name[part["record"]], {n: from_json(item) for n, item in part["fields"].items()})
        if "tuple" in part:
            return tuple(map(from_json, part["tuple"]))
        return {key: from_json(item) for key, item in part["dict"].items()}

    return from_json(json)


def _field_names(record: Any) -> tuple[str, ...]:
    """Return the fields of a named tuple or a dataclass, or of such a type; none for anything else."""
    if is_dataclass(record):
        return tuple(field.name for field in fields(record))
    return getattr(record, "_fields", ()) if isinstance(record, tuple | type) else ()


def _make_record(kind: type, values: dict[str, Any]) -> Any:
    """Return a record with these fields, whatever its constructor takes."""
    if set(values) != set(_field_names(kind)):
        raise ValueError(f"a {kind.__name__} has the fields {', '.join(_field_names(kind))}, not {', '.join(values)}")
    if not is_dataclass(kind):
        return kind(**values)
    record = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(record, name, value)  # also of a frozen dataclass
    return record


def _parts(value: Any) -> Iterator[Any]:
    """Yield the values that a record, a tuple, a list or a dict holds."""
    if is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, name) for name in _field_names(value))
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, tuple | list):
        yield from value


def _describe(part: Any) -> str:
    """Describe what can't be encoded, and why if that is not obvious."""
    kind = type(part).__name__
    if _is_record(part):
        return f"a {kind}, as the state from init contains none"
    if isinstance(part, dict):
        return "a dict with other keys than text"
    return f"a {kind} (use torch.as_tensor)" if isinstance(part, np.ndarray) else f"a {kind}"


def _is_record(value: Any) -> bool:
    return bool(_field_names(value)) and not isinstance(value, type)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
