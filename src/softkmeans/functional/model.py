"""What determines memberships: distance, temperature and priors as coefficients of the logits."""

from __future__ import annotations

__all__ = ["Model"]

import math
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._utils.checks import is_number
from ..data.block import working_dtype
from ..distances import DISTANCES, Distance
from ..errors import InputError
from ..model.assignment import softmax
from . import derivatives
from .batches import batch_memberships, batch_values, broadcast
from .callables import AnyDistance, DistanceFunction, call_distance, find_distance, full_precision, with_density
from .checks import batch_shape, check_tensors, checked_log_prior, checked_temperature
from .derivatives import Kind
from .graphs import is_traced, may_need_derivatives, tensor_distances
from .small import SmallProblem, small_problem


class Model(NamedTuple):
    """The coefficients of the logits, in the type in which sums are computed.

    Attributes
    ----------
    distance : Distance or callable
        The distance.
    registered_name : str or None
        The name under which it is registered, None if it is not.
    batch : tuple of int or None
        The leading dimensions of a batch of problems, whose number is p below. None for a single problem, whose rows
        may have leading dimensions.
    temperature : Tensor () or (k,); for a batch (..., n) or (..., k)
        T, that of each row, or that of each cluster.
    has_one_temperature : bool
        Whether all clusters of a problem have the same temperature.
    beta, b : Tensor (k,) or (k + 1,); for a batch (p, k) or (p, k + 1)
        The logits are b - beta d; the last of k + 1 are those of the noise cluster.
    noise_distance : float or None
        Distance of the noise cluster, if there is one.
    log_normalizer : Tensor () or float; for a batch Tensor (..., n) or float
        The log-partition function less this is the log-likelihood of a row.
    """

    distance: Distance | DistanceFunction
    registered_name: str | None
    batch: tuple[int, ...] | None
    temperature: Tensor
    has_one_temperature: bool
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
    ) -> Model:
        """Check the parameters of a function, and return the coefficients of its logits."""
        if not is_traced():
            check_tensors(x, c)
        found, k = find_distance(distance), c.shape[-2]
        like: dict[str, Any] = {"dtype": working_dtype(c.device), "device": c.device}
        n_logits = k if noise_distance is None else k + 1
        t = checked_temperature(temperature, k)
        t = t.to(**like) if isinstance(t, Tensor) else torch.tensor(t, **like)
        is_shared = t.ndim == 0 or t.shape[-1] == 1
        t = t.squeeze(-1) if is_shared and t.ndim else t
        if noise_distance is not None and not is_number(noise_distance, lambda number: 0 < number < math.inf):
            raise InputError(parameter="noise_distance", value=noise_distance, hint="give a finite number above 0")
        if noise_distance is not None and not is_shared:
            problem = "is not supported with a temperature per cluster"
            raise InputError(problem, parameter="noise_distance", value=noise_distance, hint="use one temperature")
        beta = t.reciprocal()
        beta = beta[..., None].repeat((1,) * t.ndim + (n_logits,)) if is_shared else beta
        b = torch.zeros(n_logits, **like)
        if log_prior is not None:
            b = checked_log_prior(log_prior, n_logits).to(**like) + math.log(n_logits)
        normalizer: Tensor | float = 0.0
        if has_density or not is_shared:
            log_z = _log_partitions(with_density(found, "temperature"), t, x.shape[-1])
            if not is_shared:
                lowest = log_z.detach().amin(-1, keepdim=True)
                b, log_z = b - log_z + lowest, lowest[..., 0]
            normalizer = math.log(n_logits) + log_z
        batch = None
        if c.ndim > 2 or beta.ndim > 1 or b.ndim > 1:  # with leading dimensions of x alone there are more rows
            of = {"x": x.shape[:-2], "c": c.shape[:-2], "temperature": beta.shape[:-1], "log_prior": b.shape[:-1]}
            batch = batch_shape(**of)
        if batch is not None:
            rows = (*batch, x.shape[-2])
            beta, b = (broadcast(part, (*batch, n_logits)).reshape(-1, n_logits) for part in (beta, b))
            t = broadcast(t[..., None], rows) if is_shared else t
            normalizer = broadcast(normalizer[..., None], rows) if isinstance(normalizer, Tensor) else normalizer
        name = DISTANCES.name_of(found) if isinstance(found, Distance) else None
        return cls(found, name, batch, t, is_shared, beta, b, noise_distance, normalizer)

    def memberships(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the memberships (..., n, k) of rows."""
        shape, k = self._rows(x), c.shape[-2]
        x, c = self._flatten(x, c)
        if self.registered_name is None:
            resp = softmax(self._logits_and_distances(x, c)[0])[0][..., :k].to(x.dtype)
        elif self.batch is not None:
            centers, kind = self._embed_centers(c, of_distortion=False)
            resp = batch_memberships(x, centers, self.beta, self.b, kind)
        elif (small := self._small(x, c)) is not None:
            resp = small.logits.softmax(1).to(x.dtype)
        else:
            rows, centers, kind = self._embed(x, c, of_distortion=False)
            resp = derivatives.memberships(rows, centers, self.beta, self.b, kind).to(x.dtype)
        return resp.reshape(*shape, k)

    def total(self, x: Tensor, c: Tensor, weights: Tensor | None, *, of_distortion: bool) -> Tensor:
        """Return the weighted sum () over rows of their log-partition functions or distortions; not for a batch."""
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
        shape = self._rows(x)
        x, c = self._flatten(x, c)
        if self.registered_name is None:
            logits, d = self._logits_and_distances(x, c)
            resp, log_partition = softmax(logits)
            values = (resp * d).sum(-1) if of_distortion else log_partition
        elif self.batch is not None:
            centers, kind = self._embed_centers(c, of_distortion=of_distortion)
            values = batch_values(x, centers, self.beta, self.b, kind)
        elif (small := self._small(x, c)) is not None:
            values = small.values(of_distortion=of_distortion)
        else:
            rows, centers, kind = self._embed(x, c, of_distortion=of_distortion)
            values = derivatives.row_values(rows, centers, self.beta, self.b, kind)
        return values.reshape(shape)

    def _rows(self, x: Tensor) -> tuple[int, ...]:
        """Return the shape of an array with one entry for each row."""
        return tuple(x.shape[:-1]) if self.batch is None else (*self.batch, x.shape[-2])

    def _flatten(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows (m, d), or a batch's (p, n, d) and (p, k, d); callables get the rows of one problem unchanged."""
        if self.batch is not None:
            x, c = (broadcast(part, (*self.batch, *part.shape[-2:])).reshape(-1, *part.shape[-2:]) for part in (x, c))
        elif self.registered_name is not None:
            x = x.reshape(-1, x.shape[-1])
        return x, c

    def _small(self, x: Tensor, c: Tensor) -> SmallProblem | None:
        """Return logits and distances if the rows are few and the model is plain, else None."""
        is_plain = isinstance(self.distance, Distance) and self.distance.is_squared
        if not is_plain or self.noise_distance is not None or not self.has_one_temperature:
            return None
        return small_problem(x.reshape(-1, x.shape[-1]), c, self.beta, self.b)

    def _embed(self, x: Tensor, c: Tensor, *, of_distortion: bool) -> tuple[Tensor, Tensor, Kind]:
        """Return rows (m, d), embedded centers, and the kind of their values.

        Rows are embedded here only if they need a gradient: that takes memory of their size.
        """
        rows = x.reshape(-1, x.shape[-1])
        centers, kind = self._embed_centers(c, of_distortion=of_distortion)
        if kind.embeds and may_need_derivatives(rows):
            assert isinstance(self.distance, Distance)  # noqa: S101 -- for mypy: it is registered
            rows, kind = self.distance.embed(rows.to(self.beta.dtype)), kind._replace(embeds=False)
        return rows, centers, kind

    def _embed_centers(self, c: Tensor, *, of_distortion: bool) -> tuple[Tensor, Kind]:
        """Return embedded centers, and the kind of the values of rows that still have to be embedded."""
        assert isinstance(self.distance, Distance)  # noqa: S101 -- for mypy: it is registered
        assert self.registered_name is not None  # noqa: S101 -- the same
        embeds = type(self.distance).embed is not Distance.embed
        c = self.distance.embed(c.to(self.beta.dtype)) if embeds else c
        return c, Kind(self.noise_distance, self.registered_name, embeds, of_distortion)

    def _logits_and_distances(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and distances (..., n, k) of rows, for distances that are not registered."""
        with full_precision(x.device.type):
            if isinstance(self.distance, Distance):
                of_problem = partial(tensor_distances, distance=self.distance)
                between = of_problem if self.batch is None else torch.vmap(of_problem)
                d = between(x.to(self.beta.dtype), c.to(self.beta.dtype))
            else:
                d = call_distance(self.distance, x, c).to(self.beta.dtype)
        if self.noise_distance is not None:
            d = torch.cat([d, d.new_full((*d.shape[:-1], 1), self.noise_distance)], -1)
        beta, b = (self.beta, self.b) if self.batch is None else (self.beta[:, None], self.b[:, None])
        return b - beta * d, d


def _log_partitions(distance: Distance, temperature: Tensor, n_features: int) -> Tensor:
    """Return log Z of each temperature (...)."""
    if not temperature.ndim:
        return distance.log_partition(temperature, n_features)
    parts = [distance.log_partition(part, n_features) for part in temperature.reshape(-1)]
    return torch.stack(parts).view(temperature.shape)
