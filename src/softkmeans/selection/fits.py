"""Fits of one number of clusters after the other."""

from __future__ import annotations

__all__ = ["one_after_another", "without_one"]

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


def one_after_another(
    X: Any,
    source: Source,
    ks: Sequence[int],
    template: SoftKMeans,
    sample_weight: ArrayLike | Tensor | None,
    rng: np.random.Generator,
    on_fit: Callable[[int], Any] | None,
) -> dict[int, SoftKMeans]:
    """Fit every number of clusters, afresh and from the centers of the one before and some more, as k-means++ has them.

    The likelier fit is kept. Where clusters are many, either may be stuck where the other is not.
    """
    distance = as_distance(template.distance)
    scaling = Scaling.of(source, distance)
    view, models, last = scaling.view(source), dict[int, SoftKMeans](), None
    rows = sorted_rows(view)
    for k in ks:
        fitted = [clone(template).set_params(n_clusters=k, random_state=int(rng.integers(2**31)))]
        if last is not None:
            before = scaling.transform(as_tensor(last.cluster_centers_).to(source.device, source.dtype))
            centers = scaling.inverse_transform(add_centers(view, rows, before, k, distance, rng))
            fitted.append(clone(fitted[0]).set_params(init=centers.cpu().numpy(), n_init=1))
        for model in fitted:
            model.fit(X, sample_weight=sample_weight)
        models[k] = last = max(fitted, key=lambda model: _likelihood(model, source))
        if on_fit is not None:
            on_fit(k)
    return models


def _likelihood(model: SoftKMeans, source: Source) -> float:
    """Mean log-density, to the digits that are no chance of the arithmetic."""
    found = model._clustering(source).objective(source)
    weight = source.weight()
    mean = float(found.mean() if weight is None else weight @ found / weight.sum())
    return round(mean, 9)


def without_one(
    X: Any, models: dict[int, SoftKMeans], cv: int, sample_weight: ArrayLike | Tensor | None, rng: np.random.Generator
) -> Iterator[tuple[Source, dict[int, SoftKMeans], Source]]:
    """For each fold, give the rest of the rows, models fitted on it from where all rows led, and the fold's rows.

    Rows without weight are in no fold. Models of more clusters than the rest has distinct rows are left out.
    """
    rows, weights = as_rows(X), as_source(X, sample_weight).weight()
    some = torch.arange(rows.shape[0]) if weights is None else weights.cpu().nonzero()[:, 0]
    folds = KFold(cv, shuffle=True, random_state=int(rng.integers(2**31)))
    for split in folds.split(np.empty((len(some), 0))):
        (rest, rest_weights), (fold, fold_weights) = (
            (pick(rows, places), None if weights is None else weights[places.to(weights.device)])
            for places in (some[torch.from_numpy(numbers)] for numbers in split)
        )
        source = as_source(rest, rest_weights)
        n_distinct = count_distinct(source)
        fitted = {k: _again(model, rest, rest_weights) for k, model in models.items() if k <= n_distinct}
        yield source, fitted, as_source(fold, fold_weights)


def _again(model: SoftKMeans, rows: Any, weights: Tensor | None) -> SoftKMeans:
    again: SoftKMeans = clone(model).set_params(init=np.asarray(as_tensor(model.cluster_centers_).cpu()))
    again.set_params(n_init=1, local_search=False)
    with warnings.catch_warnings():  # a cluster may be in the fold altogether, which is no fault of the model's
        warnings.simplefilter("ignore", ConvergenceWarning)
        return again.fit(rows, sample_weight=weights)
