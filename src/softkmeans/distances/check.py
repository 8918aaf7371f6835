"""Check a user's distance on a few rows, before a fit."""

from __future__ import annotations

__all__ = ["check_distance"]

import torch
from torch import Tensor

from ..errors import InputError
from .base import Distance, squared_distances

TOLERANCE = 1e-6  # relative rounding error


def check_distance(distance: Distance, rows: Tensor) -> None:
    """Raise an InputError if a distance contradicts its description.

    Parameters
    ----------
    distance : Distance
        The distance.
    rows : Tensor (m, d)
        A few rows, centered and scaled, but not embedded.

    Examples
    --------
    >>> class Cauchy(Distance):
    ...     name = "cauchy"
    ...     power = 2
    ...     def of_squared(self, squared):
    ...         return squared.log1p()
    >>> check_distance(Cauchy(), torch.tensor([[0.0], [1.0]]))
    Traceback (most recent call last):
    softkmeans.errors.InputError: distance='cauchy' is not multiplied by 4 if the rows are doubled, as power=2 says: ...
    """
    z = distance.embed(rows)
    d = distance.between(z, z)
    expected = (len(rows), len(rows))
    if not isinstance(d, Tensor) or tuple(d.shape) != expected or d.dtype != rows.dtype:
        got = f"{d.dtype} {tuple(d.shape)}" if isinstance(d, Tensor) else f"a {type(d).__name__}"
        raise _error(
            distance, f"returned {got} for {expected[0]} rows and as many centers", f"return {rows.dtype} {expected}"
        )
    if not d.isfinite().all() or (d < -TOLERANCE * d.abs().max()).any():
        raise _error(distance, "is negative or not finite for some rows", "return finite numbers of 0 or more")
    if distance.constant_slope is None and not _gradient_is_valid(distance, z):
        hint = "take no root at 0, not even in a branch of torch.where that is not used: clamp its argument"
        raise _error(distance, "has a derivative that is not a number where a row equals a center", hint)
    if distance.power is not None and not _close(
        distance.between(distance.embed(2 * rows), distance.embed(2 * rows)), 2**distance.power * d
    ):
        problem = f"is not multiplied by {2**distance.power:g} if the rows are doubled, as power={distance.power} says"
        raise _error(distance, problem, "correct power, or set it to None if no power is right")
    if distance.translates and not _close(distance.unembed(z), rows):
        raise _error(distance, "has an unembed that is not the inverse of embed", "correct unembed")


def _gradient_is_valid(distance: Distance, z: Tensor) -> bool:
    """Return whether no derivative is NaN; those of functions of the squared distance may be infinite at 0."""
    if distance.is_radial:
        return not bool(distance.with_slope(squared_distances(z, z))[1].isnan().any())
    with torch.enable_grad():
        leaf = z.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(distance.between(z.detach(), leaf).sum(), leaf)
    return bool(gradient.isfinite().all())


def _close(one: Tensor, other: Tensor) -> bool:
    scale = float(other.abs().max())
    return bool(((one - other).abs() <= TOLERANCE * max(scale, 1e-300)).all())


def _error(distance: Distance, problem: str, hint: str) -> InputError:
    return InputError(problem, parameter="distance", value=distance.name, hint=hint)
