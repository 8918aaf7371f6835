"""What fitted centers say of rows: memberships, labels, distances, likelihoods."""

from __future__ import annotations

__all__ = ["Clustering", "accumulate", "sample_mixture"]

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from typing_extensions import override

from .. import kernels
from .._utils.checks import check_positive
from .._utils.reductions import dot, total
from ..data.block import Block, as_tensor
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import ScaledView, Source
from ..data.validation import check_finite
from ..distances import Distance, as_distance, check_features
from ..errors import InputError
from ..kernels import PLAIN, assign, distances, lognorm, nearest
from ..model.assignment import AssignmentRule, Fuzzy
from ..model.params import ModelSpec, Params
from ..model.stats import Stats
from ..objectives import MIN_PRIOR, FuzzyDistortion, NegativeLogLikelihood, Objective
from ..temperature import MaximumLikelihood, NoTemperature

Array = NDArray[np.float64]

FARTHEST = 1e150  # beyond, squares overflow


class _NotTooFar(Scaling):
    """A space that refuses rows whose squares would overflow."""

    @override
    def transform(self, x: Tensor) -> Tensor:
        z = super().transform(x)
        if not z.abs().max() <= FARTHEST:
            raise InputError(f"rows lie more than {FARTHEST:g} times the centers' spread away: look for wrong values")
        return z


class Clustering:
    """Fitted centers and what says how rows belong to them, ready to look at any rows block by block.

    Parameters
    ----------
    centers : Tensor (k, d)
        In the data's units; float64, on the device of the rows.
    temperature : float, ndarray or Tensor (k,)
        T > 0, or that of each cluster, in the data's units; for fuzzy memberships without meaning.
    distance : Distance
        Between rows and centers.
    priors : ndarray or Tensor (k,), optional
        Share of each cluster; they leave a share for noise where there is such a cluster. All the same by default.
    noise_distance : float, optional
        How far the cluster of noise is from every row, in the data's units, if there is one.
    rule : AssignmentRule
        From logits to memberships.
    """

    def __init__(
        self,
        centers: Tensor,
        temperature: float | Array | Tensor,
        distance: Distance,
        *,
        priors: Array | Tensor | None = None,
        noise_distance: float | None = None,
        rule: AssignmentRule = PLAIN,
    ) -> None:
        given = temperature if isinstance(temperature, Tensor) else np.asarray(temperature, dtype=np.float64)
        t = as_tensor(given).to(centers)
        size = (noise_distance or 1.0) if isinstance(rule, Fuzzy) else float(t.max())
        self.distance, self.scaling = distance, Scaling.around(distance, centers, size)
        self.centers = self.scaling.transform(centers)
        noise = None if noise_distance is None else noise_distance / self.scaling.unit
        log_prior = _log_prior(priors, len(centers), noise).to(centers)
        goal = _objective(self.scaling, t.ndim > 0, rule, noise)
        self.temperature = (
            centers.new_ones(len(centers)) if isinstance(rule, Fuzzy) else t.expand(len(centers)) / self.scaling.unit
        )
        params = Params(self.centers, self.temperature, log_prior)
        self.beta = 1 / self.temperature
        self.b, self.rule = goal.logit_offsets(params)
        # Log-densities are the rule's objective less this; per unit of volume, in the data's units.
        self.level = goal.in_data_units(goal.level(params), 1.0) if isinstance(goal, NegativeLogLikelihood) else 0.0

    @property
    def is_plain(self) -> bool:
        """Whether the likeliest cluster is the one whose center is nearest, and every row has one."""
        equal = bool((self.beta == self.beta[0]).all()) and bool((self.b == self.b[0]).all())
        return equal and self.rule.outside == -math.inf

    def _view(self, source: Source) -> Source:
        return ScaledView(source, _NotTooFar(*self.scaling))

    def _assign(self, block: Block) -> Tensor:
        return assign(block, self.centers, self.beta, self.b, self.distance, self.rule)

    def stats(self, source: Source) -> Stats:
        """Sum up rows into Stats, in the space."""

        def of(block: Block) -> Stats:
            return kernels.accumulate(block, self.centers, self.beta, self.b, self.distance, self.rule)

        return self._view(source).sum(of)

    def resp(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Memberships (n, k), of the type asked for."""
        return self._view(source).map(lambda block: self._assign(block).to(dtype), width=len(self.centers))

    def top(self, source: Source, dtype: torch.dtype, m: int) -> tuple[Tensor, Tensor]:
        """Give the m largest memberships (n, m) of each row, falling, and the clusters (n, m) they are in."""
        labels: list[Tensor] = []

        def of(block: Block) -> Tensor:
            largest = self._assign(block).topk(m)
            labels.append(largest.indices)
            return largest.values.to(dtype)

        values = self._view(source).map(of, width=len(self.centers))
        return values, torch.cat(labels)

    def labels(self, source: Source, reject_below: float | None = None) -> Tensor:
        """Give each row's likeliest cluster (n,); -1 where noise is likelier, or it is not likely enough."""
        if self.is_plain and reject_below is None:
            return self.harden(source)[0]
        least = -1.0 if reject_below is None else reject_below

        def of(block: Block) -> Tensor:
            resp = self._assign(block)
            largest, label = resp.max(1)
            unsure = largest < least
            if self.rule.outside > -math.inf:
                unsure |= largest < 1 - resp.sum(1)
            return label.masked_fill(unsure, -1)

        return self._view(source).map(of, width=len(self.centers))

    def harden(self, source: Source) -> tuple[Tensor, float]:
        """Give each row's nearest center (n,), and the rows' weighted distance to these: hard k-means' objective."""
        inertia = 0.0

        def of(block: Block) -> Tensor:
            nonlocal inertia
            label, near = nearest(block, self.centers, self.distance)
            inertia += float(dot(block.w, near))
            return label

        labels = self._view(source).map(of)
        return labels, inertia * self.scaling.unit

    def inertia(self, source: Source) -> float:
        """Give the rows' weighted distance to their nearest centers: hard k-means' objective."""

        def of(block: Block) -> Tensor:
            return dot(block.w, nearest(block, self.centers, self.distance)[1])

        return float(self._view(source).sum(of)) * self.scaling.unit

    def distances(self, source: Source, dtype: torch.dtype) -> Tensor:
        """Distances (n, k) in the data's units, Euclidean ones where the distance is their square."""

        def of(block: Block) -> Tensor:
            d = distances(block, self.centers, self.distance)
            return ((d.sqrt() if self.distance.power == 2 else d) * unit).to(dtype)

        unit = self.scaling.scale if self.distance.translates else 1.0
        return self._view(source).map(of, width=len(self.centers))

    def objective(self, source: Source) -> Tensor:
        """Log-density (n,) of each row under the equivalent mixture; with fuzzy memberships, minus Σ u^m d."""
        return self._view(source).map(self._objective)

    def total(self, source: Source) -> tuple[float, float]:
        """Give the rows' weighted sum of these, and Σw."""

        def of(block: Block) -> Tensor:
            return torch.stack([dot(block.w, self._objective(block)), total(block.w)])

        value, weight = self._view(source).sum(of).tolist()
        return value, weight

    def _objective(self, block: Block) -> Tensor:
        unit = self.scaling.unit if isinstance(self.rule, Fuzzy) else 1.0
        return lognorm(block, self.centers, self.beta, self.b, self.distance, self.rule) * unit - self.level


def _log_prior(priors: Array | Tensor | None, k: int, noise: float | None) -> Tensor:
    if priors is None:
        n = k + (noise is not None)
        return torch.full((n,), -math.log(n), dtype=torch.float64)
    found = as_tensor(priors).double()
    if noise is not None:
        found = torch.cat([found, (1 - found.sum(0, keepdim=True)).clamp_min(0.0)])
    return found.clamp_min(MIN_PRIOR).log()


def _objective(scaling: Scaling, per_cluster: bool, rule: AssignmentRule, noise: float | None) -> Objective:
    """Give the objective that knows what b and β are; nothing is minimized here."""
    if isinstance(rule, Fuzzy):
        return FuzzyDistortion(scaling, NoTemperature(), ModelSpec(rule, noise=noise))
    return NegativeLogLikelihood(scaling, MaximumLikelihood(per_cluster=per_cluster), ModelSpec(rule, noise=noise))


def accumulate(
    x: ArrayLike | Tensor | Source,
    c: ArrayLike | Tensor,
    temperature: float,
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    distance: str | Distance = "sqeuclidean",
) -> Stats:
    """Sum up rows at some centers and temperature: one pass of EM, whose centers are ``weighted_sum / pull``.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    c : array-like or Tensor (k, d)
        Centers, in the units of the rows.
    temperature : float
        T > 0, in the units of the distance.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        What is between rows and centers.

    Returns
    -------
    Stats
        Sums over the rows in float64, in the data's units; for "cosine", of rows of length 1. Sums of parts of the data
        add up to those of the whole.

    Raises
    ------
    InputError
        If the data or a parameter can't be used.

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
    found = as_distance(distance)
    check_features(found, source.n_features)
    centers = as_tensor(c if isinstance(c, Tensor) else np.asarray(c)).to(source.device, source.dtype)
    if centers.ndim != 2 or centers.shape[1] != source.n_features:
        raise InputError(f"the centers have shape {tuple(centers.shape)}, expected (k, {source.n_features})")
    check_finite(centers, "the centers")
    clustering = Clustering(centers, float(temperature), found)
    try:
        return clustering.scaling.inverse_transform_stats(clustering.stats(source))
    except InputError:  # squares overflowed: perhaps rows were not finite to begin with
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
    """Draw rows (n_samples, d), and their clusters, from densities around centers (k, d) of temperatures (k,)."""
    labels = rng.choice(len(centers), size=n_samples, p=priors / priors.sum())
    rows = np.empty((n_samples, centers.shape[1]))
    for k, (center, t) in enumerate(zip(centers, temperature.tolist(), strict=True)):
        rows[labels == k] = distance.sample_around(center, t, int((labels == k).sum()), rng)
    return torch.from_numpy(rows), torch.from_numpy(labels)
