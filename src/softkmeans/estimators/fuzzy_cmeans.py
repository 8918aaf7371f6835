"""Fuzzy c-means as a scikit-learn estimator."""

from __future__ import annotations

__all__ = ["FuzzyCMeans"]

from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from ..model.assignment import AssignmentRule, Fuzzy
from ..settings import RunOptions, Settings, documented
from .base import SoftClusterer


@documented
class FuzzyCMeans(SoftClusterer):
    """Fuzzy c-means clustering: memberships fall with a power of the distance.

    The memberships u are proportional to d ** (-1 / (m - 1)), where d is the squared distance to the center and m the
    fuzzifier. The fit minimizes J = Σ w u^m d. Memberships do not depend on the scale of the data; unlike those of
    soft k-means, they approach 1 / k far from all centers.

    Parameters
    ----------
    {n_clusters}
    fuzzifier : float, default=2.0
        Fuzzifier m > 1: the larger it is, the fuzzier the memberships. As m goes to 1, they become those of hard
        k-means.
    {parameters}

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

    Notes
    -----
    A fit never moves clusters to other rows, as ``SoftKMeans(empty_clusters="relocate")`` does: every row belongs to
    all clusters. If the fuzzifier is too high to separate clusters, centers coincide, and the fit issues a warning.

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
        n_clusters: int = RunOptions.n_clusters,
        *,
        fuzzifier: float = Fuzzy.fuzzifier,
        solver: Any = Settings.solver,
        init: Any = Settings.init,
        n_init: int = Settings.n_init,
        max_iter: int = Settings.max_iter,
        tol: float = Settings.tol,
        distance: Any = Settings.distance,
        noise_distance: float | None = Settings.noise_distance,
        frozen: Any = Settings.frozen,
        growing_sample: bool = Settings.growing_sample,
        random_state: Any = RunOptions.random_state,
        warm_start: bool = RunOptions.warm_start,
        device: Any = RunOptions.device,
        dtype: Any = RunOptions.dtype,
        verbose: int = RunOptions.verbose,
        callbacks: Any = RunOptions.callbacks,
        checkpoint: Any = RunOptions.checkpoint,
        resume: bool = RunOptions.resume,
    ) -> None:
        self.n_clusters = n_clusters
        self.fuzzifier = fuzzifier
        self.solver = solver
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.distance = distance
        self.noise_distance = noise_distance
        self.frozen = frozen
        self.growing_sample = growing_sample
        self.random_state = random_state
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.resume = resume

    def _assignment_rule(self) -> AssignmentRule:
        return Fuzzy(self.fuzzifier)

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
