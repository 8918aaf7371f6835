"""The scikit-learn face of the library."""

from __future__ import annotations

__all__ = ["SoftKMeans"]

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .blocks import Rows, as_tensor
from .callbacks import watchers
from .checks import check_count
from .data.arrays import Array, as_source, floating_dtype, like
from .data.source import Source
from .distances import as_distance
from .errors import FitInterrupted, InputError
from .fit import Result, fit
from .inference import Clustering, sample_mixture
from .layer import SoftKMeansLayer
from .temperature import as_temperature
from .validation import validated

SETTINGS = ("temperature", "solver", "n_init", "max_iter", "tol", "distance", "growing_sample")  # handed on as they are


class SoftKMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Soft k-means clustering: every row gets a probability for every cluster.

    The probabilities are softmax(-d / T) over the clusters, where d is the squared distance to the centre and the
    temperature T says how soft. It is the equal-weight mixture of Gaussians of variance T / 2, and hard k-means as T
    goes to 0.

    Parameters
    ----------
    n_clusters : int, default=8
        k, from 1 to the number of rows.
    temperature : float, "auto" or TemperatureRule, default="auto"
        T > 0, in the units of the distance (of squared data, by default); "auto" learns it by maximum likelihood.
    solver : {"auto", "em", "lbfgs", "adam"} or Solver, default="auto"
        "auto" is expectation-maximisation, accelerated by L-BFGS once it is slow; "em" never is, "lbfgs" is at once;
        "adam" is gradient descent.
    init : {"k-means++", "k-means||", "random"}, array-like (k, d) or callable, default="k-means++"
        Where centres start. A callable takes ``(X, n_clusters, random_state)`` and gives an array.
    n_init : int, default=1
        Restarts, of which the one with the lowest objective is kept; a given array is one start.
    max_iter : int, default=300
        Passes over all rows in one restart, at most; if they run out, one more looks at where the last one led.
    tol : float, default=1e-4
        A pass that lowers the objective by no more than this ends the fit: relative to the expected distortion at a
        fixed temperature, to n_features Σw where T is learned. With 0, the fit runs on until nothing changes.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        What is between rows and centres. With "euclidean" centres are weighted geometric medians, with "cosine"
        directions.
    growing_sample : bool, default=False
        Whether first passes look at samples of the rows, each larger than the last: quicker, and more up to chance.
    random_state : int, RandomState or None, default=None
        Where the starts and samples are drawn from.
    warm_start : bool, default=False
        Whether ``fit`` starts from the centres, and a learned T, of the last fit.
    device : str or torch.device, default=None
        Where the work is done; by default where a tensor is, and on the CPU for arrays.
    dtype : numpy or torch floating dtype, or its name, default=None
        Type of the centres and probabilities; by default the data's own, and float64 for integers.
    verbose : int, default=0
        1 shows a progress bar for long fits, 2 prints the loss of every tenth pass.
    callbacks : sequence of Callback, default=None
        Objects that watch the fit.

    Attributes
    ----------
    cluster_centers_ : ndarray or Tensor (k, d)
        The centres, in order of falling weight Σ w r, clusters of equal weight (to a millionth) in lexicographic order
        of their centres; where ``init`` or ``warm_start`` gave centres, in that order.
    labels_ : ndarray or Tensor (n,) of int64
        The likeliest cluster of every row.
    temperature_ : float
        The temperature T, in the data's units.
    inertia_ : float
        Hard k-means' objective: the weighted sum of distances to the nearest centres.
    objective_, free_energy_, distortion_, entropy_ : float
        What was minimised, and F, E and H, as weighted sums over the rows; E = F + T H.
    cluster_weights_ : ndarray (k,) of float64
        Each cluster's share Σ w r of the rows.
    n_iter_ : int
        Passes in the best restart, over samples included.
    converged_ : bool
        Whether the last passes brought no improvement beyond ``tol``.
    history_ : tuple of Step
        What each of these passes found.
    n_features_in_ : int
        d.
    feature_names_in_ : ndarray (d,)
        Names of the columns, if X had names.

    Notes
    -----
    Arrays are answered as arrays, tensors as tensors. After Ctrl-C, fitted attributes hold the best centres so far.

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
        n_clusters: int = 8,
        *,
        temperature: Any = "auto",
        solver: Any = "auto",
        init: Any = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        distance: Any = "sqeuclidean",
        growing_sample: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
        device: Any = None,
        dtype: Any = None,
        verbose: int = 0,
        callbacks: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.temperature = temperature
        self.solver = solver
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.distance = distance
        self.growing_sample = growing_sample
        self.random_state = random_state
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.verbose = verbose
        self.callbacks = callbacks

    def fit(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> Self:
        """Find the centres.

        Parameters
        ----------
        X : array-like or Tensor (n, d)
            Rows of finite real numbers.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

        Returns
        -------
        SoftKMeans
            The fitted estimator itself.

        Raises
        ------
        InputError
            A ``ValueError``, if the data or a parameter can't be used.
        """
        rows = validated(self, X, reset=True)
        source = as_source(rows, sample_weight, device=self.device)
        floating_dtype(self.dtype, rows)  # refuse a wrong one before the work
        warm = self.warm_start and hasattr(self, "cluster_centers_")
        if warm and tuple(self.cluster_centers_.shape) != (self.n_clusters, source.n_features):
            found = f"centres of shape {tuple(self.cluster_centers_.shape)} from the last fit"
            raise InputError(
                f"warm_start has {found}, expected {(self.n_clusters, source.n_features)}: set it to False"
            )
        try:
            result = fit(
                source,
                self.n_clusters,
                init=self.cluster_centers_ if warm else self.init,
                init_temperature=self.temperature_ if warm else None,
                random_state=check_random_state(self.random_state).randint(2**31),
                callbacks=[*watchers(self.verbose), *(self.callbacks or ())],
                **{name: getattr(self, name) for name in SETTINGS},
            )
        except FitInterrupted as interrupted:
            self._keep(interrupted.result, X, rows, source)
            raise
        self._keep(result, X, rows, source)
        return self

    def predict(self, X: ArrayLike | Tensor) -> Array:
        """Give the likeliest cluster (n,) int64 of each row of X (n, d)."""
        clustering, source = self._look_at(X)
        return like(X, clustering.labels(source))

    def predict_proba(self, X: ArrayLike | Tensor) -> Array:
        """Give the probability (n, k) of every cluster for each row of X (n, d); rows sum to 1."""
        clustering, source = self._look_at(X)
        return like(X, clustering.resp(source, self._dtype))

    def transform(self, X: ArrayLike | Tensor) -> Array:
        """Give the distance (n, k) of each row of X (n, d) to every centre, in the data's units.

        Euclidean distances, not squared, where the distance is "sqeuclidean" or "euclidean"; cosine distances else.
        """
        clustering, source = self._look_at(X)
        return like(X, clustering.distances(source, self._dtype))

    def score_samples(self, X: ArrayLike | Tensor) -> Array:
        """Give the log-likelihood (n,) of each row of X (n, d) under the equivalent mixture of equal weights."""
        clustering, source = self._look_at(X)
        return like(X, clustering.log_likelihood(source))

    def score(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Give the weighted mean log-likelihood of the rows of X (n, d); higher is better.

        Parameters
        ----------
        X : array-like or Tensor (n, d)
            Rows, usually held out from the fit.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows.
        """
        total, n = self._log_likelihood(X, sample_weight)
        return total / n

    def bic(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Give the Bayesian information criterion on rows X (n, d), with Σw for their number; lower is better."""
        total, n = self._log_likelihood(X, sample_weight)
        return self._n_parameters() * math.log(n) - 2 * total

    def aic(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None) -> float:
        """Give the Akaike information criterion on rows X (n, d), with Σw for their number; lower is better."""
        total, _ = self._log_likelihood(X, sample_weight)
        return 2 * self._n_parameters() - 2 * total

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """Draw rows from the equivalent mixture.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None, default=None
            Where they are drawn from.

        Returns
        -------
        X : ndarray or Tensor (n_samples, d)
            Rows, in no order.
        y : ndarray or Tensor (n_samples,)
            The cluster each was drawn from.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
        centers = as_tensor(self.cluster_centers_).double().cpu().numpy()
        rows, labels = sample_mixture(centers, self.temperature_, as_distance(self.distance), n_samples, rng)
        return like(self.cluster_centers_, rows.to(self._dtype)), like(self.cluster_centers_, labels)

    @property
    def beta_(self) -> float:
        """The inverse temperature, β = 1 / T."""
        return 1 / float(self.temperature_)

    @property
    def sigma_(self) -> float:
        """Standard deviation of the equivalent mixture's Gaussians, σ = √(T / 2), for squared Euclidean distances."""
        return math.sqrt(self.temperature_ / 2)

    def to_layer(self, *, learn_temperature: bool = False) -> SoftKMeansLayer:
        """Make a PyTorch module with the fitted centres and temperature.

        Examples
        --------
        >>> import torch
        >>> model = SoftKMeans(2, random_state=0).fit(torch.tensor([[0.0], [0.2], [5.0], [5.1]]))
        >>> model.to_layer()
        SoftKMeansLayer(2, 1, distance='sqeuclidean')
        """
        check_is_fitted(self)
        centers = as_tensor(self.cluster_centers_)
        settings: dict[str, Any] = {"distance": self.distance, "learn_temperature": learn_temperature}
        kept: dict[str, Any] = {"centroids": centers, "dtype": centers.dtype, "device": centers.device}
        return SoftKMeansLayer(len(centers), centers.shape[1], self.temperature_, **settings, **kept)

    @classmethod
    def from_layer(cls, layer: SoftKMeansLayer, result: Result | None = None) -> Self:
        """Make an estimator that predicts with a module's centroids and temperature; arrays in, arrays out.

        Parameters
        ----------
        layer : SoftKMeansLayer
            Copied, not changed.
        result : Result, optional
            What `train_layer` gave, to keep its figures as fitted attributes.

        Examples
        --------
        >>> import torch
        >>> layer = SoftKMeansLayer(2, 1, centroids=torch.tensor([[0.0], [5.0]]))
        >>> SoftKMeans.from_layer(layer).predict([[4.0]])
        array([1])
        """
        centers = layer.centroids.detach().cpu()
        centers = centers.float() if centers.dtype == torch.bfloat16 else centers  # which NumPy lacks
        temperature = float(layer.temperature.detach())
        model = cls(
            layer.n_clusters,
            temperature="auto" if layer.learn_temperature else temperature,
            distance=layer.distance.spelling,
        )
        model.cluster_centers_, model.temperature_ = centers.numpy().copy(), temperature
        model.n_features_in_ = layer.n_features
        if result is not None:
            model._keep_figures(result)
        return model

    def _keep(self, result: Result, X: Any, rows: Rows, source: Source) -> None:
        """Set the fitted attributes, arrays of the kind of X."""
        centers = result.centers.to(floating_dtype(self.dtype, rows))
        if not centers.isfinite().all():
            raise InputError(f"the centres are too large for {centers.dtype}: give a dtype of more bits")
        self.cluster_centers_ = like(X, centers)
        self.temperature_ = result.temperature
        self._keep_figures(result)
        labels, self.inertia_ = self._clustering(source).harden(source)
        self.labels_ = like(X, labels)

    def _keep_figures(self, result: Result) -> None:
        self.free_energy_, self.distortion_, self.entropy_ = result.free_energy, result.distortion, result.entropy
        self.objective_, self.cluster_weights_ = result.objective, result.weight.cpu().numpy()
        self.n_iter_, self.converged_, self.history_ = result.n_iter, result.converged, result.history

    def _look_at(
        self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None
    ) -> tuple[Clustering, Source]:
        check_is_fitted(self)
        source = as_source(validated(self, X, reset=False), sample_weight, device=self.device)
        return self._clustering(source), source

    def _clustering(self, source: Source) -> Clustering:
        centers = as_tensor(self.cluster_centers_).to(source.device, source.dtype)
        return Clustering(centers, self.temperature_, as_distance(self.distance))

    @property
    def _dtype(self) -> torch.dtype:
        """Type of what is answered: that of the centres."""
        return as_tensor(self.cluster_centers_).dtype

    def _log_likelihood(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None) -> tuple[float, float]:
        """Weighted log-likelihood of the rows of X, and Σw."""
        clustering, source = self._look_at(X, sample_weight)
        weight = source.map(lambda block: block.w)
        return float(weight @ clustering.log_likelihood(source)), float(weight.sum())

    def _n_parameters(self) -> int:
        """Free numbers of the model: the centres' coordinates (a direction has one fewer), and T if it was learned."""
        n_clusters, n_features = self.cluster_centers_.shape
        free = n_features if as_distance(self.distance).translates else n_features - 1
        return n_clusters * free + as_temperature(self.temperature).learned

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)
