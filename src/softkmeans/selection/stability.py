"""Whether clusters and memberships survive when the rows are drawn anew."""

from __future__ import annotations

__all__ = ["RESAMPLES", "TRUSTED", "Stability", "stability"]

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.checks import check_count, check_known
from ..data.block import as_tensor
from ..data.convert import as_source
from ..errors import InputError
from ..estimators.base import SoftClusterer
from ..metrics import align

Array = NDArray[np.float64]
TRUSTED = 0.6  # Jaccard's index below which Hennig would not trust a cluster


def _bootstrap(n: int, rng: np.random.Generator) -> Array:
    return rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)


def _half(n: int, rng: np.random.Generator) -> Array:
    weight = np.zeros(n)
    weight[rng.permutation(n)[: (n + 1) // 2]] = 1.0
    return weight


# How often (n,) each row is in a resample.
RESAMPLES: dict[str, Callable[[int, np.random.Generator], Array]] = {"bootstrap": _bootstrap, "half": _half}


class Stability(NamedTuple):
    """How much of a clustering survives in resamples of the rows.

    Attributes
    ----------
    clusters : ndarray (k,)
        Mean Jaccard index Σ w min(r, r') / Σ w max(r, r') of each cluster with its partner in the resamples, from 0
        to 1. Below 0.5 a cluster is dissolved as often as not, below 0.6 it is not to be trusted, from 0.75 on it is a
        pattern in the data (Hennig 2007).
    points : ndarray (n,)
        Mean membership that the resamples give each row in the partner of its likeliest cluster.
    """

    clusters: Array
    points: Array

    @property
    def doubtful(self) -> list[int]:
        """Numbers of the clusters that are not to be trusted."""
        return [int(k) for k in np.flatnonzero(self.clusters < TRUSTED)]


def stability(
    model: SoftClusterer,
    X: ArrayLike | Tensor,
    *,
    n_resamples: int = 20,
    resample: str = "bootstrap",
    sample_weight: ArrayLike | Tensor | None = None,
    random_state: int | np.random.Generator | None = None,
    on_fit: Callable[[int], Any] | None = None,
) -> Stability:
    """Fit resamples of the rows with a model's own settings, match their clusters with its, and compare.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        Fitted on X.
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows.
    n_resamples : int
        How many.
    resample : {"bootstrap", "half"}
        As many rows as have weight, drawn with replacement from them, or half of them.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows; resamples multiply them.
    random_state : int, numpy Generator or None
        Where resamples and starts are drawn from.
    on_fit : callable, optional
        Is given the number of every resample, from 1, as soon as it is fitted.

    Returns
    -------
    Stability
        Of each cluster and each row.

    Raises
    ------
    InputError
        If the data or a parameter can't be used.

    References
    ----------
    Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data Analysis 2007. Clusters are
    matched by the Hungarian algorithm (`metrics.align`).

    Examples
    --------
    >>> from softkmeans import SoftKMeans, make_blobs, stability
    >>> X, _ = make_blobs(200, 2, 3, cluster_std=0.5, random_state=0)
    >>> stability(SoftKMeans(3, n_init=3, random_state=0).fit(X), X, random_state=0).clusters.round(1)
    array([1., 1., 1.])
    """
    if not isinstance(model, SoftClusterer):
        hint = "of a pipeline, give the last step and the data that it sees"
        raise InputError(f"a {type(model).__name__} came, expected a fitted SoftKMeans or FuzzyCMeans; {hint}")
    check_is_fitted(model)
    check_count("n_resamples", n_resamples)
    check_known("resample", resample, RESAMPLES)
    rng, own = np.random.default_rng(random_state), _memberships(model, X)
    given = as_source(X, sample_weight).weight()
    weight = np.ones(len(own)) if given is None else given.cpu().numpy()
    some = np.flatnonzero(weight)
    clusters, points, likeliest = np.zeros(own.shape[1]), np.zeros(len(own)), own.argmax(1)
    for number in range(1, n_resamples + 1):
        again = clone(model).set_params(random_state=int(rng.integers(2**31)), warm_start=False)
        times = np.zeros(len(own))
        times[some] = RESAMPLES[resample](len(some), rng)
        resp = _memberships(again.fit(X, sample_weight=weight * times), X)
        resp = resp[:, align(own, resp, sample_weight=weight)]
        clusters += _jaccard(own, resp, weight)
        points += resp[np.arange(len(own)), likeliest]
        if on_fit is not None:
            on_fit(number)
    return Stability(clusters / n_resamples, points / n_resamples)


def _memberships(model: SoftClusterer, X: Any) -> Array:
    return np.asarray(as_tensor(model.predict_proba(X)).cpu().double())


def _jaccard(own: Array, other: Array, weight: Array) -> Array:
    both, either = weight @ np.minimum(own, other), weight @ np.maximum(own, other)
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)
