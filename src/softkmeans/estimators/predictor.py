"""What fitted estimators say of rows: scikit-learn's conventions over `Clustering`."""

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

from .._utils.checks import check_count, check_share
from ..data.block import as_tensor
from ..data.convert import Array, as_source, like
from ..data.distributed.dask_source import by_partition
from ..data.frames import is_dask
from ..data.source import Source
from ..errors import InputError
from .inference import Clustering
from .validation import validated


class Predictor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator of centers, ``cluster_centers_``, that gives every row a membership in every cluster."""

    device: Any

    @abstractmethod
    def _clustering(self, source: Source) -> Clustering:
        """Make ready what was fitted to look at a source's rows."""

    def predict(self, X: ArrayLike | Tensor, reject_below: float | None = None) -> Array:
        """Give the likeliest cluster of each row.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        reject_below : float, optional
            From 0 to 1: rows whose largest membership is less get -1.

        Returns
        -------
        labels : ndarray, Tensor or, if X is Dask's, lazy Dask array (n,) of int64
            Numbers of clusters; -1 also where a row likelier belongs to none, if there is a cluster of noise.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.predict([[0.3], [2.6]], reject_below=0.9)
        array([ 1, -1])
        """
        if reject_below is not None:
            check_share("reject_below", reject_below)
        return self._answer(X, lambda clustering, source: clustering.labels(source, reject_below))

    def predict_proba(self, X: ArrayLike | Tensor, top: int | None = None) -> Array | csr_array:
        """Give the membership of each row in every cluster.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        top : int, optional
            How many of the largest memberships of a row to give, where all would be too many to hold.

        Returns
        -------
        resp : ndarray, Tensor or Dask array (n, k), or SciPy csr_array (n, k) with ``top``
            Rows sum to 1; to less where there is a cluster of noise, or memberships were left out.

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
            dtype = self._dtype  # alone: it may travel where the rows are
            return self._answer(X, lambda clustering, source: clustering.resp(source, dtype))
        if is_dask(X):
            raise InputError(f"top={top} gives one SciPy matrix, and X is Dask's: give one partition at a time")
        clustering, source = self._look_at(X)
        k = len(clustering.centers)
        check_count("top", top, at_most=(k, "clusters there are"))
        dtype = self._dtype if self._dtype == torch.float64 else torch.float32  # SciPy has none of half the size
        values, labels = (part.cpu().numpy() for part in clustering.top(source, dtype, top))
        rows = range(0, labels.size + 1, top)
        found = csr_array((values.ravel(), labels.ravel(), list(rows)), shape=(len(labels), k))
        found.sort_indices()
        return found

    def transform(self, X: ArrayLike | Tensor) -> Array:
        """Give the distance of each row to every center, in the data's units.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.

        Returns
        -------
        distances : ndarray, Tensor or Dask array (n, k)
            Euclidean distances, not squared, where the distance is "sqeuclidean" or "euclidean"; cosine distances else.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.transform([[0.3]]).round(2)
        array([[4.8, 0.2]])
        """
        dtype = self._dtype
        return self._answer(X, lambda clustering, source: clustering.distances(source, dtype))

    def _answer(self, X: ArrayLike | Tensor, of: Callable[[Clustering, Source], Tensor]) -> Array:
        """Give what is found of each row, as an array of the kind of X: of Dask's rows one that is not computed yet."""
        if not is_dask(X):
            clustering, source = self._look_at(X)
            return like(X, of(clustering, source))
        check_is_fitted(self)
        example = as_source(as_tensor(self.cluster_centers_).cpu())
        clustering = self._clustering(example)
        return by_partition(validated(self, X, reset=False), partial(of, clustering), of(clustering, example)[:0])

    def _look_at(
        self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None
    ) -> tuple[Clustering, Source]:
        check_is_fitted(self)
        source = as_source(validated(self, X, reset=False), sample_weight, device=self.device)
        return self._clustering(source), source

    @property
    def _dtype(self) -> torch.dtype:
        """Type of what is answered: that of the centers."""
        check_is_fitted(self)
        return as_tensor(self.cluster_centers_).dtype

    def _total(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None) -> tuple[float, float]:
        """Weighted sum over the rows of X of what the rule maximizes, and Σw."""
        clustering, source = self._look_at(X, sample_weight)
        return clustering.total(source)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)
