"""What sets each cluster apart: its features compared with those of all other rows."""

from __future__ import annotations

__all__ = ["Description", "describe_clusters", "effect_of", "strongest"]

from collections.abc import Callable
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils.brief import with_brief_repr
from ..data.frames import as_frame
from ..errors import MissingExtraError
from ..estimators.assigned_rows import AssignedBlock, AssignedRows
from ..estimators.pipeline import Model

Array = NDArray[np.float64]

# Names of effect sizes, with the least of each (Cohen, "Statistical power analysis for the behavioral sciences", 1988).
EFFECTS = {"large": 0.8, "medium": 0.5, "small": 0.2, "negligible": 0.0}
N_STRONGEST = 3  # features of each cluster that texts name


@with_brief_repr
class Description(NamedTuple):
    """The features of each cluster, compared with the rest: all rows, weighted by 1 minus their membership.

    Attributes
    ----------
    names : list of d str
        Names of the features.
    mean, spread : ndarray (k, d)
        Membership-weighted mean and standard deviation; NaN for a cluster without weight.
    rest_mean, rest_spread : ndarray (k, d)
        Those of the rest; NaN if there is no rest.
    effect_size : ndarray (k, d)
        Cohen's d: the difference of the means divided by the pooled standard deviation. Infinite if both parts are
        constant and differ, 0 if it is not defined.
    rank : ndarray (k, d) of int
        1 for the feature with the largest absolute effect size of the cluster, and so on.
    """

    names: list[str]
    mean: Array
    spread: Array
    rest_mean: Array
    rest_spread: Array
    effect_size: Array
    rank: NDArray[np.int64]

    @classmethod
    def of(cls, rows: AssignedRows, on_block: Callable[[AssignedBlock], object] = lambda block: None) -> Description:
        """Compute the description in one pass over the rows; missing values are left out, feature by feature.

        ``on_block`` is called with each block, for what else is computed in this pass.
        """
        sums: Array | None = None
        shift: Array | None = None
        for block in rows.blocks():
            on_block(block)
            seen = np.isfinite(block.values)
            values = np.where(seen, block.values, 0.0)
            if shift is None:  # keeps digits if features are far from 0
                shift = values.sum(0) / np.maximum(seen.sum(0), 1)
            values = np.where(seen, values - shift, 0.0)
            weighted = np.vstack([(block.resp * block.weights[:, None]).T, block.weights])
            part = np.stack([weighted @ seen, weighted @ values, weighted @ values**2])
            sums = part if sums is None else sums + part
        assert sums is not None  # noqa: S101 -- there are rows
        assert shift is not None  # noqa: S101
        inside, rest = sums[:, :-1], sums[:, -1:] - sums[:, :-1]
        rest = np.where(rest[0] > 1e-9 * sums[0, -1:], rest, 0.0)  # a smaller rest is rounding error
        (mean, variance), (rest_mean, rest_variance) = _moments(inside), _moments(rest)
        total = inside[0] + rest[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            pooled = np.sqrt((inside[0] * variance + rest[0] * rest_variance) / total)
            difference = mean - rest_mean
            pooled[pooled <= 1e-12 * np.abs(difference)] = 0.0  # constant, up to rounding
            effect = np.nan_to_num(difference / pooled, nan=0.0, posinf=np.inf, neginf=-np.inf)
        effect[np.abs(effect) < 1e-9] = 0.0  # rounding errors
        order = np.argsort(-np.abs(effect), axis=1, kind="stable")
        rank = np.argsort(order, axis=1) + 1
        return cls(rows.names, mean + shift, np.sqrt(variance), rest_mean + shift, np.sqrt(rest_variance), effect, rank)

    def columns(self) -> dict[str, Any]:
        """Return the columns of the frame of `describe_clusters`, by name."""
        k, d = self.mean.shape
        clusters, features = np.divmod(np.lexsort((self.rank.ravel(), np.repeat(np.arange(k), d))), d)
        at = clusters, features
        return {
            "cluster": clusters,
            "feature": [self.names[j] for j in features],  # near the beginning: pandas hides columns in the middle
            "rank": self.rank[at],
            "mean": self.mean[at],
            "spread": self.spread[at],
            "rest_mean": self.rest_mean[at],
            "rest_spread": self.rest_spread[at],
            "difference": (self.mean - self.rest_mean)[at],
            "effect_size": self.effect_size[at],
            "effect": [effect_of(value) for value in self.effect_size[at]],
        }


def _moments(sums: Array) -> tuple[Array, Array]:
    """Return weighted means and variances (k, d) from the sums of weights, values and squares (3, k, d)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums[1] / sums[0]
        variance = sums[2] / sums[0] - mean**2
        return mean, np.where(variance > 1e-14 * sums[2] / sums[0], variance, np.where(sums[0] > 0, 0.0, np.nan))


def effect_of(effect_size: float) -> str:
    """Return the name of an effect size: "negligible", "small" from 0.2, "medium" from 0.5 or "large" from 0.8.

    Parameters
    ----------
    effect_size : float
        Cohen's d, of any sign.

    Examples
    --------
    >>> effect_of(-0.6)
    'medium'
    """
    return next(name for name, least in EFFECTS.items() if abs(effect_size) >= least)


def describe_clusters(model: Model, X: Any, sample_weight: ArrayLike | None = None) -> Any:
    """Return what sets each cluster apart, as a frame with a row for each cluster and feature.

    Each cluster is compared with the rest: all rows, weighted by 1 minus their membership. Features are those of X, in
    its units. If X has columns of text, they are the columns that the estimator receives, such as "color_red".

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame, or Source
        Rows. Rows that are not in memory are read once, block by block.
    sample_weight : array-like (n,), optional
        Weights of the rows.

    Returns
    -------
    DataFrame or Table
        Of the kind of X if X is a frame of pandas, Polars or PyArrow, else of the first of these that is installed.
        Rows are sorted by cluster and rank. The columns:

        - ``cluster``, ``feature`` and ``rank`` (1 for the largest absolute effect size),
        - ``mean`` and ``spread``: the membership-weighted mean and standard deviation of the cluster,
        - ``rest_mean`` and ``rest_spread``: those of the rest,
        - ``difference``: ``mean - rest_mean``,
        - ``effect_size``: Cohen's d, the difference divided by the pooled standard deviation,
        - ``effect``: "negligible", "small" (0.2 or more), "medium" (0.5) or "large" (0.8).

    Raises
    ------
    InputError
        If the rows are not those of the model.

    Notes
    -----
    The clusters were found in the same rows, so a large effect size is no evidence that clusters exist. It says which
    features to look at.

    Examples
    --------
    >>> import pandas as pd
    >>> from softkmeans import SoftKMeans, describe_clusters
    >>> X = pd.DataFrame({"length": [1.0, 3.0, 8.0, 9.0, 10.0], "width": [4, 6, 4, 5, 6]})
    >>> model = SoftKMeans(2, temperature=0.1, random_state=0).fit(X)
    >>> describe_clusters(model, X)[["cluster", "feature", "mean", "effect_size", "effect"]].round(1)
       cluster feature  mean  effect_size      effect
    0        0  length   9.0          7.8       large
    1        0   width   5.0          0.0  negligible
    2        1  length   2.0         -7.8       large
    3        1   width   5.0          0.0  negligible
    """
    columns = Description.of(AssignedRows(model, X, sample_weight)).columns()
    frame = as_frame(X) if nw.dependencies.is_into_dataframe(X) else None
    backends: list[Any] = ["pandas", "polars", "pyarrow"] if frame is None else [frame.implementation]
    for backend in backends:
        try:
            return nw.from_dict(columns, backend=backend).to_native()
        except ImportError:
            continue
    raise MissingExtraError("a table", "pyarrow", "files")


def strongest(description: Description, n: int = N_STRONGEST) -> list[list[dict[str, Any]]]:
    """Return the features of each cluster with the largest effect sizes that are not negligible, as plain values.

    Parameters
    ----------
    description : Description
        The features of each cluster.
    n : int
        Number of features for each cluster; fewer if fewer are not negligible.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> X = [[0.0], [2.0], [10.0], [10.0], [10.0]]
    >>> rows = AssignedRows(SoftKMeans(2, temperature=0.1, random_state=0).fit(X), X)
    >>> strongest(Description.of(rows))[0]
    [{'feature': 'feature 0', 'mean': 10.0, 'rest_mean': 1.0, 'effect_size': 14.2302}]
    """
    found = []
    for k, ranks in enumerate(description.rank):
        best = [int(j) for j in np.argsort(ranks)[:n] if effect_of(description.effect_size[k, j]) != "negligible"]
        found.append(
            [
                {
                    "feature": description.names[j],
                    "mean": _rounded(description.mean[k, j]),
                    "rest_mean": _rounded(description.rest_mean[k, j]),
                    "effect_size": _rounded(description.effect_size[k, j]),
                }
                for j in best
            ]
        )
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
