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
from .fitted_model import Clustering
from .mixture import Mixture


class SoftKMeans(Mixture):
    """Soft k-means clustering: every row gets a probability for every cluster.

    The probabilities are softmax(-d / T) over the clusters, where d is the squared distance to the center. The
    temperature T sets how soft the clustering is. The model is equivalent to an equal-weight mixture of Gaussians of
    variance T / 2; as T goes to 0, it becomes hard k-means.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k, from 1 to the number of rows.
    temperature : float, sequence of k floats, str or TemperatureRule, default="auto"
        Temperature T > 0, in the units of the distance (squared data units, by default), or how to choose it:

        - "auto": learn T by maximum likelihood.
        - "per-cluster": learn one T for each cluster, as in a mixture of spherical Gaussians.
        - "calibrated": choose T so that memberships are calibrated probabilities where features are correlated.
        - "perplexity:1.5": choose T so that exp(H / Σw) = 1.5: rows are spread over 1.5 clusters on average.
        - "critical:0.5": 0.5 times the critical temperature, at which a single cluster splits.
        - `temperature.Schedule`: decrease T through a series of values (annealing).
    priors : {"uniform", "learned"} or array-like (k,), default="uniform"
        Prior probability (mixing weight) of each cluster.
    solver : {"auto", "em", "lbfgs", "adam", "online"} or Solver, default="auto"
        Optimization algorithm:

        - "auto": expectation-maximization (EM), accelerated by L-BFGS once it becomes slow.
        - "em": EM without acceleration.
        - "lbfgs": L-BFGS from the start.
        - "adam": gradient descent by Adam.
        - "online": one step after every batch of rows, as in `partial_fit` (see `solvers.Online`).
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable, default="k-means++"
        Initial centers, or the method to choose them. A callable takes ``(X, n_clusters, random_state)`` and returns
        an array (k, d).
    n_init : int, default=1
        Number of restarts; the one with the lowest objective is kept. If ``init`` is an array, there is only one.
    max_iter : int, default=300
        Maximum number of passes over the rows per restart; if it is reached, one extra pass evaluates the final
        parameters.
    tol : float, default=1e-4
        Tolerance: the fit stops after a pass that lowers the objective by no more than ``tol`` times the expected
        distortion if the temperature is fixed, or ``tol`` times n_features Σw if it is learned. With 0, the fit runs
        until nothing changes.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        Distance between rows and centers. With "euclidean", centers are weighted geometric medians; with "cosine",
        they are directions.
    update : {"exact", "mean"}, default="exact"
        How centers are updated: "exact" minimizes the objective; "mean" takes the weighted mean of the rows whatever
        the distance, as in the textbook. They differ for "euclidean", where "mean" minimizes no objective and needs a
        fixed temperature.
    noise_distance : float, default=None
        Distance (squared, by default) of an additional noise cluster from every row: rows far from all centers belong
        to the noise. Memberships then sum to less than 1.
    frozen : array-like (k,) of bool, default=None
        Mask of the centers given as ``init`` that must not move.
    growing_sample : bool, default=False
        Whether the first passes use growing random samples of the rows. This is faster, but the result depends more on
        chance.
    local_search : bool, default=False
        Whether to continue with a local search from the best restart: split the clusters whose split gains most, and
        remove as many whose removal costs least, until this no longer lowers the objective. With many clusters, this
        finds better optima than restarts.
    random_state : int, RandomState or None, default=None
        Seed or random number generator for initial centers and samples.
    warm_start : bool, default=False
        Whether ``fit`` starts from the centers of the previous fit, and from its T if T is learned.
    device : str or torch.device, default=None
        Device for the computation. By default, the device of the data if it is a tensor, else the CPU.
    dtype : numpy or torch floating dtype, or its name, default=None
        Type of the centers and probabilities. By default, the data's type, and float64 for integers.
    verbose : int, default=0
        1 shows a progress bar for long fits, 2 prints the loss of every tenth pass.
    callbacks : sequence of Callback, default=None
        Callbacks, called after every pass.
    checkpoint : str, path-like or Checkpoint, default=None
        Folder for checkpoints, from which an interrupted fit can be resumed; see `Checkpoint`.
    resume : bool, default=False
        Whether ``fit`` resumes from the last checkpoint, if there is one. The result is bit for bit the same as
        without the interruption. The checkpoint is rejected if the data, a parameter or a version has changed.

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

    def _model_parameters(self, *, warm: bool) -> dict[str, Any]:
        names = ("temperature", "priors", "update", "local_search")
        parameters = {name: getattr(self, name) for name in names}
        if warm:
            parameters |= {"init_temperature": self._warm_temperature(), "init_priors": self.priors_}
        return parameters

    def _warm_temperature(self) -> Any:
        """Return T of the previous fit; the weighted mean over clusters if they differed and one T is now needed."""
        if np.ndim(self.temperature_) and not as_temperature(self.temperature).per_cluster:
            return float(np.average(self.temperature_, weights=self.cluster_weights_))
        return self.temperature_

    def _clustering(self, source: Source) -> Clustering:
        centers = as_tensor(self.cluster_centers_).to(source.device, source.dtype)
        return Clustering(
            centers,
            self.temperature_,
            as_distance(self.distance),
            priors=self.priors_,
            noise_distance=self.noise_distance,
        )

    def _set_statistics(self, result: Result) -> None:
        super()._set_statistics(result)
        t = result.temperature
        self.temperature_ = t.cpu().numpy() if isinstance(t, Tensor) else t
        self.priors_ = result.priors.cpu().numpy()
        self.free_energy_, self.entropy_ = result.free_energy, result.entropy

    def to_layer(self, *, learn_temperature: bool = False) -> SoftKMeansLayer:
        """Convert the fitted model to a PyTorch module with the same centers and temperature.

        Parameters
        ----------
        learn_temperature : bool, default=False
            Whether T is a parameter of the module, which training then changes.

        Returns
        -------
        SoftKMeansLayer
            The module; it copies the centers.

        Raises
        ------
        InputError
            If the module does not support the model: a temperature per cluster, unequal priors, or a noise cluster.

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
                "cannot convert this model to a layer, which supports one temperature, equal priors and no noise "
                "cluster: use softkmeans.export_onnx"
            )
        return SoftKMeansLayer(
            len(centers),
            centers.shape[1],
            float(self.temperature_),
            distance=self.distance,
            learn_temperature=learn_temperature,
            centroids=centers,
            device=centers.device,
            dtype=centers.dtype,
        )

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
        centers, temperature = layer.centroids.detach().cpu(), float(layer.temperature.detach())
        centers = centers.float() if centers.dtype == torch.bfloat16 else centers  # NumPy has no bfloat16
        model = cls(
            layer.n_clusters,
            temperature="auto" if layer.learn_temperature else temperature,
            distance=name_or_distance(as_distance(layer.distance)),
        )
        model.cluster_centers_, model.temperature_ = centers.numpy().copy(), temperature
        model.priors_ = np.full(len(centers), 1 / len(centers))
        model.n_features_in_ = layer.n_features
        if result is not None:
            model._set_statistics(result)
        return model
