"""The differentiable functions of soft k-means, on which `SoftKMeansLayer` is built.

``distance`` may also be a callable that maps rows (..., n, d) and centers (k, d) to distances (..., n, k). Gradients
flow through it, also to parameters of its own. It receives rows and centers unchanged, neither centered nor scaled, so
its numerical accuracy is up to the caller.
"""

from __future__ import annotations

__all__ = ["DistanceFunction", "assign", "distortion", "free_energy", "nll"]

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ._utils.checks import check_known
from .distances import Distance, as_distance, distance_name
from .errors import InputError, Message, Setting
from .model.assignment import softmax

DistanceFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # x (..., n, d), c (k, d) -> (..., n, k)
AnyDistance: TypeAlias = str | Distance | DistanceFunction

# Settings that need the density of the distance: the value of the parameter, and what to choose in its place.
DENSITY_SETTINGS: dict[str, tuple[Any, Message]] = {
    "objective": ("nll", Message(Setting("objective", "free_energy"), " or 'distortion'")),
    "learn_temperature": (True, Message(Setting("learn_temperature", False))),
}


def assign(x: Tensor, c: Tensor, temperature: float | Tensor, distance: AnyDistance = "sqeuclidean") -> Tensor:
    """Compute the memberships of rows in clusters: the softmax of -distance / temperature.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centers, of the same dtype and device.
    temperature : float or Tensor ()
        T > 0, in the units of the distance: by default it divides *squared* distances.
    distance : str, Distance or callable
        Distance between rows and centers, or its name; a callable maps x and c to distances (..., n, k).

    Returns
    -------
    resp : Tensor (..., n, k)
        Memberships; rows sum to 1.

    Raises
    ------
    InputError
        If the distance is unknown, or if a callable returns another shape.

    Examples
    --------
    >>> import torch
    >>> x, c = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    >>> assign(x, c, temperature=2.0)
    tensor([[0.8808, 0.1192],
            [0.5000, 0.5000]])
    >>> assign(x, c, temperature=2.0, distance=lambda x, c: (x[..., None, :] - c).abs().sum(-1))
    tensor([[0.7311, 0.2689],
            [0.5000, 0.5000]])
    """
    d, nearest = _distances(x, c, distance)
    return softmax((nearest - d) / temperature)[0]


def distortion(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    reduction: str = "mean",
) -> Tensor:
    """Compute the expected distortion E of each row, Σ_k r d; its gradient includes that of the memberships r.

    Parameters
    ----------
    x, c, temperature, distance
        As for `assign`.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none".

    Examples
    --------
    >>> import torch
    >>> distortion(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)
    tensor(1.)
    """
    d, nearest = _distances(x, c, distance)
    return _reduce((softmax((nearest - d) / temperature)[0] * d).sum(-1), reduction)


def free_energy(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    reduction: str = "mean",
) -> Tensor:
    """Compute the free energy F of each row, -T log Σ_k exp(-d / T), the objective that EM minimizes.

    Parameters
    ----------
    x, c, temperature, distance
        As for `assign`.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none".

    Examples
    --------
    >>> import torch
    >>> free_energy(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)  # 1 - 2 log 2
    tensor(-0.3863)
    """
    d, nearest = _distances(x, c, distance)
    lognorm = softmax((nearest - d) / temperature)[1]
    return _reduce(nearest.squeeze(-1) - temperature * lognorm, reduction)


def nll(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: str | Distance = "sqeuclidean",
    *,
    reduction: str = "mean",
) -> Tensor:
    """Compute the negative log-likelihood of each row under the equivalent mixture, F / T + log k + log Z(T).

    Parameters
    ----------
    x, c, temperature, distance
        As for `assign`, except that a callable is not supported: it has no density.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none".

    Examples
    --------
    >>> import torch
    >>> nll(torch.tensor([[0.0]]), torch.tensor([[0.0]]), temperature=2.0)  # log(2 π) / 2, standard normal
    tensor(0.9189)
    """
    chosen = with_density(distance, "objective")
    t = torch.as_tensor(temperature, dtype=x.dtype, device=x.device)
    d, nearest = _distances(x, c, chosen)
    lognorm = softmax((nearest - d) / t)[1]
    return _reduce(
        nearest.squeeze(-1) / t - lognorm + math.log(len(c)) + chosen.log_partition(t, x.shape[-1]), reduction
    )


def _distances(x: Tensor, c: Tensor, distance: AnyDistance) -> tuple[Tensor, Tensor]:
    """Return distances (..., n, k), and the smallest one of each row (..., n, 1) as a constant.

    The smallest distance is subtracted from the others before they are divided by T. Otherwise logits would be
    inaccurate, and d / T could overflow. Because it cancels in the memberships, it needs no gradient.
    """
    resolved = find_distance(distance)
    with _full_precision(x.device.type):
        d = _centered_distances(x, c, resolved) if isinstance(resolved, Distance) else _call_distance(resolved, x, c)
    return d, d.detach().amin(-1, keepdim=True)


def _centered_distances(x: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Return distances (..., n, k), computed with the origin moved to the centers.

    Far from the origin, squares of coordinates would lose all digits that matter.
    """
    if distance.translates:
        origin = c.detach().median(0).values  # not the mean, which a single far center would move away
        x, c = x - origin, c - origin
    return distance.between(distance.embed(x), distance.embed(c))


class _Unquoted(str):
    """The name of a function, which messages show without quotes."""

    __repr__ = str.__str__


def _call_distance(function: DistanceFunction, x: Tensor, c: Tensor) -> Tensor:
    """Return the distances (..., n, k) that a callable computes.

    Only the shape is checked: a check of the values in every call would prevent compilation.
    """
    d = function(x, c)
    expected = (*x.shape[:-1], len(c))
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
        d = _call_distance(function, rows, c)
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


def _full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Return a context without autocast: half precision is too inaccurate for the differences in distances."""
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()


def _reduce(values: Tensor, reduction: str) -> Tensor:
    check_known("reduction", reduction, ("mean", "sum", "none"))
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()
