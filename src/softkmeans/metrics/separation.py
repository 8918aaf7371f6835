"""Compactness and separation of clusters: metrics of ``X`` and ``resp``."""

from __future__ import annotations

__all__ = ["VARIANTS", "fuzzy_silhouette", "silhouette_samples", "xie_beni"]

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from .._utils.checks import check_known, is_number
from ..data.block import BLOCK
from ..data.source import Source
from ..errors import InputError
from ._inputs import (
    NormalizedBlock,
    Table,
    as_memberships,
    as_table,
    check_same_rows,
    normalized_blocks,
    weighted_mean,
    weighted_sum,
)


def xie_beni(
    X: Table,
    resp: Table,
    centers: Table,
    *,
    fuzzifier: float = 2.0,
    sample_weight: ArrayLike | Tensor | None = None,
) -> float:
    """Return Xie and Beni's index: the compactness of the clusters divided by the separation of their centers.

    It is the mean of Σ_k r^m ‖x - c_k‖² divided by the smallest ‖c_j - c_k‖², j ≠ k. Lower is better. Xie and Beni use
    m = 2; Pal and Bezdek use the fuzzifier of the clustering. With m = 1, the mean is the expected distortion of soft
    k-means per row.

    Parameters
    ----------
    X : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    resp : array-like or Tensor (n, k)
        Their memberships in two clusters or more. A row that sums to s < 1 counts as s rows with memberships
        resp / s.
    centers : array-like or Tensor (k, d)
        The clusters' centers.
    fuzzifier : float, default=2.0
        The exponent m, 1 or more.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        0 or more; infinity if two centers coincide.

    Raises
    ------
    InputError
        If an argument is invalid, shapes do not match, no row belongs to a cluster, or there is only one cluster.

    References
    ----------
    Xie & Beni, "A validity measure for fuzzy clustering", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 13, 1991. Pal & Bezdek, "On cluster validity for the fuzzy c-means model", IEEE Transactions on Fuzzy
    Systems 3, 1995.

    Examples
    --------
    >>> xie_beni([[0.0], [2.0], [9.0], [11.0]], [[1, 0], [1, 0], [0, 1], [0, 1]], centers=[[1.0], [10.0]])  # 1 / 81
    0.012345...
    """
    _check_at_least("fuzzifier", fuzzifier, 1)
    x, source = _check_rows(X, resp, sample_weight)
    c = _check_centers(centers, source, x)
    compactness = weighted_mean(
        ((block.p**fuzzifier * _distances(block.others[0], c).square()).sum(1), block.w)
        for block in normalized_blocks(source, x)
    )
    separation = float(_distances(c, c).fill_diagonal_(math.inf).min()) ** 2
    return float(compactness) / separation if separation else math.inf


def fuzzy_silhouette(
    X: Table,
    resp: Table,
    centers: Table | None = None,
    *,
    alpha: float = 1.0,
    variant: str = "centers",
    sample_weight: ArrayLike | Tensor | None = None,
) -> float:
    """Return Campello and Hruschka's fuzzy silhouette: the mean width, with less weight for rows between clusters.

    A row's width is (b - a) / max(a, b), where a is its Euclidean distance to its likeliest cluster, and b is the
    distance to the nearest other cluster. Its weight in the mean is (first - second)^alpha, where first and second are
    the row's two largest memberships.

    Parameters
    ----------
    X : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    resp : array-like or Tensor (n, k)
        Their memberships in two clusters or more. A row that sums to s < 1 counts as s rows with memberships
        resp / s.
    centers : array-like or Tensor (k, d), optional
        The clusters' centers, for the variant "centers"; by default the means of X weighted by the memberships.
    alpha : float, default=1.0
        Exponent of the weights, 0 or more. With 0 all rows have the same weight, as in the crisp silhouette; the larger
        it is, the less weight rows between clusters have.
    variant : {"centers", "exact"}
        The distance from a row to a cluster. "centers" (default), the simplified silhouette, uses the distance to the
        center; it takes O(n k) time. "exact" uses the mean distance to the cluster's other rows; it takes O(n²) time,
        but not O(n²) memory. Each row is assigned to its likeliest cluster.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        From -1 to 1; higher is better. An undefined width counts as 0: if the row is the only one of its cluster,
        if no other cluster has rows, or if all distances are 0. The result is 0 if no row has a likeliest
        cluster.

    Raises
    ------
    InputError
        If an argument is invalid, shapes do not match, or there is only one cluster.

    References
    ----------
    Campello & Hruschka, "A fuzzy extension of the silhouette width criterion for cluster analysis", Fuzzy Sets and
    Systems 157, 2006.

    Examples
    --------
    >>> x = [[0.0], [1.0], [9.0], [10.0], [5.2]]
    >>> resp = [[1, 0], [1, 0], [0, 1], [0, 1], [0.4, 0.6]]
    >>> round(fuzzy_silhouette(x, resp, centers=[[0.5], [9.5]]), 4)
    0.9034
    >>> round(fuzzy_silhouette(x, resp, variant="exact"), 4)
    0.7533
    """
    _check_at_least("alpha", alpha, 0)
    blocks = _silhouette_blocks(X, resp, centers, variant, sample_weight)
    width_sum, weight = weighted_sum((widths, block.w * _membership_gap(block.p) ** alpha) for block, widths in blocks)
    return float(width_sum) / weight if weight else 0.0


def silhouette_samples(
    X: Table,
    resp: Table,
    centers: Table | None = None,
    *,
    variant: str = "centers",
    sample_weight: ArrayLike | Tensor | None = None,
) -> NDArray[np.float64]:
    """Return the silhouette width of each row; `fuzzy_silhouette` is their weighted mean.

    Parameters
    ----------
    X, resp, centers, variant
        As for `fuzzy_silhouette`. With "exact" and memberships of 0 and 1, the result equals that of scikit-learn's
        ``silhouette_samples``.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, used where distances to rows ("exact") or the rows themselves (default centers) are
        averaged.

    Returns
    -------
    ndarray (n,)
        (b - a) / max(a, b), from -1 to 1: a is the distance to the row's likeliest cluster, and b is the distance to
        the nearest other cluster. 0 if undefined.

    Raises
    ------
    InputError
        If an argument is invalid, shapes do not match, or there is only one cluster.

    Examples
    --------
    >>> silhouette_samples([[0.0], [1.0], [9.0]], [[1, 0], [1, 0], [0, 1]], centers=[[0.5], [9.5]]).round(4)
    array([0.9474, 0.9412, 0.    ])
    """
    blocks = _silhouette_blocks(X, resp, centers, variant, sample_weight)
    return torch.cat([widths.cpu().double() for _, widths in blocks]).numpy()


def _silhouette_blocks(
    X: Table, resp: Table, centers: Table | None, variant: str, sample_weight: ArrayLike | Tensor | None
) -> Iterator[tuple[NormalizedBlock, Tensor]]:
    """Yield blocks of rows with their silhouette widths (m,)."""
    check_known("variant", variant, VARIANTS)
    x, source = _check_rows(X, resp, sample_weight)
    c = None if centers is None else _check_centers(centers, source, x)
    for block, distances in VARIANTS[variant](source, x, c):
        yield block, _widths(distances, _is_likeliest(block))


def _center_distances(resp: Source, x: Source, c: Tensor | None) -> Iterator[tuple[NormalizedBlock, Tensor]]:
    """Yield blocks of rows with their distances to the centers (m, k); infinite to the own one if the row is alone."""
    c = _membership_means(resp, x) if c is None else c
    cluster_weights = _cluster_weights(resp)
    for block in normalized_blocks(resp, x):
        is_alone = _is_likeliest(block) & (_other_weights(block, cluster_weights) <= 0)
        yield block, _distances(block.others[0], c).masked_fill(is_alone, math.inf)


def _mean_row_distances(resp: Source, x: Source, c: Tensor | None) -> Iterator[tuple[NormalizedBlock, Tensor]]:
    """Yield blocks of rows with their mean distances to the other rows of each cluster (m, k); infinite if none."""
    side = math.isqrt(BLOCK)  # of a tile of the distance matrix
    cluster_weights = _cluster_weights(resp)
    for block in normalized_blocks(resp, x, max_rows=side):
        tiles = (
            _distances(block.others[0], other.others[0]) @ _crisp_weights(other)
            for other in normalized_blocks(resp, x, max_rows=side)
        )
        distance_sums = functools.reduce(operator.add, tiles)
        other_weights = _other_weights(block, cluster_weights)
        yield block, torch.where(other_weights > 0, distance_sums / other_weights, math.inf)


VARIANTS: dict[str, Callable[[Source, Source, Tensor | None], Iterator[tuple[NormalizedBlock, Tensor]]]] = {
    "centers": _center_distances,
    "exact": _mean_row_distances,
}


def _is_likeliest(block: NormalizedBlock) -> Tensor:
    """Return a mask of each row's likeliest cluster (m, k)."""
    return one_hot(block.p.argmax(1), block.p.shape[1]).bool()


def _crisp_weights(block: NormalizedBlock) -> Tensor:
    """Return the rows' weights in their likeliest clusters, 0 in all others (m, k)."""
    return _is_likeliest(block) * block.w[:, None]


def _cluster_weights(resp: Source) -> Tensor:
    """Return the weight (k,) of the rows for which each cluster is the likeliest."""
    return functools.reduce(operator.add, (_crisp_weights(block).sum(0) for block in normalized_blocks(resp)))


def _other_weights(block: NormalizedBlock, cluster_weights: Tensor) -> Tensor:
    """Return the weight in each cluster of all rows but the row itself (m, k)."""
    return cluster_weights - _is_likeliest(block) * block.copy_weight[:, None]


def _membership_gap(p: Tensor) -> Tensor:
    """Return the difference of the two largest memberships of each row (m,)."""
    first, second = p.topk(2, 1).values.unbind(1)
    return first - second


def _widths(distances: Tensor, is_likeliest: Tensor) -> Tensor:
    """Return the silhouette widths (m,) from distances to clusters (m, k); 0 for 0 / 0 and inf / inf.

    So a row that is alone in its cluster has the width 0, as Rousseeuw (1987) defines it: the width would otherwise be
    largest if each row were a cluster.
    """
    a, b = distances[is_likeliest], distances.masked_fill(is_likeliest, math.inf).amin(1)
    return torch.nan_to_num((b - a) / torch.maximum(a, b))


def _membership_means(resp: Source, x: Source) -> Tensor:
    """Return the means (k, d) of the rows weighted by the memberships; infinite for clusters without weight."""
    sums = functools.reduce(operator.add, map(_cluster_sums, normalized_blocks(resp, x)))
    return torch.where(sums[:, -1:] > 0, sums[:, :-1] / sums[:, -1:], math.inf)


def _cluster_sums(block: NormalizedBlock) -> Tensor:
    """Return the weighted sums of rows, and the weights, of each cluster (k, d + 1)."""
    (x,) = block.others
    return (block.p.mT * block.w) @ torch.cat([x, torch.ones_like(block.w)[:, None]], 1)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the Euclidean distances (m, l), computed from differences, which are accurate far from the origin, too."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _check_rows(X: Table, resp: Table, sample_weight: ArrayLike | Tensor | None) -> tuple[Source, Source]:
    """Return sources of X and of resp, after a check that they have the same rows, and two clusters or more."""
    x, source = as_table(X, name="X"), as_memberships(resp, sample_weight)
    check_same_rows(X=x, resp=source)
    if source.n_features == 1:
        problem = "has one column, but separation is not defined for one cluster"
        raise InputError(problem, parameter="resp", hint="give two clusters or more")
    return x, source


def _check_centers(centers: Table, resp: Source, x: Source) -> Tensor:
    """Return the centers (k, d), after a check of their shape."""
    source = as_table(centers, name="centers")
    shape, expected = (source.n_rows, source.n_features), (resp.n_features, x.n_features)
    if shape != expected:
        hint = "give one center for each cluster"
        raise InputError(f"has shape {shape}", parameter="centers", expected=f"(k, d) = {expected}", hint=hint)
    return source.map(lambda block: block.x).to(resp.device)


def _check_at_least(name: str, value: Any, minimum: int) -> None:
    """Raise an InputError unless value is a finite number of ``minimum`` or more."""
    if not is_number(value, lambda number: minimum <= number < math.inf):
        raise InputError(parameter=name, value=value, hint=f"give a finite number of {minimum} or more")
