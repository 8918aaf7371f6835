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
from .inference import Clustering


class FuzzyCMeans(SoftClusterer):
    """Fuzzy c-means: memberships fall with a power of the distance, whatever its scale.

    They are proportional to d ** (-1 / (m - 1)), where d is the squared distance to the center and m the fuzzifier, and
    minimize J = Σ w u^m d. Unlike those of soft k-means, they go to 1 / k far from all centers.

    Parameters
    ----------
    n_clusters : int, default=8
        k, from 1 to the number of rows.
    fuzzifier : float, default=2.0
        m > 1: how fuzzy; hard k-means as it goes to 1.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        What d is. The classical algorithm, which other libraries call Euclidean, has the squared distance in J.
    solver, init, n_init, max_iter, tol, frozen, growing_sample
        As for `SoftKMeans`; ``tol`` is relative to J.
    noise_distance : float, default=None
        The distance (a squared one, by default) of one more cluster, of noise, from every row: rows far from all
        centers belong to none. Memberships then sum to less than 1.
    random_state, warm_start, device, dtype, verbose, callbacks, checkpoint, resume
        As for `SoftKMeans`.

    Attributes
    ----------
    cluster_centers_ : ndarray or Tensor (k, d)
        The centers, in order of falling weight Σ w u; where ``init`` or ``warm_start`` gave centers, in that order.
    labels_ : ndarray or Tensor (n,) of int64
        The cluster of largest membership of every row, or -1 where that is the one of noise.
    objective_, distortion_ : float
        J, as a weighted sum over the rows.
    inertia_ : float
        Hard k-means' objective: the weighted sum of distances to the nearest centers.
    cluster_weights_ : ndarray (k,) of float64
        Σ w u of each cluster.
    noise_weight_ : float
        Σ w u of the cluster of noise, 0 without one.
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

    def _member(self, *, warm: bool) -> dict[str, Any]:
        return {"assignment": Fuzzy(self.fuzzifier)}

    def _clustering(self, source: Source) -> Clustering:
        centers = as_tensor(self.cluster_centers_).to(source.device, source.dtype)
        found, rule = as_distance(self.distance), Fuzzy(self.fuzzifier)
        return Clustering(centers, 1.0, found, noise_distance=self.noise_distance, rule=rule)

    def score(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Give minus the weighted mean of Σ u^m d over rows; higher is better.

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
            -J / Σw. It grows with the number of clusters and with the fuzzifier, and compares neither.

        Examples
        --------
        >>> X = [[0.0], [0.2], [5.0], [5.2]]
        >>> model = FuzzyCMeans(n_clusters=2, random_state=0).fit(X)
        >>> round(model.score(X), 4)
        -0.01
        """
        total, n = self._total(X, sample_weight)
        return total / n
