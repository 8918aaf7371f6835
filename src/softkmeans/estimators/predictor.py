"""Prediction with fitted estimators: scikit-learn's conventions on top of `Clustering`."""

from __future__ import annotations

__all__ = ["Predictor"]

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.checks import check_count, check_fraction
from ..data.block import as_tensor
from ..data.convert import Array, as_source, like
from ..data.distributed.dask_source import map_partitions
from ..data.frames import is_dask
from ..data.source import Source
from ..errors import InputError
from .fitted_model import Clustering
from .validation import validate_rows


class Predictor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of estimators that compute the memberships of rows from fitted ``cluster_centers_``."""

    device: Any

    @abstractmethod
    def _clustering(self, source: Source) -> Clustering:
        """Return the fitted model as a `Clustering`, on the device and with the dtype of a source."""

    def predict(self, X: ArrayLike | Tensor, reject_below: float | None = None) -> Array:
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        reject_below : float, optional
            Threshold from 0 to 1: rows whose largest membership is smaller get the label -1.

        Returns
        -------
        labels : ndarray, Tensor or, if X is a Dask collection, lazy Dask array (n,) of int64
            Cluster indices; with a noise cluster, -1 also for rows that are most probably noise.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.predict([[0.3], [2.6]], reject_below=0.9)
        array([ 1, -1])
        """
        if reject_below is not None:
            check_fraction("reject_below", reject_below)
        return self._map_rows(X, lambda clustering, source: clustering.labels(source, reject_below))

    def predict_proba(self, X: ArrayLike | Tensor, top: int | None = None) -> Array | csr_array:
        """Return the membership of each row in every cluster.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        top : int, optional
            Number of memberships to return for each row, the largest ones; the others are omitted. This saves memory
            if k is large.

        Returns
        -------
        resp : ndarray, Tensor or Dask array (n, k), or SciPy csr_array (n, k) with ``top``
            Memberships. Rows sum to 1, or to less with a noise cluster or with ``top``.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.predict_proba([[2.5]]).round(2)
        array([[0.27, 0.73]])
        >>> model.predict_proba([[2.5]], top=1).toarray().round(2)
        array([[0.  , 0.73]])
        """
        if top is None:
            dtype = self._dtype  # a local variable, so that Dask need not send the estimator to its workers
            return self._map_rows(X, lambda clustering, source: clustering.resp(source, dtype))
        if is_dask(X):
            raise InputError(f"top={top} is not supported with Dask collections: predict one partition at a time")
        clustering, source = self._prepare(X)
        k = len(clustering.centers)
        check_count("top", top, at_most=(k, "clusters"))
        dtype = self._dtype if self._dtype == torch.float64 else torch.float32  # SciPy does not support half precision
        values, labels = (tensor.cpu().numpy() for tensor in clustering.top(source, dtype, top))
        row_starts = list(range(0, labels.size + 1, top))
        resp = csr_array((values.ravel(), labels.ravel(), row_starts), shape=(len(labels), k))
        resp.sort_indices()
        return resp

    def transform(self, X: ArrayLike | Tensor) -> Array:
        """Return the distance of each row to every center, in the data's units.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.

        Returns
        -------
        distances : ndarray, Tensor or Dask array (n, k)
            Euclidean distances, not squared, if the distance is "sqeuclidean" or "euclidean"; cosine distances if it is
            "cosine".

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.transform([[0.3]]).round(2)
        array([[4.8, 0.2]])
        """
        dtype = self._dtype
        return self._map_rows(X, lambda clustering, source: clustering.distances(source, dtype))

    def _map_rows(self, X: ArrayLike | Tensor, function: Callable[[Clustering, Source], Tensor]) -> Array:
        """Return a function of each row, as an array or tensor like X; as a lazy array if X is a Dask collection."""
        if not is_dask(X):
            clustering, source = self._prepare(X)
            return like(X, function(clustering, source))
        check_is_fitted(self)
        example = as_source(as_tensor(self.cluster_centers_).cpu())
        clustering = self._clustering(example)
        empty = function(clustering, example)[:0]  # tells Dask the dtype and the number of columns
        return map_partitions(validate_rows(self, X, reset=False), partial(function, clustering), empty)

    def _prepare(
        self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None
    ) -> tuple[Clustering, Source]:
        """Return the fitted model and the validated rows of X as a Source."""
        check_is_fitted(self)
        source = as_source(validate_rows(self, X, reset=False), sample_weight, device=self.device)
        return self._clustering(source), source

    @property
    def _dtype(self) -> torch.dtype:
        """Type of the memberships and distances that are returned: that of the centers."""
        check_is_fitted(self)
        return as_tensor(self.cluster_centers_).dtype

    def _total_objective(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None) -> tuple[float, float]:
        """Return the weighted sum of `Clustering.objective` over the rows of X, and Σw."""
        clustering, source = self._prepare(X, sample_weight)
        return clustering.total_objective(source)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)
