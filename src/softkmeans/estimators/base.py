"""Base class of the estimators: scikit-learn's conventions on top of `fit`."""

from __future__ import annotations

__all__ = ["SoftClusterer"]

from abc import abstractmethod
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import Tensor

from ..callbacks import Callback, LossPrinter, ProgressBar
from ..data.block import Rows, as_tensor
from ..data.convert import Array, as_source, floating_dtype, like
from ..data.source import Source
from ..errors import CallbackError, FitInterrupted, InputError
from ..fitting.fit import fit
from ..fitting.partial_fit import FittedModel, OnlineState, partial_fit
from ..fitting.results import Result
from .predictor import Predictor
from .validation import validate_rows

# Parameters of the estimators that are passed to `fit` unchanged.
FIT_PARAMETERS = (
    "solver",
    "n_init",
    "max_iter",
    "tol",
    "distance",
    "noise_distance",
    "frozen",
    "growing_sample",
    "checkpoint",
    "resume",
)


class SoftClusterer(Predictor):
    """Base class of estimators that fit cluster centers and compute the memberships of rows.

    Subclasses implement ``_model_parameters`` and ``_clustering``, and extend ``_set_statistics``.
    """

    def __init__(
        self,
        n_clusters: int,
        *,
        solver: Any,
        init: Any,
        n_init: int,
        max_iter: int,
        tol: float,
        distance: Any,
        noise_distance: float | None,
        frozen: Any,
        growing_sample: bool,
        random_state: Any,
        warm_start: bool,
        device: Any,
        dtype: Any,
        verbose: int,
        callbacks: Any,
        checkpoint: Any,
        resume: bool,
    ) -> None:
        self.n_clusters = n_clusters
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

    @abstractmethod
    def _model_parameters(self, *, warm: bool) -> dict[str, Any]:
        """Return the parameters of `fit` besides ``FIT_PARAMETERS``; with ``warm``, also the initial values."""

    def _set_statistics(self, result: Result) -> None:
        """Set the fitted attributes whose type does not depend on that of X."""
        self.objective_, self.distortion_ = result.objective, result.distortion
        self.cluster_weights_, self.noise_weight_ = result.weight.cpu().numpy(), result.noise_weight
        self.n_iter_, self.converged_, self.history_ = result.n_iter, result.converged, result.history
        self.restarts_ = result.restarts

    def fit(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> Self:
        """Fit the centers to the data.

        Parameters
        ----------
        X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame, or Source
            Rows of finite real numbers. They are never modified, and copied only where `data.as_source` says so. Rows
            that are not in memory (Dask collections, or a Source such as `data.scan` returns) are read block by block;
            the fit then sets no ``labels_``.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows, 0 or more. A weight of 2 is equivalent to a repeated row.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InputError
            A ``ValueError``, if the data or a parameter is invalid.
        FitInterrupted
            A ``KeyboardInterrupt``, on Ctrl-C. Then, and if a callback raises an exception, the fitted attributes hold
            the best centers so far.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]]).labels_
        array([1, 1, 0, 0, 0])
        """
        rows = validate_rows(self, X, reset=True)
        source = as_source(rows, sample_weight, device=self.device)
        floating_dtype(self.dtype, rows)  # raises for an invalid dtype, before the expensive work
        result, failure = self._fit_result(source)
        self._progress: OnlineState | None = None  # the state of earlier partial_fit calls is obsolete
        self._set_fitted_attributes(result, X, rows, source)
        if failure is not None:
            raise failure
        return self

    def fit_predict(
        self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None
    ) -> Array:
        """Fit the centers and return the most probable cluster (n,) of each row.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        labels : ndarray, Tensor or, if X is a Dask collection, lazy Dask array (n,) of int64
            Cluster indices; -1 for noise.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> SoftKMeans(2, random_state=0).fit_predict([[0.0], [0.2], [5.0], [5.1], [5.2]])
        array([1, 1, 0, 0, 0])
        """
        self.fit(X, y, sample_weight)
        return self.labels_ if hasattr(self, "labels_") else self.predict(X)

    def partial_fit(
        self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None
    ) -> Self:
        """Update the model with a batch of rows by online EM.

        The first call chooses initial centers from the batch. The algorithm is online EM whatever ``solver`` is; set
        ``solver=softkmeans.solvers.Online(forgetting=0.05)`` for data whose distribution changes over time.

        Parameters
        ----------
        X : array-like, sparse matrix, frame, Tensor (n, d) or Source
            A batch of rows. The first batch needs at least ``n_clusters`` rows, and should have many for each cluster.
            If a Source is not in memory, each of its blocks is a batch. Batches should be random samples of the data:
            shuffle sorted streams.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows, on the same scale in all calls: the weight of the first batch is the unit of time.

        Returns
        -------
        self
            The updated estimator. ``labels_``, ``inertia_``, ``cluster_weights_``, ``objective_`` and the other sums
            describe X at the new centers. ``history_`` has one entry, for X. ``n_iter_`` counts the calls, in addition
            to the passes of a previous fit. ``converged_`` is False. The clusters keep their order.

        Raises
        ------
        InputError
            A ``ValueError``, if the data or a parameter is invalid. The model is then unchanged.

        Notes
        -----
        After ``fit``, or after `load` of a fitted model, the fit counts as a first batch of all its rows. ``n_init``,
        ``max_iter``, ``tol``, ``growing_sample``, ``local_search``, ``callbacks`` and checkpoints have no effect. Of a
        `temperature.Schedule`, the last temperature is used. During the first batches, the centers may stay unchanged
        until there are rows of every cluster (see `softkmeans.solvers.Online`).

        Examples
        --------
        >>> import numpy as np
        >>> from softkmeans import SoftKMeans
        >>> rng, model = np.random.default_rng(0), SoftKMeans(2, random_state=0)
        >>> for _ in range(20):
        ...     model = model.partial_fit(rng.normal([[1.0], [5.0]] * 50))
        >>> np.sort(model.cluster_centers_, axis=0).round()
        array([[1.],
               [5.]])
        """
        fitted = FittedModel.of(vars(self))
        rows = validate_rows(self, X, reset=fitted is None)
        source = as_source(rows, sample_weight, device=self.device)
        floating_dtype(self.dtype, rows)
        names = ("solver", "distance", "noise_distance", "frozen")
        model_parameters = self._model_parameters(warm=fitted is not None)
        result, progress = partial_fit(
            source,
            self.n_clusters,
            fitted,
            init=self.init,
            random_state=self._seed(source) if fitted is None else None,
            **{name: getattr(self, name) for name in names},
            **{name: value for name, value in model_parameters.items() if name != "local_search"},
        )
        n_iter = getattr(self, "n_iter_", 0) + 1
        steps = tuple(step._replace(n_iter=n_iter) for step in result.history)
        self._set_fitted_attributes(result._replace(n_iter=n_iter, history=steps), X, rows, source)
        self._progress = progress
        return self

    def _fit_result(self, source: Source) -> tuple[Result, BaseException | None]:
        """Return the result of a fit, and the exception that ended it early, if any."""
        warm = self.warm_start and hasattr(self, "cluster_centers_")
        if warm:
            shape, expected = tuple(self.cluster_centers_.shape), (self.n_clusters, source.n_features)
            if shape != expected:
                raise InputError(
                    f"warm_start=True with centers of shape {shape} from the previous fit, expected {expected}: "
                    "set it to False"
                )
        try:
            return fit(
                source,
                self.n_clusters,
                init=as_tensor(self.cluster_centers_) if warm else self.init,
                random_state=self._seed(source),
                callbacks=[*_verbose_callbacks(self.verbose), *(self.callbacks or ())],
                **{name: getattr(self, name) for name in FIT_PARAMETERS},
                **self._model_parameters(warm=warm),
            ), None
        except FitInterrupted as interruption:
            return interruption.result, interruption
        except CallbackError as failure:
            return failure.result, failure.__cause__

    def _seed(self, source: Source) -> int | None:
        """Draw a seed, or return None if `fit` must draw it, so that checkpoints and several processes agree on it."""
        drawn_by_fit = self.random_state is None and (self.checkpoint is not None or not source.in_memory)
        return None if drawn_by_fit else check_random_state(self.random_state).randint(2**31)

    def _set_fitted_attributes(self, result: Result, X: Any, rows: Rows | Source, source: Source) -> None:
        """Set the fitted attributes, as arrays or tensors like X."""
        centers = result.centers.to(floating_dtype(self.dtype, rows))
        if not centers.isfinite().all():
            raise InputError(f"dtype={centers.dtype} cannot represent the centers, which overflow: use a wider dtype")
        self.cluster_centers_ = like(X, centers)
        self._set_statistics(result)
        clustering = self._clustering(source)
        if not source.in_memory:
            self.inertia_ = clustering.inertia(source)
            if hasattr(self, "labels_"):
                delattr(self, "labels_")  # the labels of an earlier fit
            return
        labels, self.inertia_ = clustering.nearest(source)
        self.labels_ = like(X, labels if clustering.is_plain else clustering.labels(source))


def _verbose_callbacks(verbose: int) -> list[Callback]:
    """Return the callbacks for a value of ``verbose``."""
    if verbose == 1:
        return [ProgressBar()]
    return [LossPrinter()] if verbose > 1 else []
