"""The rows on which likelihoods are compared: without redundant features, and with rounded values spread out.

A density is unbounded on rows that lie in a plane, or whose values repeat: clusters can become so thin or so small that
any gain from more clusters outweighs their number. Both are mended here, before any likelihood is computed.
"""

from __future__ import annotations

__all__ = ["LikelihoodRows", "independent_features", "is_binary", "likelihood_rows", "resolution"]

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.scaling import Scaling
from ..data.source import ArraySource, Source
from ..distances import as_distance
from ..estimators.soft_kmeans import SoftKMeans
from ..temperature.moments import MAX_EIGH_FEATURES, covariance

MIN_UNEXPLAINED = 1e-8  # a feature is redundant if less of its variance is unexplained by the features before it
MAX_ROWS_FOR_RESOLUTION = 10_000  # a sample of this size shows whether values repeat
MAX_VALUES_PER_CLUSTER = 3  # of a feature, for the largest number of clusters; more are as good as real numbers
MIN_RELATIVE_GAP = 1e-9  # values of a feature that differ by less, relative to their range, are equal

Numbers = NDArray[np.float64]


class LikelihoodRows(NamedTuple):
    """Rows for likelihoods.

    Attributes
    ----------
    rows : table (n, r)
        The rows: the user's own if nothing had to change.
    features : ndarray (r,) of int
        The indices of the features that are kept.
    names : list of str
        The names of these features, or their indices.
    resolution : ndarray (r,)
        Spacing of the values of each feature that is rounded; 0 for the others.
    categories : list of str
        The names of the features that are left out because they have only two values, as others have more.
    are_changed : bool
        Whether the rows are not those of the user.
    """

    rows: Any
    features: NDArray[np.int64]
    names: list[str]
    resolution: Numbers
    categories: list[str]
    are_changed: bool

    @property
    def noise_variance(self) -> Numbers:
        """The variance (r,) of the triangular noise that spreads out rounded values."""
        return self.resolution**2 / 6


def likelihood_rows(
    X: Any, source: Source, template: SoftKMeans, n_clusters: int, rng: np.random.Generator
) -> LikelihoodRows:
    """Return the rows of a source without redundant features, and with rounded values spread out.

    Features with two values are left out, too, if others have more: they are categories, each of which would be a
    cluster by the likelihood of normal distributions.

    A value that is known only to a resolution δ gets random noise with the triangular distribution on (-δ, δ), whose
    first two moments do not depend on the value (Lipshitz, Wannamaker & Vanderkooy, "Quantization and dither", J. Audio
    Eng. Soc. 1992). Sparse rows, rows with more than `MAX_EIGH_FEATURES` features, and rows for models with another
    distance than the squared Euclidean one or a noise cluster stay as they are.

    Parameters
    ----------
    X : table (n, d)
        The rows as the user gave them.
    source : Source
        The same rows.
    template : SoftKMeans
        The model that is fitted.
    n_clusters : int
        The largest number of clusters; 0 if no values are to be spread out.
    rng : numpy Generator
        Source of the noise.
    """
    names = list(source.columns or map(str, range(source.n_features)))
    unchanged = LikelihoodRows(
        X, np.arange(source.n_features), names, np.zeros(source.n_features), [], are_changed=False
    )
    is_normal = as_distance(template.distance).is_squared and template.noise_distance is None
    is_dense = isinstance(source, ArraySource) and not any(block.is_sparse for block in source.blocks())
    if not (is_normal and is_dense) or source.n_features > MAX_EIGH_FEATURES:
        return unchanged
    features, sample = _independent_features(source), _sample(source)
    is_category = np.array([is_binary(sample[:, j]) for j in features])
    categories = features[is_category] if not is_category.all() else features[:0]
    features = np.setdiff1d(features, categories)
    resolutions = np.array([resolution(sample[:, j], MAX_VALUES_PER_CLUSTER * n_clusters) for j in features])
    if len(features) == source.n_features and not resolutions.any():
        return unchanged
    rows = source.map(lambda block: block.x[:, features], width=source.n_features).cpu().numpy()
    for j in resolutions.nonzero()[0]:
        rows[:, j] += resolutions[j] * rng.uniform(-0.5, 0.5, (2, len(rows))).sum(0)
    kept, left_out = ([names[j] for j in indices] for indices in (features, categories))
    return LikelihoodRows(rows, features, kept, resolutions, left_out, are_changed=True)


def _independent_features(source: Source) -> NDArray[np.int64]:
    """Return the indices of the features of a source that are neither constant nor explained by earlier ones."""
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    products = covariance(scaling.view(source)).cpu().numpy()
    variances = np.diagonal(products) * scaling.scale**2
    rounding = np.square(1e-15 * scaling.shift.abs().cpu().numpy())  # of the mean, which is subtracted from the rows
    varies = variances > rounding
    deviations = np.sqrt(np.where(varies, np.diagonal(products), 1.0))
    correlation = np.where(np.outer(varies, varies), products / np.outer(deviations, deviations), 0.0)
    return independent_features(correlation, are_all_pairs=source.n_rows <= source.n_features + 1)


def independent_features(correlation: Numbers, *, are_all_pairs: bool = False) -> NDArray[np.int64]:
    """Return the indices of the features that are not linear functions of earlier ones.

    Parameters
    ----------
    correlation : ndarray (d, d)
        Correlations of the features; rows and columns of zeros for constant features.
    are_all_pairs : bool, default=False
        Whether to look only for features that are linear functions of one other feature. With fewer rows than features,
        some feature is always a linear function of several others.

    Examples
    --------
    The third feature is the sum of the first two:

    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> independent_features(np.corrcoef(np.c_[x, x.sum(1)].T))
    array([0, 1])
    """
    kept, unexplained = list[int](), correlation.copy()
    for j in range(len(correlation)):
        if not unexplained[j, j] > MIN_UNEXPLAINED:
            continue
        kept.append(j)
        if are_all_pairs:
            is_equal = 1 - np.square(correlation[j]) < MIN_UNEXPLAINED
            unexplained[is_equal, is_equal] = 0.0
        else:  # one step of a Cholesky decomposition
            unexplained -= np.outer(unexplained[j], unexplained[j]) / unexplained[j, j]
    return np.array(kept, dtype=np.int64)


def _sample(source: Source) -> Tensor:
    """Return at most `MAX_ROWS_FOR_RESOLUTION` rows of a source, at equal distances."""
    n_rows = min(source.n_rows, MAX_ROWS_FOR_RESOLUTION)
    return source.take(torch.linspace(0, source.n_rows - 1, n_rows, device="cpu").long()).cpu()


def is_binary(values: Tensor) -> bool:
    """Return whether values (n,) are those of two categories.

    Examples
    --------
    >>> is_binary(torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])), is_binary(torch.tensor([0.0, 1.0]))
    (True, False)
    """
    return len(values) > 2 * len(torch.unique(values)) == 4


def resolution(values: Tensor, max_values: int) -> float:
    """Return the spacing of values (n,) that are counts or coarsely rounded; 0 for others.

    These have less than half as many distinct values as rows, and few for the number of clusters. The spacing is the
    median difference of neighboring distinct values.

    Examples
    --------
    >>> ratings = torch.tensor([1.0, 2.0, 5.0, 3.0, 2.0, 1.0, 4.0, 3.0, 3.0, 1.0, 2.0])
    >>> resolution(ratings, 30), resolution(ratings, 3)
    (1.0, 0.0)
    """
    distinct = torch.unique(values)
    gaps = distinct.diff()
    gaps = gaps[gaps > MIN_RELATIVE_GAP * (distinct[-1] - distinct[0])]
    n_values = len(gaps) + 1
    return float(gaps.median()) if 1 < n_values <= min(max_values, (len(values) - 1) // 2) else 0.0
