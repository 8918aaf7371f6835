"""Flatten additive values to tensors, for all-reduce and checkpoints."""

from __future__ import annotations

__all__ = ["KINDS", "Kind", "build", "kind_of", "leaves"]

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import Tensor

from ..model.params import PassStats
from ..model.stats import Stats
from .sampling import Reservoir
from .top_rows import TopRows


class Kind(NamedTuple):
    """A type of additive value.

    Attributes
    ----------
    type : type
        Type of the value.
    parts : dict of str
        Kinds of the fields, in order; empty for a tensor.
    elementwise : bool
        Whether ``+`` adds the values elementwise, as an all-reduce does.
    """

    type: Callable[..., Any]
    parts: dict[str, str]
    elementwise: bool = True


KINDS = {
    "tensor": Kind(Tensor, {}),
    "stats": Kind(Stats, dict.fromkeys(Stats.__dataclass_fields__, "tensor")),
    "summary": Kind(PassStats, {"stats": "stats", "extra": "tensor"}),
    "reservoir": Kind(Reservoir, dict.fromkeys(Reservoir.__dataclass_fields__, "tensor"), elementwise=False),
    "top rows": Kind(TopRows, dict.fromkeys(TopRows.__dataclass_fields__, "tensor"), elementwise=False),
}


def kind_of(value: Any) -> str:
    """Return the name of a value's kind.

    Examples
    --------
    >>> import torch
    >>> kind_of(torch.zeros(2))
    'tensor'
    """
    return next(name for name, kind in KINDS.items() if isinstance(value, kind.type))  # type: ignore[arg-type]


def leaves(value: Any) -> list[Tensor]:
    """Return the tensors of a value.

    Examples
    --------
    >>> import torch
    >>> leaves(torch.zeros(2))
    [tensor([0., 0.])]
    """
    if isinstance(value, Tensor):
        return [value]
    return [leaf for name in KINDS[kind_of(value)].parts for leaf in leaves(getattr(value, name))]


def build(kind: str, tensors: Iterator[Tensor]) -> Any:
    """Build a value of a kind from its tensors.

    Examples
    --------
    >>> import torch
    >>> build("tensor", iter([torch.zeros(2)]))
    tensor([0., 0.])
    """
    if kind == "tensor":
        return next(tensors)
    return KINDS[kind].type(*[build(part, tensors) for part in KINDS[kind].parts.values()])
