"""Memberships and losses of soft k-means as functions of rows, centers and temperature."""

from __future__ import annotations

__all__ = ["LOSSES", "assign", "distortion", "free_energy", "nll"]

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._utils.checks import check_known, is_number
from ..data.block import working_dtype
from ..distances import DISTANCES, Distance
from ..errors import InputError
from ..model.assignment import softmax
from . import derivatives
from .callables import AnyDistance, DistanceFunction, call_distance, find_distance, full_precision, with_density
from .checks import check_shape, check_tensors, checked_temperature
from .derivatives import Kind
from .graphs import is_traced, may_need_derivatives, tensor_distances
from .small import SmallProblem, small_problem


def assign(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
) -> Tensor:
    """Compute the memberships of rows in clusters: the softmax of log_prior - distance / temperature.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centers, of the same dtype and device.
    temperature : float or Tensor () or (k,)
        T > 0, or that of each cluster, in the units of the distance: by default it divides *squared* distances.
    distance : str, Distance or callable
        Distance between rows and centers, or its name; a callable maps x and c to distances (..., n, k).
    log_prior : Tensor (k,) or (k + 1,), optional
        Logarithm of the prior of each cluster; that of the noise cluster, if there is one, is the last. By default, all
        priors are equal.
    noise_distance : float, optional
        Distance of a noise cluster from every row; by default, there is none.

    Returns
    -------
    resp : Tensor (..., n, k)
        Memberships; those of a row sum to 1, or to less if there is a noise cluster.

    Raises
    ------
    InputError
        If the distance is unknown, a parameter is out of range, or a callable returns another shape.

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
    model = _Model.of(x, c, temperature, distance, log_prior, noise_distance)
    return model.memberships(x, c)


def distortion(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    sample_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the expected distortion E of each row, Σ_k r d; its gradient includes that of the memberships r.

    Parameters
    ----------
    x, c, temperature, distance, log_prior, noise_distance
        As for `assign`.
    sample_weight : Tensor (..., n), optional
        Weights of the rows in the mean or sum.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

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
    model = _Model.of(x, c, temperature, distance, log_prior, noise_distance)
    return _reduce(model, x, c, sample_weight, reduction, lambda value: value, of_distortion=True)


def free_energy(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: AnyDistance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    sample_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the free energy F of each row, -T log Σ_k exp(-d / T), the objective that EM minimizes.

    With ``log_prior``, its difference from the logarithm of 1 / k is added to -d / T.

    Parameters
    ----------
    x, c, distance, log_prior, noise_distance
        As for `assign`.
    temperature : float or Tensor ()
        T > 0. There is no free energy if each cluster has its own temperature.
    sample_weight, reduction
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
    model = _Model.of(x, c, temperature, distance, log_prior, noise_distance)
    if model.temperature.ndim:
        problem = f"has shape {tuple(model.temperature.shape)}, but the free energy needs one temperature"
        raise InputError(problem, parameter="temperature", expected="a number or a tensor of shape ()")
    return _reduce(model, x, c, sample_weight, reduction, lambda value: -model.temperature * value)


def nll(
    x: Tensor,
    c: Tensor,
    temperature: float | Tensor,
    distance: str | Distance = "sqeuclidean",
    *,
    log_prior: Tensor | None = None,
    noise_distance: float | None = None,
    sample_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the negative log-likelihood of each row under the equivalent mixture, F / T + log k + log Z(T).

    Parameters
    ----------
    x, c, temperature, distance, log_prior, noise_distance
        As for `assign`, except that a callable is not supported: it has no density.
    sample_weight, reduction
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
    model = _Model.of(x, c, temperature, chosen, log_prior, noise_distance, has_density=True)
    return _reduce(model, x, c, sample_weight, reduction, lambda value: model.log_normalizer - value)


LOSSES: dict[str, Callable[..., Tensor]] = {"free_energy": free_energy, "distortion": distortion, "nll": nll}


class _Model(NamedTuple):
    """The coefficients of the logits, in the type in which sums are computed.

    Attributes
    ----------
    distance : Distance or callable
        The distance.
    registered_name : str or None
        The name under which it is registered, None if it is not.
    temperature : Tensor () or (k,)
        T.
    beta, b : Tensor (k,) or (k + 1,)
        The logits are b - beta d; the last of k + 1 are those of the noise cluster.
    noise_distance : float or None
        Distance of the noise cluster, if there is one.
    log_normalizer : Tensor () or float
        The log-partition function less this is the log-likelihood of a row.
    """

    distance: Distance | DistanceFunction
    registered_name: str | None
    temperature: Tensor
    beta: Tensor
    b: Tensor
    noise_distance: float | None
    log_normalizer: Tensor | float

    @classmethod
    def of(
        cls,
        x: Tensor,
        c: Tensor,
        temperature: float | Tensor,
        distance: AnyDistance,
        log_prior: Tensor | None,
        noise_distance: float | None,
        *,
        has_density: bool = False,
    ) -> _Model:
        """Check the parameters of a function, and return the coefficients of its logits."""
        if not is_traced():
            check_tensors(x, c)
        found, k = find_distance(distance), c.shape[0]
        like: dict[str, Any] = {"dtype": working_dtype(c.device), "device": c.device}
        n_logits = k if noise_distance is None else k + 1
        t = checked_temperature(temperature, k)
        t = t.to(**like) if isinstance(t, Tensor) else torch.tensor(t, **like)
        if noise_distance is not None and not is_number(noise_distance, lambda number: 0 < number < math.inf):
            raise InputError(parameter="noise_distance", value=noise_distance, hint="give a finite number above 0")
        if noise_distance is not None and t.ndim:
            problem = "is not supported with a temperature per cluster"
            raise InputError(problem, parameter="noise_distance", value=noise_distance, hint="use one temperature")
        beta = t.reciprocal().repeat(n_logits) if t.ndim == 0 else t.reciprocal()
        if log_prior is None:
            b = torch.zeros(n_logits, **like)
        else:
            check_shape("log_prior", log_prior, (n_logits,))
            b = log_prior.to(**like) + math.log(n_logits)
        normalizer: Tensor | float = 0.0
        if has_density or t.ndim:
            dense = with_density(found, "temperature")
            if not t.ndim:
                log_z = dense.log_partition(t, x.shape[-1])
            else:
                log_z = torch.stack([dense.log_partition(part, x.shape[-1]) for part in t])
                b, log_z = b - log_z + log_z.detach().min(), log_z.detach().min()
            normalizer = math.log(n_logits) + log_z
        name = DISTANCES.name_of(found) if isinstance(found, Distance) else None
        return cls(found, name, t, beta, b, noise_distance, normalizer)

    def memberships(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the memberships (..., n, k) of rows."""
        if self.registered_name is None:
            return softmax(self._logits_and_distances(x, c)[0])[0][..., : c.shape[0]].to(x.dtype)
        small = self._small(x, c)
        if small is not None:
            return small.logits.softmax(1).to(x.dtype).view(*x.shape[:-1], -1)
        rows, centers, kind = self._embed(x, c, of_distortion=False)
        resp = derivatives.memberships(rows, centers, self.beta, self.b, kind)
        return resp.to(x.dtype).view(*x.shape[:-1], c.shape[0])

    def total(self, x: Tensor, c: Tensor, weights: Tensor | None, *, of_distortion: bool) -> Tensor:
        """Return the weighted sum () over rows of their log-partition functions or distortions."""
        if self.registered_name is None:
            values = self.values(x, c, of_distortion=of_distortion)
            return values.sum() if weights is None else (values * weights).sum()
        small = self._small(x, c)
        if small is not None:
            values = small.values(of_distortion=of_distortion)
            return values.sum() if weights is None else values @ weights.reshape(-1).to(values.dtype)
        rows, centers, kind = self._embed(x, c, of_distortion=of_distortion)
        w = None if weights is None else weights.reshape(-1)
        return derivatives.total(rows, centers, self.beta, self.b, w, kind)

    def values(self, x: Tensor, c: Tensor, *, of_distortion: bool) -> Tensor:
        """Return the log-partition functions or the distortions (..., n) of rows."""
        if self.registered_name is None:
            logits, d = self._logits_and_distances(x, c)
            resp, log_partition = softmax(logits)
            return (resp * d).sum(-1) if of_distortion else log_partition
        small = self._small(x, c)
        if small is not None:
            return small.values(of_distortion=of_distortion).view(x.shape[:-1])
        rows, centers, kind = self._embed(x, c, of_distortion=of_distortion)
        return derivatives.row_values(rows, centers, self.beta, self.b, kind).view(x.shape[:-1])

    def _small(self, x: Tensor, c: Tensor) -> SmallProblem | None:
        """Return logits and distances if the rows are few and the model is plain, else None."""
        is_plain = isinstance(self.distance, Distance) and self.distance.is_squared
        if not is_plain or self.noise_distance is not None or self.temperature.ndim:
            return None
        return small_problem(x.reshape(-1, x.shape[-1]), c, self.beta, self.b)

    def _embed(self, x: Tensor, c: Tensor, *, of_distortion: bool) -> tuple[Tensor, Tensor, Kind]:
        """Return rows (m, d), embedded centers, and the kind of their values.

        Rows are embedded here only if they need a gradient: that takes memory of their size.
        """
        assert isinstance(self.distance, Distance)  # noqa: S101 -- for mypy: it is registered
        assert self.registered_name is not None  # noqa: S101 -- the same
        rows = x.reshape(-1, x.shape[-1])
        if type(self.distance).embed is Distance.embed:
            return rows, c, Kind(self.noise_distance, self.registered_name, False, of_distortion)
        c, embeds = self.distance.embed(c.to(self.beta.dtype)), not may_need_derivatives(rows)
        rows = rows if embeds else self.distance.embed(rows.to(self.beta.dtype))
        return rows, c, Kind(self.noise_distance, self.registered_name, embeds, of_distortion)

    def _logits_and_distances(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and distances (..., n, k) of rows, for distances that are not registered."""
        with full_precision(x.device.type):
            if isinstance(self.distance, Distance):
                d = tensor_distances(x.to(self.beta.dtype), c.to(self.beta.dtype), self.distance)
            else:
                d = call_distance(self.distance, x, c).to(self.beta.dtype)
        if self.noise_distance is not None:
            d = torch.cat([d, d.new_full((*d.shape[:-1], 1), self.noise_distance)], -1)
        return self.b - self.beta * d, d


def _reduce(
    model: _Model,
    x: Tensor,
    c: Tensor,
    weights: Tensor | None,
    reduction: str,
    convert: Callable[[Tensor], Tensor],
    *,
    of_distortion: bool = False,
) -> Tensor:
    """Reduce the log-partition functions or the distortions of the rows; ``convert`` maps the mean to the loss."""
    check_known("reduction", reduction, ("mean", "sum", "none"))
    dtype = torch.promote_types(x.dtype, torch.float32)
    if weights is not None:
        check_shape("sample_weight", weights, tuple(x.shape[:-1]))
    if reduction == "none":
        losses = convert(model.values(x, c, of_distortion=of_distortion))
        return (losses if weights is None else losses * weights).to(dtype)
    n_rows = math.prod(x.shape[:-1])
    if not n_rows:
        raise InputError(f"x has shape {tuple(x.shape)}, without rows", expected="at least one row")
    n = n_rows if weights is None else weights.sum(dtype=model.beta.dtype)
    mean = convert(model.total(x, c, weights, of_distortion=of_distortion) / n)
    return (mean if reduction == "mean" else mean * n).to(dtype)
