"""Memberships and losses of soft k-means as functions of rows, centers and temperature."""

from __future__ import annotations

__all__ = ["LOSSES", "assign", "distortion", "free_energy", "nll"]

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._utils.checks import check_known
from ..distances import Distance
from ..errors import InputError
from .batches import broadcast, sum_of
from .callables import AnyDistance, with_density
from .checks import weighted_rows
from .model import Model


def assign(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Compute the memberships of rows in clusters: the softmax of log_prior - distance / temperature.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d) or (..., k, d)
        Centers, of the same dtype and device. With leading dimensions, there is a batch of problems, each with its own
        rows and centers: the leading dimensions of all arguments broadcast.
    temperature : float or Tensor (), (..., 1) or (..., k)
        T > 0, that of each problem, or that of each cluster, in the units of the distance: by default it divides
        *squared* distances.
    distance : str, Distance or callable
        Distance between rows and centers, or its name; a callable maps x and c to distances (..., n, k).
    log_prior : Tensor (..., k) or (..., k + 1), optional
        Logarithm of the prior of each cluster; that of the noise cluster, if there is one, is the last. By default, all
        priors are equal.
    noise_distance : float, optional
        Distance of a noise cluster from every row; by default, there is none.
    mask : Tensor (..., n) of bool, optional
        Which rows count, for problems of different sizes. The values of other rows do not matter; they get zeros.

    Returns
    -------
    resp : Tensor (..., n, k)
        Memberships; those of a row sum to 1, or to less if there is a noise cluster.

    Raises
    ------
    InputError
        If the distance is unknown, a parameter is out of range, a callable returns another shape, leading dimensions do
        not fit together, or the mask has a wrong shape or leaves a problem without rows.

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

    Two problems with the same rows, each with its own centers and temperature:

    >>> resp = assign(x, torch.stack([c, c + 1]), temperature=torch.tensor([[2.0], [1.0]]))
    >>> resp.shape
    torch.Size([2, 2, 2])
    >>> resp[1, :, 0]
    tensor([0.9997, 0.9820])
    """
    model = Model.of(x, c, temperature, distance, log_prior, noise_distance)
    x, weights = weighted_rows(x, model.batch, None, mask)
    resp = model.memberships(x, c)
    return resp if weights is None else resp * weights[..., None]


def distortion(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the expected distortion E of each row, Σ_k r d; its gradient includes that of the memberships r.

    Parameters
    ----------
    x, c, temperature, distance, log_prior, noise_distance
        As for `assign`.
    sample_weight : Tensor (..., n), optional
        Weights of the rows in the mean or sum.
    mask : Tensor (..., n) of bool, optional
        Which rows count, for problems of different sizes: the losses of others are 0, and no part of the mean.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses: over all rows, also those of several problems.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none". It has the type of x, or float32 if that has fewer bits.

    Raises
    ------
    InputError
        As for `assign`, if the reduction is unknown, or if there are no rows to take the mean or sum of.

    Examples
    --------
    >>> import torch
    >>> distortion(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)
    tensor(1.)
    """
    model = Model.of(x, c, temperature, distance, log_prior, noise_distance)
    return _reduce(model, x, c, (sample_weight, mask), reduction, lambda value: value, of_distortion=True)


def free_energy(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the free energy F of each row, -T log Σ_k exp(-d / T), the objective that EM minimizes.

    With ``log_prior``, its difference from the logarithm of 1 / k is added to -d / T.

    Parameters
    ----------
    x, c, distance, log_prior, noise_distance
        As for `assign`.
    temperature : float or Tensor () or (..., 1)
        T > 0, or that of each problem. There is no free energy if each cluster has its own temperature.
    sample_weight, mask, reduction
        As for `distortion`.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none". It has the type of x, or float32 if that has fewer bits.

    Raises
    ------
    InputError
        As for `distortion`, or if each cluster has its own temperature.

    Examples
    --------
    >>> import torch
    >>> free_energy(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]]), temperature=2.0)  # 1 - 2 log 2
    tensor(-0.3863)
    """
    model = Model.of(x, c, temperature, distance, log_prior, noise_distance)
    if not model.has_one_temperature:
        problem = f"has shape {tuple(model.temperature.shape)}, but the free energy needs one temperature"
        raise InputError(problem, parameter="temperature", expected="a number or a tensor of shape () or (..., 1)")
    return _reduce(model, x, c, (sample_weight, mask), reduction, lambda value: -model.temperature * value)


def nll(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: str | Distance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the negative log-likelihood of each row under the equivalent mixture, F / T + log k + log Z(T).

    Parameters
    ----------
    x, c, temperature, distance, log_prior, noise_distance
        As for `assign`, except that a callable is not supported: it has no density.
    sample_weight, mask, reduction
        As for `distortion`.

    Returns
    -------
    Tensor () or (..., n)
        The latter for "none". It has the type of x, or float32 if that has fewer bits.

    Raises
    ------
    InputError
        As for `distortion`, or if the distance is a callable.

    Examples
    --------
    >>> import torch
    >>> nll(torch.tensor([[0.0]]), torch.tensor([[0.0]]), temperature=2.0)  # log(2 π) / 2, standard normal
    tensor(0.9189)
    """
    chosen = with_density(distance, "objective")
    model = Model.of(x, c, temperature, chosen, log_prior, noise_distance, has_density=True)
    return _reduce(model, x, c, (sample_weight, mask), reduction, lambda value: model.log_normalizer - value)


LOSSES: dict[str, Callable[..., Tensor]] = {"free_energy": free_energy, "distortion": distortion, "nll": nll}


def _reduce(
    model: Model,
    x: Tensor,
    c: Tensor,
    weighting: tuple[Tensor | None, Tensor | None],
    reduction: str,
    convert: Callable[[Tensor], Tensor],
    *,
    of_distortion: bool = False,
) -> Tensor:
    """Reduce the log-partition functions or the distortions of the rows; ``convert`` maps them, or the mean, to losses.

    ``weighting`` holds the weights of the rows and the mask.
    """
    check_known("reduction", reduction, ("mean", "sum", "none"))
    dtype = torch.promote_types(x.dtype, torch.float32)
    x, weights = weighted_rows(x, model.batch, *weighting)
    rows = x.shape[:-1] if model.batch is None else (*model.batch, x.shape[-2])
    if reduction != "none" and 0 in rows:
        raise InputError(f"x has shape {tuple(x.shape)}, without rows", expected="at least one row")
    if reduction != "none" and model.batch is None:
        n = math.prod(rows) if weights is None else weights.sum(dtype=model.beta.dtype)
        mean = convert(model.total(x, c, weights, of_distortion=of_distortion) / n)
        return (mean if reduction == "mean" else mean * n).to(dtype)
    losses = convert(model.values(x, c, of_distortion=of_distortion))
    if weights is not None:
        weights = broadcast(weights, tuple(losses.shape))
        losses = losses * weights
    if reduction == "none":
        return losses.to(dtype)
    total = sum_of(losses)
    if reduction == "mean":
        total = total / (math.prod(rows) if weights is None else sum_of(weights.to(losses.dtype)))
    return total.to(dtype)
