"""What the estimators share: how they are fitted, by scikit-learn's conventions over `fit`."""

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
from .validation import validated

# Parameters that are handed on as they are.
SETTINGS = (
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
    """An estimator of centers that gives every row a membership in every cluster.

    What sets one apart from another is said in three places: ``_member``, ``_clustering`` and ``_keep_figures``.
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
    def _member(self, *, warm: bool) -> dict[str, Any]:
        """Give what `fit` is to know besides ``SETTINGS``; in a warm start, what to begin with."""

    def _keep_figures(self, result: Result) -> None:
        """Set the fitted attributes that are no arrays of the kind of X."""
        self.objective_, self.distortion_ = result.objective, result.distortion
        self.cluster_weights_, self.noise_weight_ = result.weight.cpu().numpy(), result.noise_weight
        self.n_iter_, self.converged_, self.history_ = result.n_iter, result.converged, result.history
        self.restarts_ = result.restarts

    def fit(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> Self:
        """Find the centers.

        Parameters
        ----------
        X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame, or Source
            Rows of finite real numbers; never changed, and copied only where `data.as_source` says so. Rows that are
            not in memory, Dask's or those of a Source such as `data.scan` gives, are gone through block by block, and
            leave no ``labels_``.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

        Returns
        -------
        self
            The fitted estimator itself.

        Raises
        ------
        InputError
            A ``ValueError``, if the data or a parameter can't be used.
        FitInterrupted
            A ``KeyboardInterrupt``, on Ctrl-C. Then, and when a callback raises, attributes hold the best so far.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]]).labels_
        array([1, 1, 0, 0, 0])
        """
        rows = validated(self, X, reset=True)
        source = as_source(rows, sample_weight, device=self.device)
        floating_dtype(self.dtype, rows)  # refuse a wrong one before the work
        result, failure = self._result(source)
        self._progress: OnlineState | None = None  # what was learned batch by batch is of no use now
        self._keep(result, X, rows, source)
        if failure is not None:
            raise failure
        return self

    def fit_predict(
        self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None
    ) -> Array:
        """Fit, and give the likeliest cluster (n,) of each row.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

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
        """Step by online EM, from what was learned before or, in the first call, from a start that X gives.

        Whatever ``solver`` is; ``solver=softkmeans.solvers.Online(forgetting=0.05)`` follows rows that change.

        Parameters
        ----------
        X : array-like, sparse matrix, frame, Tensor (n, d) or Source
            A batch of rows; the first needs ``n_clusters`` rows, and is better if it has many for each cluster. A
            Source of rows that are not in memory is a batch for every block. Batches are best of mixed rows: shuffle
            streams that are sorted.
        y : None
            Ignored.
        sample_weight : array-like or Tensor (n,), optional
            Weights of the rows, on the same scale in all calls: that of the first batch is the unit of time.

        Returns
        -------
        self
            The estimator itself. ``labels_``, ``inertia_``, ``cluster_weights_``, ``objective_`` and all figures like
            these are those of X at the centers reached; ``history_`` has one entry, of X; ``n_iter_`` counts the calls,
            on from the passes of a fit; ``converged_`` is False. Clusters keep their numbers.

        Raises
        ------
        InputError
            A ``ValueError``, if the data or a parameter can't be used. The model is then as it was.

        Notes
        -----
        After ``fit``, and after `load` of a model that was fitted, the fit counts as a first batch of all its rows.
        ``n_init``, ``max_iter``, ``tol``, ``growing_sample``, ``local_search``, ``callbacks`` and checkpoints have no
        meaning here, and of a `temperature.Schedule` the last temperature counts. The first batches may leave centers
        where they are while rows of some cluster are still missing (see `softkmeans.solvers.Online`).

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
        rows = validated(self, X, reset=fitted is None)
        source = as_source(rows, sample_weight, device=self.device)
        floating_dtype(self.dtype, rows)
        names, member = ("solver", "distance", "noise_distance", "frozen"), self._member(warm=fitted is not None)
        result, progress = partial_fit(
            source,
            self.n_clusters,
            fitted,
            init=self.init,
            random_state=self._seed(source) if fitted is None else None,
            **{name: getattr(self, name) for name in names},
            **{name: value for name, value in member.items() if name != "local_search"},
        )
        n_iter = getattr(self, "n_iter_", 0) + 1
        steps = tuple(step._replace(n_iter=n_iter) for step in result.history)
        self._keep(result._replace(n_iter=n_iter, history=steps), X, rows, source)
        self._progress = progress
        return self

    def _result(self, source: Source) -> tuple[Result, BaseException | None]:
        """Give what a fit found, and what ended it before its time, if something did."""
        warm = self.warm_start and hasattr(self, "cluster_centers_")
        if warm and tuple(self.cluster_centers_.shape) != (self.n_clusters, source.n_features):
            found = f"centers of shape {tuple(self.cluster_centers_.shape)} from the last fit"
            raise InputError(
                f"warm_start has {found}, expected {(self.n_clusters, source.n_features)}: set it to False"
            )
        try:
            return fit(
                source,
                self.n_clusters,
                init=as_tensor(self.cluster_centers_) if warm else self.init,
                random_state=self._seed(source),
                callbacks=[*_watchers(self.verbose), *(self.callbacks or ())],
                **{name: getattr(self, name) for name in SETTINGS},
                **self._member(warm=warm),
            ), None
        except FitInterrupted as interrupted:
            return interrupted.result, interrupted
        except CallbackError as stopped:
            return stopped.result, stopped.__cause__

    def _seed(self, source: Source) -> int | None:
        """Draw a seed; where one is to be the same in several processes, and none is given, the fit sees to it."""
        own = self.random_state is None and (self.checkpoint is not None or not source.in_memory)
        return None if own else check_random_state(self.random_state).randint(2**31)

    def _keep(self, result: Result, X: Any, rows: Rows | Source, source: Source) -> None:
        """Set the fitted attributes, arrays of the kind of X."""
        centers = result.centers.to(floating_dtype(self.dtype, rows))
        if not centers.isfinite().all():
            raise InputError(f"the centers are too large for {centers.dtype}: give a dtype of more bits")
        self.cluster_centers_ = like(X, centers)
        self._keep_figures(result)
        clustering = self._clustering(source)
        if not source.in_memory:
            self.inertia_ = clustering.inertia(source)
            if hasattr(self, "labels_"):
                delattr(self, "labels_")  # those of rows fitted before
            return
        labels, self.inertia_ = clustering.harden(source)
        self.labels_ = like(X, labels if clustering.is_plain else clustering.labels(source))


def _watchers(verbose: int) -> list[Callback]:
    """Give what ``verbose`` asks for."""
    return [ProgressBar()] if verbose == 1 else [LossPrinter()] if verbose > 1 else []
