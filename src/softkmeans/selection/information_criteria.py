"""Likelihoods and BIC of fitted models, for several shapes of clusters, on the rows and on resamples of them."""

from __future__ import annotations

__all__ = ["Candidate", "ShapeComparison", "candidates", "compare_shapes", "log_likelihoods"]

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._utils.information import bic
from ..data.block import Block
from ..data.scaling import Scaling
from ..data.source import ArraySource, Source
from ..distances import as_distance
from ..errors import InputError, Message, Setting, warn
from ..estimators.soft_kmeans import SoftKMeans
from ..temperature import as_temperature
from ..temperature.moments import MAX_COVARIANCE_FEATURES, covariance
from .covariance import MIN_RELATIVE_VARIANCE, SHAPES, gaussian_mixture

Values = NDArray[np.float64]


class Candidate(NamedTuple):
    """A number of clusters and a shape of clusters, with the density of the fitted mixture.

    Attributes
    ----------
    n_clusters : int
        Number of clusters k.
    shape : str
        One of `covariance.SHAPES`.
    n_parameters : int
        Number of fitted parameters.
    log_density : callable or None
        Function from a block of rows to their log-density (m,), in the data's units; None if clusters have no variance
        along some direction, and the density is unbounded.
    """

    n_clusters: int
    shape: str
    n_parameters: int
    log_density: Callable[[Block], Tensor] | None


def candidates(source: Source, models: Mapping[int, SoftKMeans]) -> list[Candidate]:
    """Return the models fitted on a source's rows, each with every shape of clusters and the same memberships.

    With another distance than the squared Euclidean one, a noise cluster, a single feature or more than
    `MAX_COVARIANCE_FEATURES` features, return the models themselves only.
    """
    first = next(iter(models.values()))
    has_one_shape = not as_distance(first.distance).is_squared or first.noise_distance is not None
    if has_one_shape or not 1 < source.n_features <= MAX_COVARIANCE_FEATURES:
        return [_model_candidate(model, source) for model in models.values()]
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    total = covariance(scaling.view(source))
    return [_shape_candidate(model, shape, source, scaling, total) for model in models.values() for shape in SHAPES]


def _model_candidate(model: SoftKMeans, source: Source) -> Candidate:
    """Return the model itself as a candidate."""
    clustering = model._clustering(source)

    def log_density(block: Block) -> Tensor:
        return clustering.objective(ArraySource(block.rows, None, block.device, block.dtype))

    return Candidate(len(model.cluster_centers_), "spherical", model.n_parameters(), log_density)


def _shape_candidate(model: SoftKMeans, shape: str, source: Source, scaling: Scaling, total: Tensor) -> Candidate:
    """Return the candidate with a model's memberships and clusters of a shape; ``total`` is the covariance (d, d)."""
    if shape == "spherical":
        candidate, temperature_rule = _model_candidate(model, source), as_temperature(model.temperature)
        variance = float(np.min(model.temperature_)) / 2 / scaling.scale**2
        is_estimated = temperature_rule.learned or temperature_rule.solves_equation
        is_flat = is_estimated and not variance > MIN_RELATIVE_VARIANCE * float(total.diagonal().max())
        return candidate._replace(log_density=None) if is_flat else candidate
    centers, fractions = _means(model, source, scaling)
    n_clusters, n_features = centers.shape
    n_parameters = centers.numel() + n_clusters - 1 + SHAPES[shape].n_parameters(n_features)
    mixture = None
    if shape != "tied" or source.n_rows > source.n_features:  # else some direction certainly has no variance
        mixture = gaussian_mixture(shape, centers, fractions, fractions.clamp_min(1e-300), total)
    if mixture is None:
        return Candidate(n_clusters, shape, n_parameters, None)
    log_volume = n_features * math.log(scaling.scale)

    def log_density(block: Block) -> Tensor:
        return mixture.log_density(scaling.transform(block.x)) - log_volume

    return Candidate(n_clusters, shape, n_parameters, log_density)


def _means(model: SoftKMeans, source: Source, scaling: Scaling) -> tuple[Tensor, Tensor]:
    """Return the scaled means (k, d) of the rows weighted by their memberships, and the fractions (k,) of Σw.

    The model's centers are such means only up to the tolerance of the fit and the precision of their dtype. Both errors
    are too large if clusters are small and far apart: the covariance within clusters is then a small difference from
    that of all rows.
    """
    clustering = model._clustering(source)
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

    def block_sums(block: Block) -> Tensor:
        columns = [
            block.w.new_full((len(block),), torch.nan) if option.log_density is None else option.log_density(block)
            for option in options
        ]
        counts = np.ones((1 + n_resamples, len(block)))
        if rng is not None:
            counts[1:] = rng.poisson(1.0, (n_resamples, len(block)))
        weights = torch.from_numpy(counts).to(block.w) * block.w
        result: Tensor = weights @ torch.stack([*columns, block.w.new_ones(len(block))], 1)
        return result

    width = max(source.n_features, len(options), n_resamples, max(option.n_clusters for option in options))
    sums = source.sum(lambda block: block.sum(block_sums, width=width)).cpu()
    return sums[:, :-1], sums[:, -1]


class ShapeComparison(NamedTuple):
    """The BIC of several numbers of clusters, for each shape of clusters.

    Attributes
    ----------
    best : str
        The shape with the lowest BIC.
    bic : dict of str to ndarray (m,)
        BIC of each shape.
    resampled : ndarray (n_resamples,)
        The number of clusters with the lowest BIC of any shape, for each resample of the rows.
    """

    best: str
    bic: dict[str, Values]
    resampled: NDArray[np.int64]


def compare_shapes(
    source: Source, models: Mapping[int, SoftKMeans], n_resamples: int, rng: np.random.Generator
) -> ShapeComparison:
    """Compute the BIC of models with every shape of clusters, on the rows and on resamples of them."""
    options = candidates(source, models)
    sums, weight = log_likelihoods(source, options, n_resamples, rng)
    n_parameters = sums.new_tensor([option.n_parameters for option in options])
    values: Values = bic(sums, n_parameters, weight[:, None].log()).numpy()  # (1 + n_resamples, options)
    lists: dict[str, list[float]] = {}
    for option, value in zip(options, values[0].tolist(), strict=True):
        lists.setdefault(option.shape, []).append(value)
    by_shape = {shape: np.array(column) for shape, column in lists.items()}
    _check_bounded(list(models), by_shape)
    best = min(by_shape, key=lambda shape: np.nanmin(by_shape[shape], initial=math.inf))
    resampled = np.array([option.n_clusters for option in options])[np.nanargmin(values[1:], 1)]
    return ShapeComparison(best, by_shape, resampled)


def _check_bounded(ks: list[int], bic_by_shape: Mapping[str, Values]) -> None:
    """Warn if the likelihood is unbounded for some numbers of clusters; raise an InputError if it is for all."""
    is_unbounded = np.isnan(np.array(list(bic_by_shape.values()))).all(0)  # (m,)
    reason = "the clusters have no variance, so the likelihood is unbounded"
    if is_unbounded.all():
        raise InputError(reason, hint=Message("remove repeated rows, or lower ", Setting("k_range")))
    if is_unbounded.any():
        k = ks[int(is_unbounded.argmax())]
        warn(f"with {k} clusters or more, {reason}: BIC and ICL cannot select these numbers", UserWarning)
