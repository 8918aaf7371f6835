"""The differentiable functions of soft k-means: what `SoftKMeansLayer` is made of."""

from __future__ import annotations

__all__ = ["assign", "distortion", "free_energy", "nll"]

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from .checks import check_known
from .distances import Distance, as_distance
from .rules import softmax


def assign(x: Tensor, c: Tensor, temperature: float | Tensor, distance: str | Distance = "sqeuclidean") -> Tensor:
    """Give the responsibilities of clusters for rows, softmax of minus distance over temperature.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centres, of the same dtype and device.
    temperature : float or Tensor ()
        T > 0, in the units of the distance: it divides *squared* distances by default.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        What is between rows and centres.

    Returns
    -------
    resp : Tensor (..., n, k)
        Rows sum to 1.

    Examples
    --------
    >>> import torch
    >>> assign(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)
    tensor([[0.8808, 0.1192],
            [0.5000, 0.5000]])
    """
    d, nearest = _distances(x, c, as_distance(distance))
    return softmax((nearest - d) / temperature)[0]


def distortion(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: str | Distance = "sqeuclidean",
    *,
    reduction: str = "mean",
) -> Tensor:
    """Give the expected distortion E of each row, Σ_k r d, differentiable through r too.

    Parameters are those of `assign`, and ``reduction``, "mean" (default), "sum" or "none", as in PyTorch's losses.
    Returns a Tensor (), or (..., n) for "none".

    Examples
    --------
    >>> import torch
    >>> distortion(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)
    tensor(1.)
    """
    d, nearest = _distances(x, c, as_distance(distance))
    return _reduce((softmax((nearest - d) / temperature)[0] * d).sum(-1), reduction)


def free_energy(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: str | Distance = "sqeuclidean",
    *,
    reduction: str = "mean",
) -> Tensor:
    """Give the free energy F of each row, -T log Σ_k exp(-d / T): the objective that EM lowers.

    Parameters are those of `assign`, and ``reduction``, "mean" (default), "sum" or "none", as in PyTorch's losses.
    Returns a Tensor (), or (..., n) for "none".

    Examples
    --------
    >>> import torch
    >>> free_energy(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)  # 1 - 2 log 2
    tensor(-0.3863)
    """
    d, nearest = _distances(x, c, as_distance(distance))
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

    Parameters are those of `assign`, and ``reduction``, "mean" (default), "sum" or "none", as in PyTorch's losses.
    Returns a Tensor (), or (..., n) for "none".

    Examples
    --------
    >>> import torch
    >>> nll(torch.tensor([[0.0]]), torch.tensor([[0.0]]), temperature=2.0)  # log(2 π) / 2, a standard normal's
    tensor(0.9189)
    """
    chosen = as_distance(distance)
    t = torch.as_tensor(temperature, dtype=x.dtype, device=x.device)
    d, nearest = _distances(x, c, chosen)
    lognorm = softmax((nearest - d) / t)[1]
    return _reduce(
        nearest.squeeze(-1) / t - lognorm + math.log(len(c)) + chosen.log_partition(t, x.shape[-1]), reduction
    )


def _distances(x: Tensor, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Distances (..., n, k), and the least of each row (..., n, 1), a constant.

    They are taken from amid the centres: far from the origin, squares would lose all their digits. Logits are taken
    from the least distance, for the same reason, and because d / T may overflow; as it cancels, no gradient flows
    through it.
    """
    with _full_precision(x.device.type):
        if distance.translates:
            origin = c.detach().median(0).values  # not the mean, which one centre astray would take along
            x, c = x - origin, c - origin
        d = distance.between(distance.embed(x), distance.embed(c))
    return d, d.detach().amin(-1, keepdim=True)


def _full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Leave autocast for a while: half precision has too few digits for what cancels in distances."""
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()


def _reduce(values: Tensor, reduction: str) -> Tensor:
    check_known("reduction", reduction, ("mean", "sum", "none"))
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()
