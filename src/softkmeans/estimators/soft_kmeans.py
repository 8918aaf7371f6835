"""Soft k-means as a scikit-learn estimator."""

from __future__ import annotations

__all__ = ["SoftKMeans"]

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.checks import check_count
from .._utils.information import bic
from .._utils.random import draw_seed
from ..data.block import as_tensor
from ..data.convert import Array, like
from ..distances import as_distance
from ..errors import InputError, Message, Setting
from ..fitting.results import Result
from ..nn.layer import SoftKMeansLayer
from ..settings import RunOptions, Settings, documented
from ..temperature import as_temperature
from .base import SoftClusterer
from .fitted_model import sample_mixture
from .layers import layer_attributes, layer_parameters, make_layer
from .row_map import map_rows


@documented
class SoftKMeans(SoftClusterer):
    """Soft k-means clustering: every row gets a probability for every cluster.

    The probabilities are softmax(-d / T) over the clusters, where d is the squared distance to the center. The
    temperature T sets how soft the clustering is. The model is equivalent to an equal-weight mixture of Gaussians of
    variance T / 2; as T goes to 0, it becomes hard k-means.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    cluster_centers_ : ndarray or Tensor (k, d)
        Cluster centers, sorted by decreasing weight Σ w r; clusters of equal weight (to a millionth) are sorted by the
        coordinates of their centers. If ``init`` or ``warm_start`` gave the centers, or if priors or temperatures were
        given for each cluster, the given order is kept.
    labels_ : ndarray or Tensor (n,) of int64
        The most probable cluster of each row; -1 for noise.
    temperature_ : float or ndarray (k,)
        Temperature T, or that of each cluster, in the data's units.
    priors_ : ndarray (k,) of float64
        Prior probability of each cluster; with a noise cluster, 1 minus their sum is the prior of noise.
    inertia_ : float
        Objective of hard k-means: weighted sum of the distances to the nearest centers.
    objective_, free_energy_, distortion_, entropy_ : float
        The minimized objective, free energy F, expected distortion E and entropy H, as weighted sums over the rows;
        E = F + T H for equal priors. F is NaN if the temperatures of the clusters differ. If T solves an equation
        ("calibrated", "perplexity:1.5"), the objective is the squared distance of the centers and T from a fixed point.
    cluster_weights_ : ndarray (k,) of float64
        Weight Σ w r of each cluster.
    noise_weight_ : float
        Weight of the noise cluster; 0 without one.
    n_iter_ : int
        Number of passes in the best restart, including passes over samples. Each call of ``partial_fit`` adds one.
    converged_ : bool
        Whether the fit converged: the last passes brought no improvement beyond ``tol``.
    history_ : tuple of Step
        One entry for each of these passes.
    restarts_ : tuple of float
        Objective of each restart minus the lowest, divided by the quantity that ``tol`` is relative to.
    n_features_in_ : int
        Number of features d.
    feature_names_in_ : ndarray (d,)
        Names of the columns, if X has names.

    Notes
    -----
    After ``partial_fit``, all sums describe the last batch, and the clusters keep their order.
    Results are arrays if X is an array, and tensors if X is a tensor. After Ctrl-C, or if a callback raises an
    exception, the fitted attributes hold the best centers so far.

    References
    ----------
    MacKay, "Information theory, inference, and learning algorithms", 2003, chapter 22. Rose, "Deterministic annealing
    for clustering, compression, classification, regression, and related optimization problems", Proc. IEEE 1998.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> X = [[0.0, 0.0], [0.2, 0.1], [5.0, 5.0], [5.1, 4.9], [2.6, 2.5]]
    >>> model = SoftKMeans(n_clusters=2, temperature=4.0, random_state=0).fit(X)
    >>> model.predict_proba(X).round(2)
    array([[0.  , 1.  ],
           [0.  , 1.  ],
           [1.  , 0.  ],
           [1.  , 0.  ],
           [0.54, 0.46]])
    """

    def __init__(
        self,
        n_clusters: int = RunOptions.n_clusters,
        *,
        temperature: Any = Settings.temperature,
        assignment: Any = Settings.assignment,
        priors: Any = Settings.priors,
        solver: Any = Settings.solver,
        init: Any = Settings.init,
        n_init: int = Settings.n_init,
        max_iter: int = Settings.max_iter,
        tol: float = Settings.tol,
        distance: Any = Settings.distance,
        update: str = Settings.update,
        noise_distance: float | None = Settings.noise_distance,
        frozen: Any = Settings.frozen,
        empty_clusters: str = Settings.empty_clusters,
        growing_sample: bool = Settings.growing_sample,
        local_search: bool = Settings.local_search,
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
        self.temperature = temperature
        self.assignment = assignment
        self.priors = priors
        self.solver = solver
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.distance = distance
        self.update = update
        self.noise_distance = noise_distance
        self.frozen = frozen
        self.empty_clusters = empty_clusters
        self.growing_sample = growing_sample
        self.local_search = local_search
        self.random_state = random_state
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.resume = resume

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
        self._check_is_mixture()
        return map_rows(self, X, lambda clustering, source: clustering.objective(source))

    def score(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Return the weighted mean log-likelihood of rows under the equivalent mixture; higher is better.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; X is usually held-out data.

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
        self._check_is_mixture()
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
        self._check_is_mixture()
        total, n = self._total_objective(X, sample_weight)
        return float(bic(total, self.n_parameters(), math.log(n)))

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
        self._check_is_mixture()
        total, _ = self._total_objective(X, sample_weight)
        return 2 * self.n_parameters() - 2 * total

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """Draw rows from the equivalent mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, Generator, RandomState or None, default=None
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
        self._check_is_mixture()
        check_count("n_samples", n_samples)
        rng = np.random.default_rng(draw_seed(random_state))
        centers = as_tensor(self.cluster_centers_).double().cpu().numpy()
        temperature = np.broadcast_to(self.temperature_, len(centers))
        rows, labels = sample_mixture(centers, temperature, self.priors_, as_distance(self.distance), n_samples, rng)
        return like(self.cluster_centers_, rows.to(self._dtype)), like(self.cluster_centers_, labels)

    def _check_is_mixture(self) -> None:
        """Raise an InputError if memberships are not those of a mixture model, so that there is no likelihood."""
        rule = self._assignment_rule()
        if not rule.is_mixture:
            problem = f"has no likelihood, as {rule.name} memberships belong to no mixture model"
            hint = Message("use ", Setting("assignment", "softmax"))
            raise InputError(problem, parameter="assignment", value=self.assignment, hint=hint)

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

    def to_layer(self, *, learn_temperature: bool = False, learn_priors: bool = False) -> SoftKMeansLayer:
        """Convert the fitted model to a PyTorch module with the same memberships.

        Parameters
        ----------
        learn_temperature : bool, default=False
            Whether T is a parameter of the module, which training then changes.
        learn_priors : bool, default=False
            Whether the priors are parameters of the module, too.

        Returns
        -------
        SoftKMeansLayer
            The module, with copies of the centers, temperatures and priors.

        Raises
        ------
        InputError
            If the memberships are not a softmax.

        Examples
        --------
        >>> import torch
        >>> model = SoftKMeans(2, random_state=0).fit(torch.tensor([[0.0], [0.2], [5.0], [5.1]]))
        >>> model.to_layer()
        SoftKMeansLayer(2, 1, temperature=0.0125, distance='sqeuclidean')
        """
        check_is_fitted(self)
        return make_layer(self, learn_temperature=learn_temperature, learn_priors=learn_priors)

    @classmethod
    def from_layer(cls, layer: SoftKMeansLayer, result: Result | None = None) -> Self:
        """Build a fitted estimator from a module's centroids and temperature.

        Parameters
        ----------
        layer : SoftKMeansLayer
            The module; its centroids are copied.
        result : Result, optional
            Return value of `train_layer`; its sums and history become fitted attributes.

        Returns
        -------
        SoftKMeans
            The estimator; its fitted attributes are NumPy arrays.

        Examples
        --------
        >>> import torch
        >>> layer = SoftKMeansLayer(2, 1, centroids=torch.tensor([[0.0], [5.0]]))
        >>> SoftKMeans.from_layer(layer).predict([[4.0]])
        array([1])
        """
        model = cls(**layer_parameters(layer))
        for name, value in layer_attributes(layer).items():
            setattr(model, name, value)
        if result is not None:
            model._set_statistics(result)
        return model
