"""Fuzzy c-means as a scikit-learn estimator."""

from __future__ import annotations

__all__ = ["FuzzyCMeans"]

from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from ..data.block import as_tensor
from ..data.source import Source
from ..distances import as_distance
from ..model.assignment import Fuzzy
from .base import SoftClusterer
from .fitted_model import Clustering


class FuzzyCMeans(SoftClusterer):
    """Fuzzy c-means clustering: memberships fall with a power of the distance.

    The memberships u are proportional to d ** (-1 / (m - 1)), where d is the squared distance to the center and m the
    fuzzifier. The fit minimizes J = Σ w u^m d. Memberships do not depend on the scale of the data; unlike those of
    soft k-means, they approach 1 / k far from all centers.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k, from 1 to the number of rows.
    fuzzifier : float, default=2.0
        Fuzzifier m > 1: the larger it is, the fuzzier the memberships. As m goes to 1, they become those of hard
        k-means.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        Distance d between rows and centers. The default is that of the classical
        algorithm, which other libraries call Euclidean although J contains squared distances.
    solver, init, n_init, max_iter, tol, frozen, growing_sample
        As for `SoftKMeans`; ``tol`` is relative to J.
    noise_distance : float, default=None
        Distance (squared, by default) of an additional noise cluster from every row: rows far from all centers belong
        to the noise. Memberships then sum to less than 1.
    random_state, warm_start, device, dtype, verbose, callbacks, checkpoint, resume
        As for `SoftKMeans`.

    Attributes
    ----------
    cluster_centers_ : ndarray or Tensor (k, d)
        Cluster centers, sorted by decreasing weight Σ w u. If ``init`` or ``warm_start`` gave the centers, their order
        is kept.
    labels_ : ndarray or Tensor (n,) of int64
        Cluster with the largest membership of each row; -1 for noise.
    objective_, distortion_ : float
        The objective J, a weighted sum over the rows.
    inertia_ : float
        Objective of hard k-means: weighted sum of the distances to the nearest centers.
    cluster_weights_ : ndarray (k,) of float64
        Weight Σ w u of each cluster.
    noise_weight_ : float
        Weight Σ w u of the noise cluster; 0 without one.
    n_iter_, converged_, history_, restarts_, n_features_in_, feature_names_in_
        As for `SoftKMeans`.

    References
    ----------
    Bezdek, "Pattern recognition with fuzzy objective function algorithms", 1981. Davé, "Characterization and detection
    of noise in clustering", Pattern Recognition Letters 1991.

    Examples
    --------
    >>> from softkmeans import FuzzyCMeans
    >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2], [2.0]]
    >>> model = FuzzyCMeans(n_clusters=2, random_state=0).fit(X)
    >>> model.predict_proba(X).round(2)
    array([[0.01, 0.99],
           [0.01, 0.99],
           [1.  , 0.  ],
           [1.  , 0.  ],
           [1.  , 0.  ],
           [0.17, 0.83]])
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        fuzzifier: float = 2.0,
        solver: Any = "auto",
        init: Any = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        distance: Any = "sqeuclidean",
        noise_distance: float | None = None,
        frozen: Any = None,
        growing_sample: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
        device: Any = None,
        dtype: Any = None,
        verbose: int = 0,
        callbacks: Any = None,
        checkpoint: Any = None,
        resume: bool = False,
    ) -> None:
        super().__init__(
            n_clusters, solver=solver, init=init, n_init=n_init, max_iter=max_iter, tol=tol, distance=distance,
            noise_distance=noise_distance, frozen=frozen, growing_sample=growing_sample, random_state=random_state,
            warm_start=warm_start, device=device, dtype=dtype, verbose=verbose, callbacks=callbacks,
            checkpoint=checkpoint, resume=resume,
        )  # fmt: skip
        self.fuzzifier = fuzzifier

    def _model_parameters(self, *, warm: bool) -> dict[str, Any]:
        return {"assignment": Fuzzy(self.fuzzifier)}

    def _clustering(self, source: Source) -> Clustering:
        centers = as_tensor(self.cluster_centers_).to(source.device, source.dtype)
        distance, rule = as_distance(self.distance), Fuzzy(self.fuzzifier)
        return Clustering(centers, 1.0, distance, noise_distance=self.noise_distance, rule=rule)

    def score(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Return minus the weighted mean of Σ u^m d over rows; higher is better.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows.

        Returns
        -------
        float
            -J / Σw. It grows with the number of clusters and with the fuzzifier, so it cannot be used to choose them.

        Examples
        --------
        >>> X = [[0.0], [0.2], [5.0], [5.2]]
        >>> model = FuzzyCMeans(n_clusters=2, random_state=0).fit(X)
        >>> round(model.score(X), 4)
        -0.01
        """
        total, n = self._total_objective(X, sample_weight)
        return total / n
