"""Functions of each row of any kind of table, computed by a fitted model."""

from __future__ import annotations

__all__ = ["map_rows"]

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from ..arrays.model import ArrayModel
from ..data.block import as_tensor
from ..data.convert import Array, as_source, like
from ..data.distributed.dask_source import map_partitions
from ..data.source import Source
from .few_rows import few_rows
from .fitted_model import Clustering
from .validation import check_fitted, is_lazy, validate_collection, validate_source


def map_rows(
    estimator: Any,
    X: ArrayLike | Tensor,
    function: Callable[[Clustering, Source], Tensor],
    of_few: Callable[[ArrayModel, Any], Any] | None = None,
) -> Array:
    """Return a function of each row, as an array or tensor like X; as a lazy array if X is a Dask collection.

    Parameters
    ----------
    estimator : SoftClusterer
        The estimator.
    X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame
        The rows.
    function : callable
        The function, of the fitted model and of the rows as a source.
    of_few : callable, optional
        The same of few rows, which are an array: see `few_rows`.
    """
    check_fitted(estimator)
    if not is_lazy(X):
        source = validate_source(estimator, X, reset=False)
        if of_few is not None and (few := few_rows(estimator, source)):
            return like(X, of_few(*few))
        return like(X, function(estimator._clustering(source), source))
    example = as_source(as_tensor(estimator.cluster_centers_).cpu())
    clustering = estimator._clustering(example)
    empty = function(clustering, example)[:0]  # tells Dask the dtype and the number of columns
    validate_collection(estimator, X, reset=False)
    return map_partitions(X, partial(function, clustering), empty)
