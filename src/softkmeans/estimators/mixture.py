"""Soft k-means as a mixture model: log-likelihood, information criteria, sampling."""

from __future__ import annotations

__all__ = ["Mixture"]

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.checks import check_count
from ..data.block import as_tensor
from ..data.convert import Array, like
from ..distances import as_distance
from ..temperature import as_temperature
from .base import SoftClusterer
from .fitted_model import sample_mixture


class Mixture(SoftClusterer):
    """Base class of estimators that are mixture models and have a likelihood."""

    temperature: Any
    priors: Any

    def score_samples(self, X: ArrayLike | Tensor) -> Array:
        """Return the log-likelihood of each row under the equivalent mixture.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.

        Returns
        -------
        log_likelihood : ndarray, Tensor or Dask array (n,)
            Log-density of each row, per unit volume in the data's units.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=2.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]])
        >>> model.score_samples([[0.1]]).round(4)  # half of a standard normal density at its mean
        array([-1.6121])
        """
        return self._map_rows(X, lambda clustering, source: clustering.objective(source))

    def score(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Return the weighted mean log-likelihood of rows under the equivalent mixture; higher is better.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows, usually held-out data.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows.

        Returns
        -------
        float
            The mean of `score_samples`.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=2.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]])
        >>> round(model.score([[0.1], [9.1]]), 4)
        -1.6121
        """
        total, n = self._total_objective(X, sample_weight)
        return total / n

    def bic(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Return the Bayesian information criterion on rows X (n, d); lower is better.

        The number of rows is their total weight Σw.

        Parameters
        ----------
        X, sample_weight
            As for `score`.

        Returns
        -------
        float
            ``n_parameters() * log(Σw) - 2 * log_likelihood``.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> X = [[0.0], [0.2], [0.4], [9.0], [9.2], [9.4]]
        >>> [round(SoftKMeans(k, random_state=0).fit(X).bic(X), 1) for k in (1, 2, 3)]
        [38.7, 9.0, 11.5]
        """
        total, n = self._total_objective(X, sample_weight)
        return self.n_parameters() * math.log(n) - 2 * total

    def aic(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Return the Akaike information criterion on rows X (n, d); lower is better.

        Parameters
        ----------
        X, sample_weight
            As for `score`.

        Returns
        -------
        float
            ``2 * n_parameters() - 2 * log_likelihood``.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> X = [[0.0], [0.2], [0.4], [9.0], [9.2], [9.4]]
        >>> [round(SoftKMeans(k, random_state=0).fit(X).aic(X), 1) for k in (1, 2, 3)]
        [39.1, 9.6, 12.3]
        """
        total, _ = self._total_objective(X, sample_weight)
        return 2 * self.n_parameters() - 2 * total

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """Draw rows from the equivalent mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState or None, default=None
            Seed or random number generator.

        Returns
        -------
        X : ndarray or Tensor (n_samples, d)
            Rows, in random order.
        y : ndarray or Tensor (n_samples,)
            Cluster that each row was drawn from. No rows are drawn from the noise cluster.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]])
        >>> X, y = model.sample(5, random_state=0)
        >>> X.shape, y.shape
        ((5, 1), (5,))
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
        centers = as_tensor(self.cluster_centers_).double().cpu().numpy()
        temperature = np.broadcast_to(self.temperature_, len(centers))
        distance = as_distance(self.distance)
        rows, labels = sample_mixture(centers, temperature, self.priors_, distance, n_samples, rng)
        return like(self.cluster_centers_, rows.to(self._dtype)), like(self.cluster_centers_, labels)

    @property
    def beta_(self) -> Any:
        """Inverse temperature β = 1 / T, a float or ndarray (k,)."""
        return 1 / self.temperature_

    @property
    def sigma_(self) -> Any:
        """Standard deviation σ = √(T / 2) of the Gaussian components, for squared Euclidean distances."""
        return (self.temperature_ / 2) ** 0.5

    def n_parameters(self) -> int:
        """Return the number of free parameters: center coordinates, and learned temperatures and priors.

        Frozen centers do not count. A direction (cosine distance) has one coordinate fewer.

        Returns
        -------
        int
            The number of free parameters.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> SoftKMeans(2, temperature=1.0).fit([[0.0, 1.0], [5.0, 6.0]]).n_parameters()
        4
        """
        n_clusters, n_features = self.cluster_centers_.shape
        n_free_centers = n_clusters - (0 if self.frozen is None else int(np.asarray(self.frozen).sum()))
        n_coordinates = n_features if as_distance(self.distance).translates else n_features - 1
        temperature_rule = as_temperature(self.temperature)
        learns_temperature = temperature_rule.learned or temperature_rule.solves_equation
        n_temperatures = learns_temperature * (n_clusters if temperature_rule.per_cluster else 1)
        learns_priors = isinstance(self.priors, str) and self.priors == "learned"
        n_priors = n_clusters - 1 + (self.noise_distance is not None) if learns_priors else 0
        return n_free_centers * n_coordinates + n_temperatures + n_priors
