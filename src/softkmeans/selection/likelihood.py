"""Likelihoods of fitted models, for several shapes of clusters, and of resamples of the rows."""

from __future__ import annotations

__all__ = ["Candidate", "bayes", "candidates", "log_likelihoods"]

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.block import Block
from ..data.scaling import Scaling
from ..data.source import ArraySource, Source
from ..distances import as_distance
from ..estimators.soft_kmeans import SoftKMeans
from ..temperature import as_temperature
from ..temperature.moments import MOST, covariance
from .covariance import FLAT, SHAPES, shaped


class Candidate(NamedTuple):
    """A number of clusters, and a shape.

    Attributes
    ----------
    n_clusters : int
        k.
    shape : str
        One of `shapes.SHAPES`.
    n_parameters : int
        How many numbers were fitted.
    log_density : callable or None
        From some rows to their log-density (m,), in the data's units; None if clusters are flat.
    """

    n_clusters: int
    shape: str
    n_parameters: int
    log_density: Callable[[Block], Tensor] | None


def candidates(source: Source, models: Mapping[int, SoftKMeans]) -> list[Candidate]:
    """Give the models fitted on a source's rows, and those of other shapes with the same memberships.

    Other distances than the squared Euclidean one, clusters of noise, a single feature and very many of them know no
    other shapes.
    """
    first = next(iter(models.values()))
    others = as_distance(first.distance).name != "sqeuclidean" or first.noise_distance is not None
    if others or not 1 < source.n_features <= MOST:
        return [_round(model, source) for model in models.values()]
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    total = covariance(scaling.view(source))
    return [_shaped(model, shape, source, scaling, total) for model in models.values() for shape in SHAPES]


def _round(model: SoftKMeans, source: Source) -> Candidate:
    """Give the model itself."""
    clustering = model._clustering(source)

    def log_density(block: Block) -> Tensor:
        return clustering.objective(ArraySource(block.rows, None, block.device, block.dtype))

    return Candidate(len(model.cluster_centers_), "spherical", model.n_parameters(), log_density)


def _shaped(model: SoftKMeans, shape: str, source: Source, scaling: Scaling, total: Tensor) -> Candidate:
    if shape == "spherical":
        found, rule = _round(model, source), as_temperature(model.temperature)
        variance = float(np.min(model.temperature_)) / 2 / scaling.scale**2
        flat = (rule.learned or rule.solved) and not variance > FLAT * float(total.diagonal().max())
        return found._replace(log_density=None) if flat else found
    centers, shares = _moments(model, source, scaling)
    n_parameters = centers.numel() + len(centers) - 1 + SHAPES[shape][1](centers.shape[1])
    fits = shape != "tied" or source.n_rows > source.n_features  # else a direction is flat, without looking
    form = shaped(shape, centers, shares, shares.clamp_min(1e-300), total) if fits else None
    if form is None:
        return Candidate(len(centers), shape, n_parameters, None)
    shift = centers.shape[1] * math.log(scaling.scale)
    return Candidate(
        len(centers), shape, n_parameters, lambda block: form.log_density(scaling.transform(block.x)) - shift
    )


def _moments(model: SoftKMeans, source: Source, scaling: Scaling) -> tuple[Tensor, Tensor]:
    """Means (k, d) of the rows by their memberships, in a space, and the clusters' shares (k,) of Σw.

    The model's centers are such means but for its tolerance and its type. Both are too much where clusters are small
    and far apart: the covariance within them is what little is left of that of all rows.
    """
    clustering = model._clustering(source)
    stats, own = clustering.stats(source), clustering.scaling
    means = torch.where(stats.weight[:, None] > 0, stats.weighted_sum / stats.weight[:, None], clustering.centers)
    return (means * own.scale + (own.shift - scaling.shift)) / scaling.scale, stats.weight / stats.weight.sum()


def log_likelihoods(
    source: Source, options: list[Candidate], n_resamples: int = 0, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Sum log-densities over the rows, and over resamples of them: the rows' numbers are Poisson's there.

    Returns
    -------
    sums : Tensor (1 + n_resamples, options)
        NaN for flat clusters.
    weight : Tensor (1 + n_resamples,)
        Σw.
    """

    def of(piece: Block) -> Tensor:
        columns = [
            piece.w.new_full((len(piece),), torch.nan) if option.log_density is None else option.log_density(piece)
            for option in options
        ]
        times = np.ones((1 + n_resamples, len(piece)))
        if rng is not None:
            times[1:] = rng.poisson(1.0, (n_resamples, len(piece)))
        found: Tensor = (
            torch.from_numpy(times).to(piece.w) * piece.w @ torch.stack([*columns, piece.w.new_ones(len(piece))], 1)
        )
        return found

    width = max(source.n_features, len(options), n_resamples, max(option.n_clusters for option in options))
    found = source.sum(lambda block: block.sum(of, width=width)).cpu()
    return found[:, :-1], found[:, -1]


def bayes(options: list[Candidate], sums: Tensor, weight: Tensor) -> Tensor:
    """Give the Bayesian information criterion (1 + n_resamples, options)."""
    sizes = sums.new_tensor([option.n_parameters for option in options])
    return sizes * weight[:, None].log() - 2 * sums
