"""Fits of several numbers of clusters, on all rows and on the folds of a cross-validation."""

from __future__ import annotations

__all__ = ["Mixtures", "fit_each_number", "fit_folds", "fit_mixture", "fit_mixtures"]

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from torch import Tensor

from ..data.block import as_tensor, pick
from ..data.convert import as_source
from ..data.frames import as_rows
from ..data.ordering import count_distinct, sorted_rows
from ..data.source import Source
from ..estimators.soft_kmeans import SoftKMeans
from ..fitting.results import CoincidentCentersWarning
from .growth import grow_centers


def fit_each_number(
    X: Any,
    source: Source,
    ks: Sequence[int],
    template: SoftKMeans,
    sample_weight: ArrayLike | Tensor | None,
    rng: np.random.Generator,
    on_fit: Callable[[int], Any] | None,
    previous: SoftKMeans | None = None,
) -> dict[int, SoftKMeans]:
    """Fit each number of clusters twice, and return the model with the higher likelihood for each.

    One fit starts from the template's initialization, the other from the centers of the previous model and additional
    ones (`growth.grow_centers`). With many clusters, each of the two can end in a poor optimum that the other avoids.

    Parameters
    ----------
    X, source : table and Source (n, d)
        The rows, as the user gave them and as a source.
    ks : sequence of int
        Numbers of clusters, in increasing order.
    template : SoftKMeans
        Its parameters are used for every fit.
    sample_weight : array-like or Tensor (n,), or None
        Weights of the rows.
    rng : numpy Generator
        Source of randomness.
    on_fit : callable or None
        Called with each number of clusters, after its fit.
    previous : SoftKMeans, optional
        A fitted model with fewer clusters, whose centers the first of these fits starts from.
    """
    rows, models = sorted_rows(source), dict[int, SoftKMeans]()
    for k in ks:
        fits = [clone(template).set_params(n_clusters=k, random_state=int(rng.integers(2**31)))]
        if previous is not None:
            centers = grow_centers(previous, source, rows, k, rng)
            fits.append(clone(fits[0]).set_params(init=centers, n_init=1))
        for model in fits:
            with warnings.catch_warnings():  # too large numbers are tried on purpose
                warnings.simplefilter("ignore", CoincidentCentersWarning)
                model.fit(X, sample_weight=sample_weight)
        models[k] = previous = max(fits, key=lambda model: _rounded_likelihood(model, source))
        if on_fit is not None:
            on_fit(k)
    return models


def _rounded_likelihood(model: SoftKMeans, source: Source) -> float:
    """Return the mean log-density, rounded to 9 digits so that rounding errors do not decide a comparison."""
    log_density = model._clustering(source).objective(source)
    weight = source.weight()
    mean = float(log_density.mean() if weight is None else weight @ log_density / weight.sum())
    return round(mean, 9)


class Mixtures(NamedTuple):
    """Two mixtures with learned priors and the same number of clusters.

    Attributes
    ----------
    of_model : SoftKMeans
        Fitted from the centers of the model; its memberships give the covariances of clusters that are not spherical.
    likeliest : SoftKMeans
        For spherical clusters: this mixture, or one that was fitted from other centers if it is much likelier.
    """

    of_model: SoftKMeans
    likeliest: SoftKMeans

    def get(self, covariance_type: str) -> SoftKMeans:
        """Return the mixture for a type of covariance."""
        return self.likeliest if covariance_type == "spherical" else self.of_model


def fit_mixtures(
    models: dict[int, SoftKMeans],
    rows: Any,
    source: Source,
    sample_weight: ArrayLike | Tensor | None,
    n: float,
    rng: np.random.Generator,
) -> dict[int, Mixtures]:
    """Fit each model again with learned priors, to the same rows.

    With equal priors, clusters of unequal sizes have a low likelihood, and a fit divides a large cluster where it
    should find a small one. So each number is also fitted from the centers of the previous number and additional ones.
    This fit counts only if it gains as much likelihood as BIC charges for a cluster: it then finds other clusters, and
    not only a better fit to chance. Models that already have learned priors are returned as they are.

    Parameters
    ----------
    models : dict of int to SoftKMeans
        The fitted models, in increasing order of their numbers of clusters.
    rows : table (n, d)
        The rows that they were fitted to.
    source : Source
        The same rows and their weights.
    sample_weight : array-like or Tensor (n,), or None
        The same weights.
    n : float
        The number of rows that the weighted rows count as.
    rng : numpy Generator
        Source of randomness.
    """
    template = next(iter(models.values()))
    if isinstance(template.priors, str) and template.priors == "learned":
        return {k: Mixtures(model, model) for k, model in models.items()}
    in_order, mixtures, previous = sorted_rows(source), dict[int, Mixtures](), None
    price_of_cluster = (source.n_features + 1) / 2 * math.log(max(n, 1.0))
    for k, model in models.items():
        own = best = fit_mixture(model, as_tensor(model.cluster_centers_).cpu().numpy(), rows, sample_weight)
        if previous is not None:
            grown = fit_mixture(model, grow_centers(previous, source, in_order, k, rng), rows, sample_weight)
            gain = n * (_rounded_likelihood(grown, source) - _rounded_likelihood(own, source))
            best = grown if gain > price_of_cluster else own
        mixtures[k], previous = Mixtures(own, best), best
    return mixtures


def fit_mixture(
    template: SoftKMeans,
    centers: NDArray[Any],
    rows: Any,
    sample_weight: ArrayLike | Tensor | None,
) -> SoftKMeans:
    """Fit a copy of a model with learned priors, starting from centers (k, d)."""
    start = {"n_clusters": len(centers), "init": centers, "n_init": 1, "local_search": False}
    mixture: SoftKMeans = clone(template).set_params(priors="learned", **start)
    with warnings.catch_warnings():  # the user is told about problems of the models, not of these copies
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(rows, sample_weight=sample_weight)


def fit_folds(
    X: Any, models: dict[int, SoftKMeans], cv: int, sample_weight: ArrayLike | Tensor | None, rng: np.random.Generator
) -> Iterator[tuple[Source, dict[int, SoftKMeans], Source]]:
    """Yield for each fold the other rows, models fitted on these, and the fold's rows.

    The fits start from the centers of ``models``. Rows without weight are in no fold. Models with more clusters than
    there are distinct rows outside the fold are left out.
    """
    rows, weights = as_rows(X), as_source(X, sample_weight).weight()
    weighted = torch.arange(rows.shape[0], device="cpu") if weights is None else weights.cpu().nonzero()[:, 0]
    folds = KFold(cv, shuffle=True, random_state=int(rng.integers(2**31)))
    for split in folds.split(np.empty((len(weighted), 0))):
        (train, train_weights), (test, test_weights) = (
            (pick(rows, indices), None if weights is None else weights[indices.to(weights.device)])
            for indices in (weighted[torch.from_numpy(positions)] for positions in split)
        )
        source = as_source(train, train_weights)
        n_distinct = count_distinct(source)
        fitted = {
            k: fit_mixture(model, as_tensor(model.cluster_centers_).cpu().numpy(), train, train_weights)
            for k, model in models.items()
            if k <= n_distinct
        }
        yield source, fitted, as_source(test, test_weights)
