"""Checks of the arguments of memberships and losses."""

from __future__ import annotations

__all__ = ["check_shape", "check_tensors", "checked_temperature"]

import math

from torch import Tensor

from .._utils.checks import is_number
from ..errors import InputError


def checked_temperature(temperature: float | Tensor, k: int) -> float | Tensor:
    """Return a temperature; raise an InputError if it is neither a number above 0 nor a tensor () or (k,)."""
    if isinstance(temperature, Tensor):
        if temperature.ndim:
            check_shape("temperature", temperature, (k,))
    elif not is_number(temperature, lambda number: 0 < number < math.inf):
        raise InputError(parameter="temperature", value=temperature, hint="give a finite number above 0")
    return temperature


def check_tensors(x: Tensor, c: Tensor) -> None:
    """Raise an InputError if rows and centers are no floating-point tensors that fit together."""
    for name, array in (("x", x), ("c", c)):
        if not isinstance(array, Tensor) or not array.is_floating_point():
            found = f"dtype {array.dtype}" if isinstance(array, Tensor) else f"type {type(array).__name__}"
            raise InputError(f"{name} has {found}", expected="a tensor of floating-point numbers")
    if c.ndim != 2 or x.ndim < 2 or x.shape[-1] != c.shape[1] or not c.shape[0]:
        problem = f"x has shape {tuple(x.shape)} and c {tuple(c.shape)}"
        raise InputError(problem, expected="(..., n, d) and (k, d) with k of 1 or more")
    if x.dtype != c.dtype:
        raise InputError(f"x has dtype {x.dtype} and c {c.dtype}", expected="one dtype")
    if x.device != c.device:
        raise InputError(f"x is on {x.device} and c on {c.device}", hint="move both to one device")


def check_shape(parameter: str, array: Tensor, expected: tuple[int, ...]) -> None:
    """Raise an InputError if an argument is no tensor of the expected shape."""
    if not isinstance(array, Tensor) or tuple(array.shape) != expected:
        found = f"shape {tuple(array.shape)}" if isinstance(array, Tensor) else f"type {type(array).__name__}"
        raise InputError(f"has {found}", parameter=parameter, expected=f"a tensor of shape {expected}")
