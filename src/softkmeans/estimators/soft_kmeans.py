"""Soft k-means as a scikit-learn estimator."""

from __future__ import annotations

__all__ = ["SoftKMeans"]

from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.block import as_tensor
from ..data.source import Source
from ..distances import as_distance, name_or_distance
from ..errors import InputError
from ..fitting.results import Result
from ..nn.layer import SoftKMeansLayer
from ..temperature import as_temperature
from .inference import Clustering
from .mixture import Mixture


class SoftKMeans(Mixture):
    """Soft k-means clustering: every row gets a probability for every cluster.

    The probabilities are softmax(-d / T) over the clusters, where d is the squared distance to the center and the
    temperature T says how soft. It is the equal-weight mixture of Gaussians of variance T / 2, and hard k-means as T
    goes to 0.

    Parameters
    ----------
    n_clusters : int, default=8
        k, from 1 to the number of rows.
    temperature : float, sequence of k floats, str or TemperatureRule, default="auto"
        T > 0, in the units of the distance (of squared data, by default); "auto" learns it by maximum likelihood, and
        "per-cluster" one for each cluster: the mixture of spherical Gaussians. "calibrated" makes memberships mean what
        they say where features are correlated, "perplexity:1.5" spreads rows over 1.5
        clusters on average, "critical:0.5" is half the temperature at which one cluster comes apart, and a
        `temperature.Schedule` is passed through from hot to cold.
    priors : {"uniform", "learned"} or array-like (k,), default="uniform"
        Share of the rows that a cluster has before one looks at them.
    solver : {"auto", "em", "lbfgs", "adam", "online"} or Solver, default="auto"
        "auto" is expectation-maximization, accelerated by L-BFGS once it is slow; "em" never is, "lbfgs" is at once;
        "adam" is gradient descent; "online" steps after every batch of rows, as `partial_fit` does (`solvers.Online`).
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable, default="k-means++"
        Where centers start. A callable takes ``(X, n_clusters, random_state)`` and gives an array.
    n_init : int, default=1
        Restarts, of which the one with the lowest objective is kept; a given array is one start.
    max_iter : int, default=300
        Passes over all rows in one restart, at most; if they run out, one more looks at where the last one led.
    tol : float, default=1e-4
        A pass that lowers the objective by no more than this ends the fit: relative to the expected distortion at a
        fixed temperature, to n_features Σw where T is learned. With 0, the fit runs on until nothing changes.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        What is between rows and centers. With "euclidean" centers are weighted geometric medians, with "cosine"
        directions.
    update : {"exact", "mean"}, default="exact"
        Where centers move to: where the objective is least, or to weighted means whatever the distance, as the textbook
        has it. They differ for "euclidean"; "mean" then follows no objective and needs a fixed temperature.
    noise_distance : float, default=None
        The distance (a squared one, by default) of one more cluster, of noise, from every row: rows far from all
        centers belong to none. Memberships then sum to less than 1.
    frozen : array-like (k,) of bool, default=None
        Which of the centers given as ``init`` stay where they are.
    growing_sample : bool, default=False
        Whether first passes look at samples of the rows, each larger than the last: quicker, and more up to chance.
    local_search : bool, default=False
        Whether to look for a better optimum where the best restart ended, by moving a few centers at a time from where
        they are missed least to where they help most. Where clusters are many, it finds what restarts do not.
    random_state : int, RandomState or None, default=None
        Where the starts and samples are drawn from.
    warm_start : bool, default=False
        Whether ``fit`` starts from the centers, and a learned T, of the last fit.
    device : str or torch.device, default=None
        Where the work is done; by default where a tensor is, and on the CPU for arrays.
    dtype : numpy or torch floating dtype, or its name, default=None
        Type of the centers and probabilities; by default the data's own, and float64 for integers.
    verbose : int, default=0
        1 shows a progress bar for long fits, 2 prints the loss of every tenth pass.
    callbacks : sequence of Callback, default=None
        Objects that watch the fit.
    checkpoint : str, path-like or Checkpoint, default=None
        The folder where ``fit`` keeps what it needs to go on, should it be stopped: see `checkpoints.Checkpoint`.
    resume : bool, default=False
        Whether ``fit`` goes on from the last checkpoint, if there is one: it ends with the same bits as if it had never
        been stopped. It is refused if the data, a parameter or a version is another.

    Attributes
    ----------
    cluster_centers_ : ndarray or Tensor (k, d)
        The centers, in order of falling weight Σ w r, clusters of equal weight (to a millionth) in lexicographic order
        of their centers; where ``init``, ``warm_start``, or priors or temperatures given one a cluster name them,
        in that order.
    labels_ : ndarray or Tensor (n,) of int64
        The likeliest cluster of every row, or -1 where that is the one of noise.
    temperature_ : float or ndarray (k,)
        The temperature T, or that of each cluster, in the data's units.
    priors_ : ndarray (k,) of float64
        Share of each cluster; with a cluster of noise they leave it the rest.
    inertia_ : float
        Hard k-means' objective: the weighted sum of distances to the nearest centers.
    objective_, free_energy_, distortion_, entropy_ : float
        What was minimized, and F, E and H, as weighted sums over the rows; E = F + T H for equal priors. There is no F,
        but NaN, where clusters differ in temperature. Where T solves an equation ("calibrated", "perplexity:1.5"), the
        objective is how far, squared, centers and T are from where they stay.
    cluster_weights_ : ndarray (k,) of float64
        Each cluster's share Σ w r of the rows.
    noise_weight_ : float
        The share of the cluster of noise, 0 without one.
    n_iter_ : int
        Passes in the best restart, over samples included; one more for every call of ``partial_fit``.
    converged_ : bool
        Whether the last passes brought no improvement beyond ``tol``.
    history_ : tuple of Step
        What each of these passes found.
    restarts_ : tuple of float
        By how much each restart ended above the lowest, relative to what ``tol`` is relative to.
    n_features_in_ : int
        d.
    feature_names_in_ : ndarray (d,)
        Names of the columns, if X had names.

    Notes
    -----
    After ``partial_fit`` all figures are those of the rows it was given last, and clusters have the numbers they had.
    Arrays are answered as arrays, tensors as tensors. After Ctrl-C, or when a callback raises, fitted attributes hold
    the best centers so far.

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
        priors: Any = "uniform",
        solver: Any = "auto",
        init: Any = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        distance: Any = "sqeuclidean",
        update: str = "exact",
        noise_distance: float | None = None,
        frozen: Any = None,
        growing_sample: bool = False,
        local_search: bool = False,
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
        self.temperature = temperature
        self.priors = priors
        self.update = update
        self.local_search = local_search

    def _member(self, *, warm: bool) -> dict[str, Any]:
        names = ("temperature", "priors", "update", "local_search")
        member = {name: getattr(self, name) for name in names}
        if warm:
            member |= {"init_temperature": self._warm_temperature(), "init_priors": self.priors_}
        return member

    def _warm_temperature(self) -> Any:
        """T to go on from; the clusters' mean where each had its own, and now all are to share one."""
        if np.ndim(self.temperature_) and not as_temperature(self.temperature).per_cluster:
            return float(np.average(self.temperature_, weights=self.cluster_weights_))
        return self.temperature_

    def _clustering(self, source: Source) -> Clustering:
        centers = as_tensor(self.cluster_centers_).to(source.device, source.dtype)
        found, noise = as_distance(self.distance), self.noise_distance
        return Clustering(centers, self.temperature_, found, priors=self.priors_, noise_distance=noise)

    def _keep_figures(self, result: Result) -> None:
        super()._keep_figures(result)
        t = result.temperature
        self.temperature_ = t.cpu().numpy() if isinstance(t, Tensor) else t
        self.priors_ = result.priors.cpu().numpy()
        self.free_energy_, self.entropy_ = result.free_energy, result.entropy

    def to_layer(self, *, learn_temperature: bool = False) -> SoftKMeansLayer:
        """Make a PyTorch module with the fitted centers and temperature.

        Parameters
        ----------
        learn_temperature : bool, default=False
            Whether the module is to go on learning T.

        Raises
        ------
        InputError
            If the model has what a module knows nothing of: a temperature per cluster, unequal priors, noise.

        Examples
        --------
        >>> import torch
        >>> model = SoftKMeans(2, random_state=0).fit(torch.tensor([[0.0], [0.2], [5.0], [5.1]]))
        >>> model.to_layer()
        SoftKMeansLayer(2, 1, distance='sqeuclidean')
        """
        check_is_fitted(self)
        centers = as_tensor(self.cluster_centers_)
        if np.ndim(self.temperature_) or self.noise_distance is not None or np.ptp(self.priors_) > 0:
            raise InputError(
                "the layer knows one temperature, equal priors and no noise, and this model has more than that: "
                "softkmeans.export_onnx takes it as it is"
            )
        kept: dict[str, Any] = {"centroids": centers, "dtype": centers.dtype, "device": centers.device}
        kept |= {"distance": self.distance, "learn_temperature": learn_temperature}
        return SoftKMeansLayer(len(centers), centers.shape[1], float(self.temperature_), **kept)

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
        centers, temperature = layer.centroids.detach().cpu(), float(layer.temperature.detach())
        centers = centers.float() if centers.dtype == torch.bfloat16 else centers  # which NumPy lacks
        model = cls(
            layer.n_clusters,
            temperature="auto" if layer.learn_temperature else temperature,
            distance=name_or_distance(as_distance(layer.distance)),
        )
        model.cluster_centers_, model.temperature_ = centers.numpy().copy(), temperature
        model.priors_ = np.full(len(centers), 1 / len(centers))
        model.n_features_in_ = layer.n_features
        if result is not None:
            model._keep_figures(result)
        return model
