"""Stability of clusters and memberships under resampling of the rows."""

from __future__ import annotations

__all__ = ["MIN_STABLE_JACCARD", "RESAMPLES", "Stability", "stability"]

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.brief import with_brief_repr
from .._utils.checks import check_count, check_known
from .._utils.random import as_generator
from ..data.block import as_tensor
from ..data.convert import as_source
from ..errors import InputError
from ..estimators.base import SoftClusterer
from ..fitting.results import CoincidentCentersWarning
from ..metrics import align

Array = NDArray[np.float64]
MIN_STABLE_JACCARD = 0.6  # mean Jaccard index below which a cluster should not be trusted (Hennig 2007)


def _bootstrap(n: int, rng: np.random.Generator) -> Array:
    """Return the counts (n,) of rows in a sample of n rows with replacement."""
    return rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)


def _half(n: int, rng: np.random.Generator) -> Array:
    """Return the counts (n,) of rows, 0 or 1, in a sample of half of the rows without replacement, rounded up."""
    weight = np.zeros(n)
    weight[rng.permutation(n)[: (n + 1) // 2]] = 1.0
    return weight


# Functions that draw a resample of n rows, as the count of each row (n,).
RESAMPLES: dict[str, Callable[[int, np.random.Generator], Array]] = {"bootstrap": _bootstrap, "half": _half}


@with_brief_repr
class Stability(NamedTuple):
    """Agreement of a clustering with fits of resamples of the rows.

    Attributes
    ----------
    clusters : ndarray (k,)
        Mean Jaccard index Σ w min(r, r') / Σ w max(r, r') of each cluster with its partner in the resamples, from 0
        to 1. From 0.75 on, a cluster is stable; below 0.6 it should not be trusted; below 0.5 it
        dissolves in about half of the resamples or more (Hennig 2007).
    rows : ndarray (n,)
        Mean membership of each row, over the resamples, in the partner of its likeliest cluster.
    """

    clusters: Array
    rows: Array

    @property
    def unstable(self) -> list[int]:
        """Indices of the clusters with a mean Jaccard index below 0.6."""
        return [int(k) for k in np.flatnonzero(self.clusters < MIN_STABLE_JACCARD)]


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
    """Measure how stable the clusters and memberships of a model are under resampling.

    Fit resamples of the rows with the parameters of the model, match the clusters of each fit with those of the model,
    and compare the memberships of all rows.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A model fitted on X.
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows of finite real numbers.
    n_resamples : int, default=20
        Number of resamples.
    resample : {"bootstrap", "half"}
        "bootstrap" (default) draws rows with replacement, as many as there are rows with weight; "half" draws half of
        them, without replacement.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; multiplied by the counts of a resample.
    random_state : int, numpy Generator or None
        Source of randomness for resamples and initialization.
    on_fit : callable, optional
        Called with the number of each resample, from 1, after its fit.

    Returns
    -------
    Stability
        The stability of each cluster and of each row.

    Raises
    ------
    InputError
        If the data or a parameter is invalid.

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
        raise InputError(
            f"is of type {type(model).__name__}",
            parameter="model",
            expected="a fitted SoftKMeans or FuzzyCMeans",
            hint="for a pipeline, give its last step and the data transformed by the other steps",
        )
    check_is_fitted(model)
    check_count("n_resamples", n_resamples)
    check_known("resample", resample, RESAMPLES)
    rng = as_generator(random_state)
    model_resp = _memberships(model, X)
    n, n_clusters = model_resp.shape
    given_weight = as_source(X, sample_weight).weight()
    weight = np.ones(n) if given_weight is None else given_weight.cpu().numpy()
    weighted_rows = np.flatnonzero(weight)
    likeliest = model_resp.argmax(1)
    cluster_sums, row_sums = np.zeros(n_clusters), np.zeros(n)
    for number in range(1, n_resamples + 1):
        refit = clone(model).set_params(random_state=int(rng.integers(2**31)), warm_start=False)
        counts = np.zeros(n)
        counts[weighted_rows] = RESAMPLES[resample](len(weighted_rows), rng)
        with warnings.catch_warnings():  # in a resample, clusters may be missing
            warnings.simplefilter("ignore", CoincidentCentersWarning)
            resp = _memberships(refit.fit(X, sample_weight=weight * counts), X)
        resp = resp[:, align(model_resp, resp, sample_weight=weight)]
        cluster_sums += _jaccard(model_resp, resp, weight)
        row_sums += resp[np.arange(n), likeliest]
        if on_fit is not None:
            on_fit(number)
    return Stability(cluster_sums / n_resamples, row_sums / n_resamples)


def _memberships(model: SoftClusterer, X: Any) -> Array:
    """Return the memberships (n, k) of the rows, in float64."""
    return np.asarray(as_tensor(model.predict_proba(X)).cpu().double())


def _jaccard(resp_a: Array, resp_b: Array, weight: Array) -> Array:
    """Return the Jaccard index of each cluster (k,) between two clusterings; 0 for a cluster that is empty in both."""
    intersection, union = weight @ np.minimum(resp_a, resp_b), weight @ np.maximum(resp_a, resp_b)
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
