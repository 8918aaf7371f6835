"""What the estimators share: scikit-learn's conventions, over `fit` and `Clustering`."""

from __future__ import annotations

__all__ = ["SoftClusterer"]

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .blocks import Rows, as_tensor
from .callbacks import Callback, LossPrinter, ProgressBar
from .checks import check_count, check_share
from .data.arrays import Array, as_source, floating_dtype, like
from .data.lazy import by_partition
from .data.source import Source
from .data.tables import is_dask
from .errors import CallbackError, FitInterrupted, InputError
from .fit import fit
from .incremental import Fitted, Progress, learn
from .inference import Clustering
from .results import Result
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


class SoftClusterer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator of centres that gives every row a membership in every cluster.

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

    @abstractmethod
    def _clustering(self, source: Source) -> Clustering:
        """Make ready what was fitted to look at a source's rows."""

    def _keep_figures(self, result: Result) -> None:
        """Set the fitted attributes that are no arrays of the kind of X."""
        self.objective_, self.distortion_ = result.objective, result.distortion
        self.cluster_weights_, self.noise_weight_ = result.weight.cpu().numpy(), result.noise_weight
        self.n_iter_, self.converged_, self.history_ = result.n_iter, result.converged, result.history
        self.restarts_ = result.restarts

    def fit(self, X: ArrayLike | Tensor, y: Any = None, sample_weight: ArrayLike | Tensor | None = None) -> Self:
        """Find the centres.

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
        self._progress: Progress | None = None  # what was learned batch by batch is of no use now
        self._keep(result, X, rows, source)
        if failure is not None:
            raise failure
        return self

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
            these are those of X at the centres reached; ``history_`` has one entry, of X; ``n_iter_`` counts the calls,
            on from the passes of a fit; ``converged_`` is False. Clusters keep their numbers.

        Raises
        ------
        InputError
            A ``ValueError``, if the data or a parameter can't be used. The model is then as it was.

        Notes
        -----
        After ``fit``, and after `load` of a model that was fitted, the fit counts as a first batch of all its rows.
        ``n_init``, ``max_iter``, ``tol``, ``growing_sample``, ``local_search``, ``callbacks`` and checkpoints have no
        meaning here, and of a `temperature.Schedule` the last temperature counts. The first batches may leave centres
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
        fitted = Fitted.of(vars(self))
        rows = validated(self, X, reset=fitted is None)
        source = as_source(rows, sample_weight, device=self.device)
        floating_dtype(self.dtype, rows)
        names, member = ("solver", "distance", "noise_distance", "frozen"), self._member(warm=fitted is not None)
        result, progress = learn(
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
            found = f"centres of shape {tuple(self.cluster_centers_.shape)} from the last fit"
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
            raise InputError(f"the centres are too large for {centers.dtype}: give a dtype of more bits")
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

    def predict(self, X: ArrayLike | Tensor, reject_below: float | None = None) -> Array:
        """Give the likeliest cluster of each row.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        reject_below : float, optional
            From 0 to 1: rows whose largest membership is less get -1.

        Returns
        -------
        labels : ndarray, Tensor or, if X is Dask's, lazy Dask array (n,) of int64
            Numbers of clusters; -1 also where a row likelier belongs to none, if there is a cluster of noise.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.predict([[0.3], [2.6]], reject_below=0.9)
        array([ 1, -1])
        """
        if reject_below is not None:
            check_share("reject_below", reject_below)
        return self._answer(X, lambda clustering, source: clustering.labels(source, reject_below))

    def predict_proba(self, X: ArrayLike | Tensor, top: int | None = None) -> Array | csr_array:
        """Give the membership of each row in every cluster.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        top : int, optional
            How many of the largest memberships of a row to give, where all would be too many to hold.

        Returns
        -------
        resp : ndarray, Tensor or Dask array (n, k), or SciPy csr_array (n, k) with ``top``
            Rows sum to 1; to less where there is a cluster of noise, or memberships were left out.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.predict_proba([[2.5]]).round(2)
        array([[0.27, 0.73]])
        >>> model.predict_proba([[2.5]], top=1).toarray().round(2)
        array([[0.  , 0.73]])
        """
        if top is None:
            dtype = self._dtype  # alone: it may travel where the rows are
            return self._answer(X, lambda clustering, source: clustering.resp(source, dtype))
        if is_dask(X):
            raise InputError(f"top={top} gives one SciPy matrix, and X is Dask's: give one partition at a time")
        clustering, source = self._look_at(X)
        k = len(clustering.centers)
        check_count("top", top, at_most=(k, "clusters there are"))
        dtype = self._dtype if self._dtype == torch.float64 else torch.float32  # SciPy has none of half the size
        values, labels = (part.cpu().numpy() for part in clustering.top(source, dtype, top))
        rows = range(0, labels.size + 1, top)
        found = csr_array((values.ravel(), labels.ravel(), list(rows)), shape=(len(labels), k))
        found.sort_indices()
        return found

    def transform(self, X: ArrayLike | Tensor) -> Array:
        """Give the distance of each row to every centre, in the data's units.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.

        Returns
        -------
        distances : ndarray, Tensor or Dask array (n, k)
            Euclidean distances, not squared, where the distance is "sqeuclidean" or "euclidean"; cosine distances else.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.transform([[0.3]]).round(2)
        array([[4.8, 0.2]])
        """
        dtype = self._dtype
        return self._answer(X, lambda clustering, source: clustering.distances(source, dtype))

    def _answer(self, X: ArrayLike | Tensor, of: Callable[[Clustering, Source], Tensor]) -> Array:
        """Give what is found of each row, as an array of the kind of X: of Dask's rows one that is not computed yet."""
        if not is_dask(X):
            clustering, source = self._look_at(X)
            return like(X, of(clustering, source))
        check_is_fitted(self)
        example = as_source(as_tensor(self.cluster_centers_).cpu())
        clustering = self._clustering(example)
        return by_partition(validated(self, X, reset=False), partial(of, clustering), of(clustering, example)[:0])

    def _look_at(
        self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None
    ) -> tuple[Clustering, Source]:
        check_is_fitted(self)
        source = as_source(validated(self, X, reset=False), sample_weight, device=self.device)
        return self._clustering(source), source

    @property
    def _dtype(self) -> torch.dtype:
        """Type of what is answered: that of the centres."""
        check_is_fitted(self)
        return as_tensor(self.cluster_centers_).dtype

    def _total(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None) -> tuple[float, float]:
        """Weighted sum over the rows of X of what the rule maximises, and Σw."""
        clustering, source = self._look_at(X, sample_weight)
        return clustering.total(source)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)


def _watchers(verbose: int) -> list[Callback]:
    """Give what ``verbose`` asks for."""
    return [ProgressBar()] if verbose == 1 else [LossPrinter()] if verbose > 1 else []
