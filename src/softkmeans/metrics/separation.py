"""How far apart clusters are, and how close to their rows: functions of ``X`` and ``resp``."""

from __future__ import annotations

__all__ = ["VARIANTS", "fuzzy_silhouette", "silhouette_samples", "xie_beni"]

import functools
import math
import operator
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from .._utils.checks import check_known
from ..data.block import BLOCK
from ..data.source import Source
from ..errors import InputError
from ._inputs import Part, Table, as_memberships, as_table, average, check_same_rows, parts, sums


def xie_beni(
    X: Table,
    resp: Table,
    centers: Table,
    *,
    fuzzifier: float = 2.0,
    sample_weight: ArrayLike | Tensor | None = None,
) -> float:
    """Give Xie and Beni's index: how far rows are from their centers, over how far centers are from each other.

    It is the mean of Σ_k r^m ‖x - c_k‖² over the least ‖c_j - c_k‖², j ≠ k. Lower is better. Their m is 2; Pal and
    Bezdek take that of the clustering. With m = 1, the mean is that of soft k-means' expected distortion.

    Parameters
    ----------
    X : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    resp : array-like or Tensor (n, k)
        Their memberships in two clusters or more. A row that sums to s < 1 counts as s of a row with memberships
        resp / s.
    centers : array-like or Tensor (k, d)
        The clusters' centers.
    fuzzifier : float, default=2.0
        m, 1 or more.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        0 or more; infinity if two centers coincide.

    Raises
    ------
    InputError
        If an argument can't be used, shapes do not match, no row belongs to a cluster, or there is but one cluster.

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
    x, source = _checked(X, resp, sample_weight)
    c = _checked_centers(centers, source, x)
    near = average(
        ((part.p**fuzzifier * _distances(part.others[0], c).square()).sum(1), part.w) for part in parts(source, x)
    )
    apart = float(_distances(c, c).fill_diagonal_(math.inf).min()) ** 2
    return float(near) / apart if apart else math.inf


def fuzzy_silhouette(
    X: Table,
    resp: Table,
    centers: Table | None = None,
    *,
    alpha: float = 1.0,
    variant: str = "centers",
    sample_weight: ArrayLike | Tensor | None = None,
) -> float:
    """Give Campello and Hruschka's fuzzy silhouette: silhouette widths, averaged by how sure rows are of their cluster.

    A row's width is (b - a) / max(a, b), with a its Euclidean distance to its own cluster, the likeliest, and b that
    to the nearest other one. Its weight in the average is (first - second)^alpha of the row's two largest memberships.

    Parameters
    ----------
    X : array-like, Tensor (n, d) or Source
        Rows of finite real numbers.
    resp : array-like or Tensor (n, k)
        Their memberships in two clusters or more. A row that sums to s < 1 counts as s of a row with memberships
        resp / s.
    centers : array-like or Tensor (k, d), optional
        The clusters' centers, for the variant "centers"; by default the means of X by the memberships.
    alpha : float, default=1.0
        0 or more. 0 weighs all rows alike, as the crisp silhouette does; the larger it is, the less weight have rows
        between clusters.
    variant : {"centers", "exact"}
        What the distance to a cluster is. "centers" (default), the simplified silhouette, takes that to its center, in
        O(n k) of time. "exact" takes the mean of those to the cluster's other rows, in O(n²) of time but never of
        memory. Clusters have the rows of which they are the likeliest.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        From -1 to 1; higher is better. A width is 0 where it has no meaning: a row alone in its cluster ("exact"), no
        other cluster that has rows, all distances 0. The whole is 0 if no row has a likeliest cluster.

    Raises
    ------
    InputError
        If an argument can't be used, shapes do not match, or there is but one cluster.

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
    found = _silhouettes(X, resp, centers, variant, sample_weight)
    widths, weight = sums((widths, part.w * _lead(part.p) ** alpha) for part, widths in found)
    return float(widths) / weight if weight else 0.0


def silhouette_samples(
    X: Table,
    resp: Table,
    centers: Table | None = None,
    *,
    variant: str = "centers",
    sample_weight: ArrayLike | Tensor | None = None,
) -> NDArray[np.float64]:
    """Give the silhouette width of each row, of which `fuzzy_silhouette` is a mean.

    Parameters
    ----------
    X, resp, centers, variant
        As for `fuzzy_silhouette`. With "exact" and memberships of 0 and 1, these are scikit-learn's
        ``silhouette_samples``.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, where the distance to a cluster is a mean of those to its rows.

    Returns
    -------
    ndarray (n,)
        (b - a) / max(a, b), from -1 to 1: a is the distance to the row's likeliest cluster and b that to the nearest
        other one. 0 where it has no meaning.

    Raises
    ------
    InputError
        If an argument can't be used, shapes do not match, or there is but one cluster.

    Examples
    --------
    >>> silhouette_samples([[0.0], [1.0], [9.0]], [[1, 0], [1, 0], [0, 1]], centers=[[0.5], [9.5]]).round(4)
    array([0.9474, 0.9412, 0.9412])
    """
    found = _silhouettes(X, resp, centers, variant, sample_weight)
    return torch.cat([widths.cpu().double() for _, widths in found]).numpy()


def _silhouettes(
    X: Table, resp: Table, centers: Table | None, variant: str, sample_weight: ArrayLike | Tensor | None
) -> Iterator[tuple[Part, Tensor]]:
    """Go through the rows with their silhouette widths (m,)."""
    check_known("variant", variant, VARIANTS)
    x, source = _checked(X, resp, sample_weight)
    c = None if centers is None else _checked_centers(centers, source, x)
    for part, to_clusters in VARIANTS[variant](source, x, c):
        yield part, _widths(to_clusters, _own(part))


def _to_centers(resp: Source, x: Source, c: Tensor | None) -> Iterator[tuple[Part, Tensor]]:
    """Distances (m, k) to centers."""
    c = _means(resp, x) if c is None else c
    for part in parts(resp, x):
        yield part, _distances(part.others[0], c)


def _to_rows(resp: Source, x: Source, c: Tensor | None) -> Iterator[tuple[Part, Tensor]]:
    """Mean distances (m, k) to clusters' rows, other than the row itself; infinite where there are none."""
    side = math.isqrt(BLOCK)  # of a tile of distances
    size = functools.reduce(operator.add, (_crisp(part).sum(0) for part in parts(resp)))
    for part in parts(resp, x, at_most=side):
        tiles = (_distances(part.others[0], other.others[0]) @ _crisp(other) for other in parts(resp, x, at_most=side))
        far = functools.reduce(operator.add, tiles)
        mass = size - _own(part) * part.copy[:, None]
        yield part, torch.where(mass > 0, far / mass, math.inf)


VARIANTS: dict[str, Callable[[Source, Source, Tensor | None], Iterator[tuple[Part, Tensor]]]] = {
    "centers": _to_centers,
    "exact": _to_rows,
}


def _own(part: Part) -> Tensor:
    """Whether a cluster is a row's likeliest (m, k)."""
    return one_hot(part.p.argmax(1), part.p.shape[1]).bool()


def _crisp(part: Part) -> Tensor:
    """Weights of rows in their likeliest clusters (m, k)."""
    return _own(part) * part.w[:, None]


def _lead(p: Tensor) -> Tensor:
    first, second = p.topk(2, 1).values.unbind(1)
    return first - second


def _widths(d: Tensor, own: Tensor) -> Tensor:
    """Silhouette widths (m,) from distances to clusters (m, k); 0 for 0 / 0 and inf / inf."""
    a, b = d[own], d.masked_fill(own, math.inf).amin(1)
    return torch.nan_to_num((b - a) / torch.maximum(a, b))


def _means(resp: Source, x: Source) -> Tensor:
    """Centers (k, d) of clusters by their memberships; infinitely far where nothing belongs to one."""
    summed = functools.reduce(operator.add, map(_weighted_sums, parts(resp, x)))
    return torch.where(summed[:, -1:] > 0, summed[:, :-1] / summed[:, -1:], math.inf)


def _weighted_sums(part: Part) -> Tensor:
    """Sums of rows, and the weights (k, d + 1), in each cluster."""
    (x,) = part.others
    return (part.p.mT * part.w) @ torch.cat([x, torch.ones_like(part.w)[:, None]], 1)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (m, l), by differences, which keep their digits far from the origin."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _checked(X: Table, resp: Table, sample_weight: ArrayLike | Tensor | None) -> tuple[Source, Source]:
    x, source = as_table(X, name="X"), as_memberships(resp, sample_weight)
    check_same_rows(X=x, resp=source)
    if source.n_features == 1:
        raise InputError("resp has one column, and one cluster is apart from nothing: give two clusters or more")
    return x, source


def _checked_centers(centers: Table, resp: Source, x: Source) -> Tensor:
    source = as_table(centers, name="centers")
    found, expected = (source.n_rows, source.n_features), (resp.n_features, x.n_features)
    if found != expected:
        raise InputError(f"centers has shape {found}, expected (k, d) = {expected}: give one center for each cluster")
    return source.map(lambda block: block.x).to(resp.device)


def _check_at_least(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not least <= float(value) < math.inf:
        raise InputError(f"{name}={value!r}: give a finite number of {least} or more")
