"""Likelihoods and BIC of fitted mixtures, for several types of covariance, on the rows and on resamples of them."""

from __future__ import annotations

__all__ = ["WEIGHTS", "Candidate", "Comparison", "Weighting", "candidates", "compare", "log_likelihoods"]

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._utils.information import bic
from .._utils.one_thread import in_one_thread_if_few
from ..data.block import Block, as_tensor
from ..data.scaling import Scaling
from ..data.source import ArraySource, Source
from ..distances import as_distance
from ..errors import InputError, Message, Setting
from ..estimators.soft_kmeans import SoftKMeans
from ..temperature import as_temperature
from ..temperature.moments import MAX_COVARIANCE_FEATURES, covariance, feature_variances
from .covariance import COVARIANCE_TYPES, MIN_RELATIVE_VARIANCE, gaussian_mixture
from .fits import Mixtures

MIN_ROWS_PER_CLUSTER = 2  # on average; fewer rows say nothing about the variance within clusters
STRONG_EVIDENCE = 6.0  # a difference of BIC that is "strong" (Kass & Raftery, "Bayes factors", JASA 1995)

Values = NDArray[np.float64]
WEIGHTS = ("relative", "counts")  # what the weights of rows may mean


class Weighting(NamedTuple):
    """How the weights of rows enter a criterion.

    Attributes
    ----------
    n : float
        The number of rows that the weighted rows count as.
    scale : float
        Factor of the weights, so that their sum is n.
    """

    n: float
    scale: float

    @classmethod
    def of(cls, source: Source, weights: str) -> Weighting:
        """Return the weighting of a source's rows, "relative" or "counts".

        Relative weights count as n = (Σw)² / Σw² rows (Kish, "Survey sampling", 1965), so that a common factor changes
        nothing. Counts are those of repeated rows, and n = Σw.
        """
        weight = source.weight()
        if weight is None:
            return cls(float(source.n_rows), 1.0)
        total = float(weight.sum())
        if weights == "counts":
            return cls(total, 1.0)
        shares = weight / weight.max()  # their squares can't overflow
        n = float(shares.sum().square() / shares.square().sum())
        return cls(n, n / total)


class Candidate(NamedTuple):
    """A number of clusters and a type of covariance, with the density of the fitted mixture.

    Attributes
    ----------
    n_clusters : int
        Number of clusters k.
    covariance_type : str
        One of `covariance.COVARIANCE_TYPES`.
    n_parameters : int
        Number of fitted parameters.
    log_density : callable or None
        Function from a block of rows to their log-density (m,), in the data's units; None if there are too few rows for
        this number of parameters.
    sample : callable or None
        Function from a number of rows and a generator to as many rows (m, d) of the mixture.
    """

    n_clusters: int
    covariance_type: str
    n_parameters: int
    log_density: Callable[[Block], Tensor] | None
    sample: Callable[[int, np.random.Generator], Tensor] | None = None


def candidates(source: Source, mixtures: Mapping[int, Mixtures], n: float) -> list[Candidate]:
    """Return the mixtures fitted on a source's rows, each with every type of covariance and the same memberships.

    With another distance than the squared Euclidean one, a noise cluster, a single feature or more than
    `MAX_COVARIANCE_FEATURES` features, return the mixtures themselves only. ``n`` is the number of rows.
    """
    first = next(iter(mixtures.values())).of_model
    has_one_type = not as_distance(first.distance).is_squared or first.noise_distance is not None
    if has_one_type or source.n_features > MAX_COVARIANCE_FEATURES:
        return [_model_candidate(mixture.likeliest, source) for mixture in mixtures.values()]
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    has_tied = n >= MIN_ROWS_PER_CLUSTER * min(mixtures) + source.n_features
    total = covariance(scaling.view(source)) if has_tied else feature_variances(source, scaling)
    types = COVARIANCE_TYPES if source.n_features > 1 else ["spherical"]
    return [
        _candidate(mixture.get(covariance_type), covariance_type, source, scaling, total, n)
        for mixture in mixtures.values()
        for covariance_type in types
    ]


def _model_candidate(mixture: SoftKMeans, source: Source) -> Candidate:
    """Return the mixture itself as a candidate."""
    clustering = mixture._clustering(source)

    def log_density(block: Block) -> Tensor:
        return clustering.objective(ArraySource(block.rows, None, block.device, block.dtype))

    def sample(n_samples: int, rng: np.random.Generator) -> Tensor:
        return as_tensor(mixture.sample(n_samples, random_state=rng)[0])

    return Candidate(len(mixture.cluster_centers_), "spherical", mixture.n_parameters(), log_density, sample)


def _candidate(
    mixture: SoftKMeans, covariance_type: str, source: Source, scaling: Scaling, total: Tensor, n: float
) -> Candidate:
    """Return the candidate with a mixture's memberships and a covariance.

    ``total`` is the covariance (d, d) of all rows, or its diagonal (d,).
    """
    n_clusters, n_features = mixture.cluster_centers_.shape
    n_parameters = n_clusters * n_features + n_clusters - 1 + COVARIANCE_TYPES[covariance_type].n_parameters(n_features)
    n_directions = n_features if covariance_type == "tied" else 0
    if n < MIN_ROWS_PER_CLUSTER * n_clusters + n_directions:
        return Candidate(n_clusters, covariance_type, n_parameters, None)
    if covariance_type == "spherical" and not _is_collapsed(mixture, scaling, total):
        return _model_candidate(mixture, source)
    centers, fractions = _means(mixture, source, scaling)
    fitted = gaussian_mixture(covariance_type, centers, fractions, fractions.clamp_min(1e-300), total)
    log_volume = n_features * math.log(scaling.scale)

    def log_density(block: Block) -> Tensor:
        return fitted.log_density(scaling.transform(block.x)) - log_volume

    def sample(n_samples: int, rng: np.random.Generator) -> Tensor:
        return scaling.inverse_transform(fitted.sample(n_samples, rng))

    return Candidate(n_clusters, covariance_type, n_parameters, log_density, sample)


def _is_collapsed(mixture: SoftKMeans, scaling: Scaling, total: Tensor) -> bool:
    """Return whether a learned variance within clusters is so small that only rounding determines it."""
    temperature_rule = as_temperature(mixture.temperature)
    variance = float(np.min(mixture.temperature_)) / 2 / scaling.scale**2
    is_estimated = temperature_rule.learned or temperature_rule.solves_equation
    variances = total.diagonal() if total.ndim == 2 else total
    return is_estimated and not variance > MIN_RELATIVE_VARIANCE * float(variances.mean())


def _means(mixture: SoftKMeans, source: Source, scaling: Scaling) -> tuple[Tensor, Tensor]:
    """Return the scaled means (k, d) of the rows weighted by their memberships, and the fractions (k,) of Σw.

    The model's centers are such means only up to the tolerance of the fit and the precision of their dtype. Both errors
    are too large if clusters are small and far apart: the covariance within clusters is then a small difference from
    that of all rows.
    """
    clustering = mixture._clustering(source)
    stats, own = clustering.stats(source), clustering.scaling
    means = torch.where(stats.weight[:, None] > 0, stats.weighted_sum / stats.weight[:, None], clustering.centers)
    return (means * own.scale + (own.shift - scaling.shift)) / scaling.scale, stats.weight / stats.weight.sum()


def log_likelihoods(
    source: Source, options: list[Candidate], n_resamples: int = 0, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Sum log-densities over the rows, and over resamples in which the count of each row is Poisson-distributed.

    Returns
    -------
    sums : Tensor (1 + n_resamples, options)
        Log-likelihoods; NaN for candidates without a density.
    weight : Tensor (1 + n_resamples,)
        Total weights Σw.
    """

    def log_densities(block: Block) -> list[Tensor]:
        return [
            block.w.new_full((len(block),), torch.nan) if option.log_density is None else option.log_density(block)
            for option in options
        ]

    def block_sums(block: Block) -> Tensor:
        columns = in_one_thread_if_few(lambda: log_densities(block), len(block) * width)
        counts = np.ones((1 + n_resamples, len(block)))
        if rng is not None:
            counts[1:] = rng.poisson(1.0, (n_resamples, len(block)))
        weights = torch.from_numpy(counts).to(block.w) * block.w
        result: Tensor = weights @ torch.stack([*columns, block.w.new_ones(len(block))], 1)
        return result

    width = max(source.n_features, len(options), n_resamples, max(option.n_clusters for option in options))
    sums = source.sum(lambda block: block.sum(block_sums, width=width)).cpu()
    return sums[:, :-1], sums[:, -1]


class Comparison(NamedTuple):
    """The BIC of several numbers of clusters, for each type of covariance.

    Attributes
    ----------
    candidates : list of Candidate
        All numbers with all types.
    bic : ndarray (candidates,)
        BIC of each; NaN for those without a density.
    resampled : ndarray (n_resamples,)
        The number of clusters with the lowest BIC of any type, for each resample of the rows.
    """

    candidates: list[Candidate]
    bic: Values
    resampled: NDArray[np.int64]

    @property
    def best_type(self) -> str:
        """The simplest type with the same choice as the lowest BIC, unless the evidence against it is strong.

        The estimated variances of spherical clusters always differ a little, by chance, along the features.
        """
        by_type = self.by_type()
        lowest = {name: float(np.nanmin(values, initial=math.inf)) for name, values in by_type.items()}
        best = min(lowest, key=lambda name: lowest[name])
        choice = np.nanargmin(by_type[best])
        limit = lowest[best] + STRONG_EVIDENCE
        return next(
            name for name, values in by_type.items() if lowest[name] <= limit and values[choice] == lowest[name]
        )

    def by_type(self) -> dict[str, Values]:
        """Return the BIC (m,) of all numbers of clusters, for each type."""
        lists: dict[str, list[float]] = {}
        for candidate, value in zip(self.candidates, self.bic.tolist(), strict=True):
            lists.setdefault(candidate.covariance_type, []).append(value)
        return {covariance_type: np.array(column) for covariance_type, column in lists.items()}

    def best(self, n_clusters: int) -> tuple[Candidate, float]:
        """Return the candidate with the lowest BIC among those with a number of clusters, and its BIC.

        If none has a density, return the first, and infinity.
        """
        options = [
            option for option in zip(self.candidates, self.bic, strict=True) if option[0].n_clusters == n_clusters
        ]
        candidate, value = min(options, key=lambda option: math.inf if math.isnan(option[1]) else option[1])
        return candidate, math.inf if math.isnan(value) else float(value)


def compare(
    source: Source,
    mixtures: Mapping[int, Mixtures],
    weighting: Weighting,
    n_resamples: int = 0,
    rng: np.random.Generator | None = None,
) -> Comparison:
    """Compute the BIC of mixtures with every type of covariance, on the rows and on resamples of them.

    Raises
    ------
    InputError
        If there are too few rows for all of these numbers of clusters.
    """
    options = candidates(source, mixtures, weighting.n)
    sums, weight = log_likelihoods(source, options, n_resamples, rng)
    n_parameters = sums.new_tensor([option.n_parameters for option in options])
    log_n = (weight[:, None] * weighting.scale).clamp_min(1.0).log()
    values: Values = bic(sums * weighting.scale, n_parameters, log_n).numpy()  # (1 + n_resamples, options)
    if np.isnan(values[0]).all():
        is_scaled = weighting.scale != 1
        counted = f"rows that count as {weighting.n:.4g} by their weights" if is_scaled else f"{weighting.n:.4g} rows"
        problem = f"{counted} can't be divided into {min(mixtures)} clusters that have a variance"
        other = Message(", or set ", Setting("weights", "counts")) if is_scaled else Message()
        raise InputError(problem, hint=Message("lower ", Setting("k_range"), other))
    ks = np.array([option.n_clusters for option in options])
    return Comparison(options, values[0], ks[np.nanargmin(values[1:], 1)])
