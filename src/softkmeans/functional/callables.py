"""Callables as distances: functions or modules from rows (..., n, d) and centers (k, d) to distances (..., n, k)."""

from __future__ import annotations

__all__ = [
    "AnyDistance",
    "DistanceFunction",
    "call_distance",
    "check_function",
    "find_distance",
    "full_precision",
    "with_density",
]

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..distances import DISTANCES, Distance, as_distance, distance_name
from ..errors import InputError, Message, Setting

DistanceFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # x (..., n, d), c (k, d) -> (..., n, k)
AnyDistance: TypeAlias = str | Distance | DistanceFunction

_LOADED = tuple(DISTANCES.values())  # a graph compiled before they are loaded would be compiled again

# Settings that need the density of the distance: the value of the parameter, and what to choose in its place.
DENSITY_SETTINGS: dict[str, tuple[Any, Message]] = {
    "objective": ("nll", Message(Setting("objective", "free_energy"), " or 'distortion'")),
    "learn_temperature": (True, Message(Setting("learn_temperature", False))),
    "temperature": ("a tensor (k,)", Message("one temperature for all clusters")),
}


class _Unquoted(str):
    """The name of a function, which messages show without quotes."""

    __repr__ = str.__str__


def call_distance(function: DistanceFunction, x: Tensor, c: Tensor) -> Tensor:
    """Return the distances (..., n, k) that a callable computes.

    Only the shape is checked: a check of the values in every call would prevent compilation.
    """
    d = function(x, c)
    expected = (*x.shape[:-1], c.shape[-2])
    if not isinstance(d, Tensor) or d.shape != expected:
        returned = f"shape {tuple(d.shape)}" if isinstance(d, Tensor) else f"a {type(d).__name__}"
        raise InputError(
            f"returned {returned} for x of shape {tuple(x.shape)} and c of shape {tuple(c.shape)}",
            parameter="distance",
            value=_Unquoted(distance_name(function)),
            expected=f"a tensor of shape {expected}",
            hint="return distances (..., n, k)",
        )
    return d


def find_distance(distance: AnyDistance) -> Distance | DistanceFunction:
    """Return the distance with a given name; a `Distance` or a callable is returned unchanged."""
    if callable(distance) and not isinstance(distance, type | Distance):  # calling a class makes an instance of it
        return distance
    return as_distance(distance)


def with_density(distance: AnyDistance, parameter: str) -> Distance:
    """Return the distance for a parameter of `DENSITY_SETTINGS`, whose setting needs the probability density.

    Raises
    ------
    InputError
        If the distance is a callable, which has no density; the message suggests other settings.
    """
    resolved = find_distance(distance)
    if isinstance(resolved, Distance):
        return resolved
    value, otherwise = DENSITY_SETTINGS[parameter]
    problem = f"needs the density of the distance, but the callable {distance_name(resolved)} has none"
    hint = Message("choose ", otherwise, ", or use a Distance")
    raise InputError(problem, parameter=parameter, value=value, hint=hint)


def check_function(function: DistanceFunction, c: Tensor) -> None:
    """Raise an InputError unless a callable returns valid distances from a few of the centers (k, d) to all."""
    rows = c[:8]
    with torch.no_grad():
        d = call_distance(function, rows, c)
    if d.is_meta:
        return
    differs = (rows[:, None] != c).any(-1)  # from a center to itself, rounding may lead to slightly less than 0
    if (d.isnan() | ((d < -0.01 * d.abs().max()) & differs)).any():
        raise InputError(
            "returned negative numbers or NaN between the centroids",
            parameter="distance",
            value=_Unquoted(distance_name(function)),
            expected="0 or more",
            hint="use a distance, not a similarity",
        )


def full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Return a context without autocast: half precision is too inaccurate for the differences in distances."""
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()
