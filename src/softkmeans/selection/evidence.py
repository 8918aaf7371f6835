"""Likelihoods of fitted models, for several shapes of clusters, and of resamples of the rows."""

from __future__ import annotations

__all__ = ["Candidate", "bayes", "candidates", "log_likelihoods"]

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..blocks import Block, as_tensor
from ..data.source import Source
from ..distances import as_distance
from ..estimator import SoftKMeans
from ..space import Space
from ..temperature.moments import covariance
from .shapes import SHAPES, shaped


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

    Other distances than the squared Euclidean one, and clusters of noise, know no other shapes.
    """
    first = next(iter(models.values()))
    if as_distance(first.distance).name != "sqeuclidean" or first.noise_distance is not None:
        return [Candidate(k, "spherical", model.n_parameters(), _own(model)) for k, model in models.items()]
    space = Space.of(source, as_distance("sqeuclidean"))
    total = covariance(space.view(source))
    return [_shaped(model, shape, space, total) for model in models.values() for shape in SHAPES]


def _own(model: SoftKMeans) -> Callable[[Block], Tensor]:
    def log_density(block: Block) -> Tensor:
        rows = block.rows
        return as_tensor(model.score_samples(rows)).to(block.device, block.dtype)

    return log_density


def _shaped(model: SoftKMeans, shape: str, space: Space, total: Tensor) -> Candidate:
    centers = space.enter(as_tensor(model.cluster_centers_).to(total))
    shares, priors = (torch.from_numpy(part).to(total) for part in (model.cluster_weights_, model.priors_))
    shares = shares / shares.sum()
    own = shape == "spherical"  # the model itself
    n_parameters = model.n_parameters()
    if not own:
        n_parameters = centers.numel() + len(centers) - 1 + SHAPES[shape][1](centers.shape[1])
    found = shaped(shape, centers, shares, priors if own else shares.clamp_min(1e-300), total)
    if found is None:
        return Candidate(len(centers), shape, n_parameters, None)
    shift = centers.shape[1] * math.log(space.scale)
    return Candidate(len(centers), shape, n_parameters, lambda block: found.log_density(space.enter(block.x)) - shift)


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
