"""Fits of several numbers of clusters, on all rows and on the folds of a cross-validation."""

from __future__ import annotations

__all__ = ["fit_each_number", "fit_folds"]

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from torch import Tensor

from ..data.block import as_tensor, pick
from ..data.convert import as_source
from ..data.frames import as_rows
from ..data.ordering import count_distinct, sorted_rows
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from ..estimators.soft_kmeans import SoftKMeans
from ..seeding import add_centers


def fit_each_number(
    X: Any,
    source: Source,
    ks: Sequence[int],
    template: SoftKMeans,
    sample_weight: ArrayLike | Tensor | None,
    rng: np.random.Generator,
    on_fit: Callable[[int], Any] | None,
) -> dict[int, SoftKMeans]:
    """Fit each number of clusters twice, and return the model with the higher likelihood for each.

    One fit starts from the template's initialization, the other from the centers of the previous model and additional
    ones that k-means++ draws. With many clusters, each of the two fits can end in a poor optimum that the other avoids.
    """
    distance = as_distance(template.distance)
    scaling = Scaling.of(source, distance)
    view, models, previous = scaling.view(source), dict[int, SoftKMeans](), None
    rows = sorted_rows(view)
    for k in ks:
        fits = [clone(template).set_params(n_clusters=k, random_state=int(rng.integers(2**31)))]
        if previous is not None:
            previous_centers = scaling.transform(as_tensor(previous.cluster_centers_).to(source.device, source.dtype))
            centers = scaling.inverse_transform(add_centers(view, rows, previous_centers, k, distance, rng))
            fits.append(clone(fits[0]).set_params(init=centers.cpu().numpy(), n_init=1))
        for model in fits:
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


def fit_folds(
    X: Any, models: dict[int, SoftKMeans], cv: int, sample_weight: ArrayLike | Tensor | None, rng: np.random.Generator
) -> Iterator[tuple[Source, dict[int, SoftKMeans], Source]]:
    """Yield for each fold the other rows, models fitted on these, and the fold's rows.

    The fits start from the centers of ``models``. Rows without weight are in no fold. Models with more clusters than
    there are distinct rows outside the fold are left out.
    """
    rows, weights = as_rows(X), as_source(X, sample_weight).weight()
    weighted = torch.arange(rows.shape[0]) if weights is None else weights.cpu().nonzero()[:, 0]
    folds = KFold(cv, shuffle=True, random_state=int(rng.integers(2**31)))
    for split in folds.split(np.empty((len(weighted), 0))):
        (train, train_weights), (test, test_weights) = (
            (pick(rows, indices), None if weights is None else weights[indices.to(weights.device)])
            for indices in (weighted[torch.from_numpy(positions)] for positions in split)
        )
        source = as_source(train, train_weights)
        n_distinct = count_distinct(source)
        fitted = {k: _refit(model, train, train_weights) for k, model in models.items() if k <= n_distinct}
        yield source, fitted, as_source(test, test_weights)


def _refit(model: SoftKMeans, rows: Any, weights: Tensor | None) -> SoftKMeans:
    """Fit a copy of a model on other rows, starting from its centers."""
    copy: SoftKMeans = clone(model).set_params(init=np.asarray(as_tensor(model.cluster_centers_).cpu()))
    copy.set_params(n_init=1, local_search=False)
    with warnings.catch_warnings():  # all rows of a cluster may be in the fold, which is not a problem of the model
        warnings.simplefilter("ignore", ConvergenceWarning)
        return copy.fit(rows, sample_weight=weights)
