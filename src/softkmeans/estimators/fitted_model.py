"""Per-row results of a fitted model: memberships, labels, distances, likelihoods."""

from __future__ import annotations

__all__ = ["Clustering", "accumulate", "clustering_of", "sample_mixture", "warm_temperature"]

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from torch import Tensor
from typing_extensions import override

from .. import kernels
from .._utils.checks import check_positive
from .._utils.reductions import largest_of_rows
from ..arrays.model import MAX_SCALED_VALUE
from ..data.block import Block, as_tensor
from ..data.convert import as_numbers, as_source
from ..data.scaling import Scaling
from ..data.source import ScaledSource, Source
from ..data.validation import check_finite
from ..distances import Distance, as_distance, check_features
from ..errors import InputError, Message, Setting
from ..kernels import SOFTMAX, assign, distances, lognorm, nearest
from ..model.assignment import AssignmentRule
from ..model.logits import log_normalizer, make_logits
from ..model.params import MIN_PRIOR, ModelSpec, Params
from ..model.stats import Stats
from ..settings import RunOptions, Settings, documented
from ..temperature import as_temperature
from ..temperature.base import MIN_TEMPERATURE

Array = NDArray[np.float64]
Contents: TypeAlias = tuple[tuple[tuple[int, ...], str, bytes], ...]

MAX_WHOLE_ENTRIES = 2**24  # of memberships that are computed at once: 128 MB, no more than the result
WIDER_PIECES = 8  # pieces of rows have as many memberships as this times the numbers of a block: 16 MB
MAX_KEPT_NUMBERS = 2**12  # in the centers of a small model


class _OverflowCheckedScaling(Scaling):
    """A scaling that rejects rows whose squares would overflow."""

    @override
    def transform(self, x: Tensor, start: int = 0) -> Tensor:
        z = super().transform(x, start)
        if not z.abs().max() <= MAX_SCALED_VALUE:
            raise InputError(
                f"rows are more than {MAX_SCALED_VALUE:g} times the centers' spread away from the centers",
                hint="check the data for wrong values",
            )
        return z


class Clustering:
    """A fitted model that computes memberships, labels, distances and likelihoods of rows, block by block.

    Parameters
    ----------
    centers : Tensor (k, d)
        Centers in the data's units; float64, on the device of the rows.
    temperature : float, ndarray or Tensor (k,)
        T > 0, or that of each cluster, in the data's units; ignored for fuzzy memberships.
    distance : Distance
        Distance between rows and centers.
    priors : ndarray or Tensor (k,), optional
        Prior probability of each cluster; with a noise cluster, 1 minus their sum is the prior of noise. By default,
        all are equal.
    noise_distance : float, optional
        Distance of the noise cluster from every row, in the data's units; by default, there is no noise cluster.
    rule : AssignmentRule
        Assignment rule, which turns logits into memberships.
    """

    def __init__(
        self,
        centers: Tensor,
        temperature: float | Array | Tensor,
        distance: Distance,
        *,
        priors: Array | Tensor | None = None,
        noise_distance: float | None = None,
        rule: AssignmentRule = SOFTMAX,
    ) -> None:
        if not isinstance(temperature, Tensor):
            temperature = np.asarray(temperature, dtype=np.float64)
        t = as_tensor(temperature).to(centers)
        largest = float(t.max()) if rule.uses_temperature else noise_distance or 1.0
        self.distance, self.scaling = distance, Scaling.around(distance, centers, largest)
        self.centers = self.scaling.transform(centers)
        noise = None if noise_distance is None else self.scaling.transform_distance(float(noise_distance))
        log_prior = _log_prior(priors, len(centers), noise).to(centers)
        used = centers.new_ones(len(centers))
        if rule.uses_temperature:  # far below the scale of the centers, its inverse would overflow
            used = (t.expand(len(centers)) / self.scaling.unit).clamp_min(MIN_TEMPERATURE)
        self.params = Params(self.centers, used, log_prior)
        self.spec = ModelSpec(rule, noise=noise, per_cluster=rule.uses_temperature and t.ndim > 0)
        self.beta, self.b, self.rule = make_logits(self.params, self.spec, distance)
        equal = bool((self.beta == self.beta[0]).all()) and bool((self.b == self.b[0]).all())
        # Whether the most probable cluster of every row is the one with the nearest center.
        self.is_plain = equal and not self.rule.has_noise

    def _scaled(self, source: Source) -> Source:
        return ScaledSource(source, _OverflowCheckedScaling(*self.scaling))

    def _map(self, source: Source, function: Callable[[Block], Tensor]) -> Tensor:
        """Return a function's values (n, k) for the scaled rows.

        The kernels divide rows among threads, which needs many of them, and results at once need no copy.
        """
        scaled, k = self._scaled(source), len(self.centers)
        if source.in_memory and source.n_rows * k <= MAX_WHOLE_ENTRIES:
            blocks = list(scaled.blocks())
            if len(blocks) == 1:
                return function(blocks[0]).contiguous()
        return scaled.map(function, width=-(-k // WIDER_PIECES))

    def scaled_block(self, block: Block) -> Block:
        """Return a block of rows in the estimator's units, centered and scaled as `assign` takes it."""
        return block.scaled_by(_OverflowCheckedScaling(*self.scaling))

    def assign(self, block: Block) -> Tensor:
        """Compute the memberships (m, k) of a scaled block."""
        return assign(block, self.centers, self.beta, self.b, self.distance, self.rule)

    def stats(self, source: Source) -> Stats:
        """Compute the sufficient statistics of the rows, in scaled units."""

        def accumulate_block(block: Block) -> Stats:
            return kernels.accumulate(block, self.centers, self.beta, self.b, self.distance, self.rule)

        return self._scaled(source).sum(accumulate_block)

    def resp(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Compute memberships (n, k) of the given dtype."""
        return self._map(source, lambda block: self.assign(block).to(dtype))

    def top(self, source: Source, dtype: torch.dtype, m: int) -> csr_array:
        """Compute the m largest memberships of each row, as a sparse array (n, k)."""
        labels: list[Tensor] = []

        def largest_memberships(block: Block) -> Tensor:
            largest = self.assign(block).topk(m)
            labels.append(largest.indices)
            return largest.values.to(dtype)

        values = self._scaled(source).map(largest_memberships, width=len(self.centers)).cpu().numpy()
        clusters, row_starts = torch.cat(labels).cpu().numpy(), list(range(0, values.size + 1, m))
        resp = csr_array((values.ravel(), clusters.ravel(), row_starts), shape=(len(values), len(self.centers)))
        resp.sort_indices()
        return resp

    def labels(self, source: Source, reject_below: float | None = None) -> Tensor:
        """Compute the most probable cluster (n,) of each row; -1 for noise, or for memberships below a threshold."""
        if self.is_plain and reject_below is None:
            return self._map(source, lambda block: nearest(block, self.centers, self.distance)[0])
        threshold = -1.0 if reject_below is None else reject_below

        def label_block(block: Block) -> Tensor:
            resp = self.assign(block)
            largest, label = largest_of_rows(resp)
            rejected = largest < threshold
            if self.rule.has_noise:
                rejected |= largest < 1 - resp.sum(1)
            return label.masked_fill(rejected, -1)

        return self._scaled(source).map(label_block, width=-(-len(self.centers) // WIDER_PIECES))

    def nearest(self, source: Source) -> tuple[Tensor, float]:
        """Compute the index (n,) of the center nearest to each row, and the inertia."""
        inertia = 0.0

        def label_block(block: Block) -> Tensor:
            nonlocal inertia
            label, distance = nearest(block, self.centers, self.distance)
            inertia += float(block.total(distance))
            return label

        labels = self._scaled(source).map(label_block)
        return labels, inertia * self.scaling.unit

    def inertia(self, source: Source) -> float:
        """Compute the objective of hard k-means: the weighted sum of the distances to the nearest centers."""

        def block_inertia(block: Block) -> Tensor:
            return block.total(nearest(block, self.centers, self.distance)[1])

        return float(self._scaled(source).sum(block_inertia)) * self.scaling.unit

    def distances(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Compute distances (n, k) in the data's units; Euclidean if the model's distance is squared Euclidean."""

        def block_distances(block: Block) -> Tensor:
            d = distances(block, self.centers, self.distance)
            return (d.sqrt() * self.scaling.scale if self.distance.is_squared else d * self.scaling.unit).to(dtype)

        return self._map(source, block_distances)

    def objective(self, source: Source) -> Tensor:
        """Compute the objective (n,) of each row: its log-density under the equivalent mixture.

        For memberships without a temperature, return the objective of the assignment rule: for fuzzy ones, -Σ u^m d.

        Raises
        ------
        InputError
            If the model has a temperature, but no likelihood.
        """
        unit, log_normalizer = self._objective_constants()
        return self._scaled(source).map(lambda block: self._lognorm(block) * unit - log_normalizer)

    def total_objective(self, source: Source) -> tuple[float, float]:
        """Compute the weighted sum of `objective` over the rows, and Σw."""
        unit, log_normalizer = self._objective_constants()

        def weighted_sums(block: Block) -> Tensor:
            return torch.stack([block.total(self._lognorm(block) * unit - log_normalizer), block.total()])

        value, weight = self._scaled(source).sum(weighted_sums).tolist()
        return value, weight

    def _lognorm(self, block: Block) -> Tensor:
        return lognorm(block, self.centers, self.beta, self.b, self.distance, self.rule)

    def _objective_constants(self) -> tuple[float, float]:
        """Return the unit of the rule's objective in the data's units, and the log-normalizer of the density."""
        if not self.rule.uses_temperature:
            return self.scaling.unit, 0.0
        if not self.rule.is_mixture:
            raise InputError(
                f"{self.rule.name} memberships belong to no mixture model, so there is no likelihood",
                hint=Message("use ", Setting("assignment", "softmax")),
            )
        # Per unit volume in the data's units. On the sphere, volumes do not depend on the units of the data.
        log_scale = math.log(self.scaling.scale) if self.distance.translates else 0.0
        n_features = self.centers.shape[1]
        return 1.0, log_normalizer(self.params, self.spec, self.distance) + n_features * log_scale


def contents_of(arrays: Iterable[Array]) -> Contents:
    """Return shape, type and bytes of each array, by which a fitted model is kept for the next call."""
    return tuple((array.shape, array.dtype.str, array.tobytes()) for array in arrays)


def arrays_of(contents: Contents) -> list[Array]:
    """Return new arrays with the given contents."""
    return [np.frombuffer(bytearray(content), dtype).reshape(shape) for shape, dtype, content in contents]


def clustering_of(
    centers: Tensor,
    temperature: float | Array,
    distance: Distance,
    *,
    priors: Array | None,
    noise_distance: float | None,
    rule: AssignmentRule,
) -> Clustering:
    """Return the `Clustering` with these parameters; that of a small model is kept for the next call.

    A service that asks for one row at a time would otherwise spend most of the time on preparing it.
    """
    is_small = centers.device.type == "cpu" and centers.numel() <= MAX_KEPT_NUMBERS
    if not (is_small and distance.is_tested and rule.is_tested):  # others may be changed in place
        return Clustering(centers, temperature, distance, priors=priors, noise_distance=noise_distance, rule=rule)
    arrays = (centers.numpy(), np.asarray(temperature, np.float64), *(() if priors is None else (priors,)))
    return _kept_clustering(
        contents_of(arrays), distance, None if noise_distance is None else float(noise_distance), rule
    )


@lru_cache(maxsize=16)
def _kept_clustering(
    contents: Contents,
    distance: Distance,
    noise_distance: float | None,
    rule: AssignmentRule,
) -> Clustering:
    """Return the `Clustering` of centers, temperature and perhaps priors."""
    centers, temperature, *priors = arrays_of(contents)
    return Clustering(
        torch.from_numpy(centers), temperature, distance,
        priors=priors[0] if priors else None, noise_distance=noise_distance, rule=rule,
    )  # fmt: skip


def _log_prior(priors: Array | Tensor | None, k: int, noise: float | None) -> Tensor:
    """Return the log-priors (k,), or (k + 1,) with that of the noise cluster."""
    if priors is None:
        n = k + (noise is not None)
        return torch.full((n,), -math.log(n), dtype=torch.float64, device="cpu")
    probabilities = as_tensor(priors).double()
    if noise is not None:
        noise_prior = (1 - probabilities.sum(0, keepdim=True)).clamp_min(0.0)
        probabilities = torch.cat([probabilities, noise_prior])
    return probabilities.clamp_min(MIN_PRIOR).log()


@documented
def accumulate(
    x: ArrayLike | Tensor | Source,
    c: ArrayLike | Tensor,
    temperature: float,
    sample_weight: ArrayLike | Tensor | None = RunOptions.sample_weight,
    *,
    distance: str | Distance = Settings.distance,
) -> Stats:
    """Compute the sufficient statistics of rows at given centers and temperature, as in the E-step of EM.

    The M-step's new centers are ``weighted_sum / irls_weight``.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    c : array-like or Tensor (k, d)
        Centers, in the units of the rows.
    temperature : float
        Temperature T > 0, in the units of the distance.
    {sample_weight}
    {distance}

    Returns
    -------
    Stats
        Sums over the rows, float64, in the data's units; for "cosine", the rows are first normalized to length 1. The
        sums of disjoint parts of the data add up to those of the whole.

    Raises
    ------
    InputError
        If the data or a parameter is invalid.

    Examples
    --------
    >>> x = [[0.0], [0.2], [5.0], [5.2]]
    >>> stats = accumulate(x, [[0.0], [5.0]], temperature=1.0)
    >>> stats.weight, stats.weighted_sum / stats.irls_weight[:, None]
    (tensor([2.0000, 2.0000], dtype=torch.float64), tensor([[0.1000],
            [5.1000]], dtype=torch.float64))
    """
    source = as_source(x, sample_weight, finite=False)
    check_positive("temperature", temperature)
    distance = as_distance(distance)
    check_features(distance, source.n_features)
    centers = as_numbers(c, "the centers").to(source.device, source.dtype)
    if centers.ndim != 2 or centers.shape[1] != source.n_features or not len(centers):
        raise InputError(f"the centers have shape {tuple(centers.shape)}", expected=f"(k, {source.n_features})")
    check_finite(centers, "the centers")
    clustering = Clustering(centers, float(temperature), distance)
    try:
        return clustering.scaling.inverse_transform_stats(clustering.stats(source))
    except InputError:  # squares overflowed; if the rows are not finite, say so instead
        for block in source.blocks():
            check_finite(block.rows)
        raise


def sample_mixture(
    centers: Array,
    temperature: Array,
    priors: Array,
    distance: Distance,
    n_samples: int,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw rows (n_samples, d) and their clusters (n_samples,) from the mixture with the given parameters."""
    labels = rng.choice(len(centers), size=n_samples, p=priors / priors.sum())
    rows = np.empty((n_samples, centers.shape[1]))
    for k, (center, t) in enumerate(zip(centers, temperature.tolist(), strict=True)):
        rows[labels == k] = distance.sample_around(center, t, int((labels == k).sum()), rng)
    return torch.from_numpy(rows), torch.from_numpy(labels)


def warm_temperature(rule: Any, fitted: Any, weights: Array | None) -> Any:
    """Return the initial T of a fit after another: the mean over clusters if they differed and one T is now needed."""
    if np.ndim(fitted) and not as_temperature(rule).per_cluster:
        return float(np.average(fitted, weights=weights))
    return fitted
