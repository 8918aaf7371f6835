"""The differentiable functions of soft k-means: what `SoftKMeansLayer` is made of.

``distance`` may also be a callable that takes rows (..., n, d) and centers (k, d) to distances (..., n, k). Gradients
flow through it, also into parameters of its own. It is given rows and centers as they are: digits are its own affair.
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
from .errors import InputError
from .model.assignment import softmax

DistanceFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # of x (..., n, d) and c (k, d): (..., n, k)
AnyDistance: TypeAlias = str | Distance | DistanceFunction


def assign(x: Tensor, c: Tensor, temperature: float | Tensor, distance: AnyDistance = "sqeuclidean") -> Tensor:
    """Give the responsibilities of clusters for rows, softmax of minus distance over temperature.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centers, of the same dtype and device.
    temperature : float or Tensor ()
        T > 0, in the units of the distance: it divides *squared* distances by default.
    distance : {"sqeuclidean", "euclidean", "cosine"}, Distance or callable
        What is between rows and centers; a callable takes x and c to distances (..., n, k).

    Returns
    -------
    resp : Tensor (..., n, k)
        Rows sum to 1.

    Raises
    ------
    InputError
        If there is no such distance, or a callable gives another shape.

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
    """Give the expected distortion E of each row, Σ_k r d, differentiable through r too.

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
    """Give the free energy F of each row, -T log Σ_k exp(-d / T): the objective that EM lowers.

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
    """Give the negative log-likelihood of each row under the equivalent mixture, F / T + log k + log Z(T).

    Parameters
    ----------
    x, c, temperature, distance
        As for `assign`; but a callable has no density, and no likelihood.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none".

    Examples
    --------
    >>> import torch
    >>> nll(torch.tensor([[0.0]]), torch.tensor([[0.0]]), temperature=2.0)  # log(2 π) / 2, a standard normal's
    tensor(0.9189)
    """
    chosen = with_density(distance, "objective='nll'", "objective='free_energy' or 'distortion'")
    t = torch.as_tensor(temperature, dtype=x.dtype, device=x.device)
    d, nearest = _distances(x, c, chosen)
    lognorm = softmax((nearest - d) / t)[1]
    return _reduce(
        nearest.squeeze(-1) / t - lognorm + math.log(len(c)) + chosen.log_partition(t, x.shape[-1]), reduction
    )


def _distances(x: Tensor, c: Tensor, distance: AnyDistance) -> tuple[Tensor, Tensor]:
    """Distances (..., n, k), and the least of each row (..., n, 1), a constant.

    Logits are taken from the least distance: else they would lose their digits, and d / T may overflow. As it cancels,
    no gradient flows through it.
    """
    found = find_distance(distance)
    with _full_precision(x.device.type):
        d = _between(x, c, found) if isinstance(found, Distance) else _measured(x, c, found)
    return d, d.detach().amin(-1, keepdim=True)


def _between(x: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Distances (..., n, k), from amid the centers: far from the origin, squares would lose all their digits."""
    if distance.translates:
        origin = c.detach().median(0).values  # not the mean, which one center astray would take along
        x, c = x - origin, c - origin
    return distance.between(distance.embed(x), distance.embed(c))


def _measured(x: Tensor, c: Tensor, function: DistanceFunction) -> Tensor:
    """Distances (..., n, k) by a callable; shapes are all that is checked in every pass, as compilers allow."""
    d, expected = function(x, c), (*x.shape[:-1], len(c))
    if not isinstance(d, Tensor) or d.shape != expected:
        came = f"shape {tuple(d.shape)}" if isinstance(d, Tensor) else f"a {type(d).__name__}"
        raise InputError(
            f"distance {distance_name(function)} gave {came} for x of shape {tuple(x.shape)} and c of shape "
            f"{tuple(c.shape)}, expected a tensor of shape {expected}: return distances (..., n, k)"
        )
    return d


def find_distance(distance: AnyDistance) -> Distance | DistanceFunction:
    """Look a distance up by name; a ``Distance`` or a callable passes through."""
    if callable(distance) and not isinstance(distance, type | Distance):  # a class is called to give objects
        return distance
    return as_distance(distance)


def with_density(distance: AnyDistance, purpose: str, otherwise: str) -> Distance:
    """Look up a distance for a purpose that needs the density behind it, or say what to choose otherwise."""
    found = find_distance(distance)
    if isinstance(found, Distance):
        return found
    raise InputError(
        f"{purpose} needs the density behind a distance, and the callable {distance_name(found)} has none: "
        f"choose {otherwise}, or give a Distance"
    )


def check_function(function: DistanceFunction, c: Tensor) -> None:
    """Raise an InputError unless a callable gives distances between a few centers (k, d), on trial."""
    few = c[:8]
    with torch.no_grad():
        d = _measured(few, c, function)
    if d.is_meta:
        return
    apart = (few[:, None] != c).any(-1)  # on a center, rounding may give a little less than 0
    if (d.isnan() | ((d < -0.01 * d.abs().max()) & apart)).any():
        raise InputError(
            f"distance {distance_name(function)} gives negative numbers or NaN between the centroids: "
            "give a distance, which is 0 or more, not a similarity"
        )


def _full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Leave autocast for a while: half precision has too few digits for what cancels in distances."""
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()


def _reduce(values: Tensor, reduction: str) -> Tensor:
    check_known("reduction", reduction, ("mean", "sum", "none"))
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()
