"""Base class of the estimators: scikit-learn's conventions on top of fits and fitted models."""

from __future__ import annotations

__all__ = ["SoftClusterer"]

from dataclasses import fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags
from torch import Tensor

from .._utils.checks import check_count, check_fraction
from .._utils.few_numbers import are_finite
from .._utils.random import draw_seed
from ..arrays.model import ArrayModel
from ..checkpoint.resume import as_callbacks
from ..data.block import as_tensor
from ..data.convert import Array, floating_dtype, like
from ..data.source import Source
from ..distances import as_distance
from ..errors import CallbackError, FitInterrupted, InputError
from ..fitting.fit import fit_source
from ..fitting.monitor import verbose_callbacks
from ..fitting.partial_fit import FittedModel, OnlineState, partial_fit
from ..fitting.results import Result
from ..model.assignment import AssignmentRule, as_assignment
from ..settings import RunOptions, Settings
from .few_rows import few_rows
from .fitted_model import Clustering, clustering_of, warm_temperature
from .notebook import NotebookMixin
from .row_map import map_rows
from .validation import check_fitted, check_warm_start, is_lazy, validate_source


class SoftClusterer(NotebookMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of estimators that fit cluster centers and compute the memberships of rows.

    Subclasses define ``__init__``, with parameters that are fields of `Settings` and `RunOptions`, and
    ``_assignment_rule`` if ``assignment`` is not one of them.
    """

    n_clusters: int
    assignment: Any
    distance: Any
    noise_distance: float | None
    init: Any
    random_state: Any
    warm_start: bool
    device: Any
    dtype: Any
    verbose: int
    callbacks: Any
    checkpoint: Any
    resume: bool

    def _settings(self, *, warm: bool) -> Settings:
        """Return the settings of a fit; with ``warm``, it starts from the fitted model."""
        own = vars(self)  # parameters have the names of arguments; `get_params` looks for these at every call
        values = {field.name: own[field.name] for field in fields(Settings) if field.name in own}
        values["assignment"] = rule = self._assignment_rule()
        if warm and rule.uses_temperature:
            weights = vars(self).get("cluster_weights_")
            values["init_temperature"] = warm_temperature(values["temperature"], self.temperature_, weights)
            values["init_priors"] = self.priors_
        return Settings(**values)

    def _assignment_rule(self) -> AssignmentRule:
        """Return the assignment rule."""
        return as_assignment(self.assignment)

    def _set_statistics(self, result: Result) -> None:
        """Set the fitted attributes whose type does not depend on that of X."""
        self.objective_, self.distortion_ = result.objective, result.distortion
        self.cluster_weights_, self.noise_weight_ = result.weight.cpu().numpy(), result.noise_weight
        self.n_iter_, self.converged_, self.history_ = result.n_iter, result.converged, result.history
        self.restarts_, self._provenance = result.restarts, None  # how an earlier fit was made is obsolete
        if self._assignment_rule().uses_temperature:
            t: Any = result.temperature
            self.temperature_ = t.cpu().numpy() if isinstance(t, Tensor) else t
            self.priors_ = result.priors.cpu().numpy()
            self.free_energy_, self.entropy_ = result.free_energy, result.entropy

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
        source = validate_source(self, X, sample_weight, reset=True)
        floating_dtype(self.dtype, source.given_rows)  # raises for an invalid dtype, before the expensive work
        failure: BaseException | None = None
        try:
            result = fit_source(source, self.n_clusters, self._start_settings(source), self._options(source))
        except FitInterrupted as interruption:
            result, failure = interruption.result, interruption
        except CallbackError as error:
            result, failure = error.result, error.__cause__
        self._progress: OnlineState | None = None  # of earlier partial_fit calls
        self._set_fitted_attributes(result, X, source)
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
        ``max_iter``, ``tol``, ``empty_clusters``, ``growing_sample``, ``local_search``, ``callbacks`` and checkpoints
        have no effect. Of a `temperature.Schedule`, the last temperature is used. During the first batches, the centers
        may stay unchanged until there are rows of every cluster (see `softkmeans.solvers.Online`).

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
        source = validate_source(self, X, sample_weight, reset=fitted is None)
        floating_dtype(self.dtype, source.given_rows)
        settings = self._settings(warm=fitted is not None)
        seed = self._seed(source) if fitted is None else None
        result, progress = partial_fit(source, self.n_clusters, fitted, settings, seed)
        n_iter = getattr(self, "n_iter_", 0) + 1
        steps = tuple(step._replace(n_iter=n_iter) for step in result.history)
        self._set_fitted_attributes(result._replace(n_iter=n_iter, history=steps), X, source)
        self._progress = progress
        return self

    def predict(self, X: ArrayLike | Tensor, reject_below: float | None = None) -> Array:
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        reject_below : float, optional
            Threshold from 0 to 1: rows whose largest membership is smaller get the label -1.

        Returns
        -------
        labels : ndarray, Tensor or, if X is a Dask collection, lazy Dask array (n,) of int64
            Cluster indices; with a noise cluster, -1 also for rows that are most probably noise.

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.predict([[0.3], [2.6]], reject_below=0.9)
        array([ 1, -1])
        """
        if reject_below is not None:
            check_fraction("reject_below", reject_below)
        return map_rows(
            self,
            X,
            lambda clustering, source: clustering.labels(source, reject_below),
            lambda model, rows: model.labels(rows, reject_below),
        )

    def predict_proba(self, X: ArrayLike | Tensor, top: int | None = None) -> Array | csr_array:
        """Return the membership of each row in every cluster.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.
        top : int, optional
            Number of memberships to return for each row, the largest ones; the others are omitted. This saves memory
            if k is large.

        Returns
        -------
        resp : ndarray, Tensor or Dask array (n, k), or SciPy csr_array (n, k) with ``top``
            Memberships. Rows sum to 1, or to less with a noise cluster or with ``top``.

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
            dtype = self._dtype  # a local variable, so that Dask need not send the estimator to its workers
            return map_rows(self, X, lambda clustering, source: clustering.resp(source, dtype), ArrayModel.memberships)
        if is_lazy(X):
            problem, hint = "is not supported with Dask collections", "predict one partition at a time"
            raise InputError(problem, parameter="top", value=top, hint=hint)
        clustering, source = self._prepare(X)
        check_count("top", top, at_most=(len(clustering.centers), "clusters"))
        dtype = self._dtype if self._dtype == torch.float64 else torch.float32  # SciPy does not support half precision
        return clustering.top(source, dtype, top)

    def transform(self, X: ArrayLike | Tensor) -> Array:
        """Return the distance of each row to every center, in the data's units.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or Tensor (n, d)
            Rows.

        Returns
        -------
        distances : ndarray, Tensor or Dask array (n, k)
            Distances of the model's kind; the Euclidean distance, not its square, if it is "sqeuclidean".

        Examples
        --------
        >>> from softkmeans import SoftKMeans
        >>> model = SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
        >>> model.transform([[0.3]]).round(2)
        array([[4.8, 0.2]])
        """
        dtype = self._dtype
        return map_rows(self, X, lambda clustering, source: clustering.distances(source, dtype))

    def _prepare(
        self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None
    ) -> tuple[Clustering, Source]:
        """Return the fitted model and the validated rows of X as a Source."""
        check_fitted(self)
        source = validate_source(self, X, sample_weight, reset=False)
        return self._clustering(source), source

    @property
    def _dtype(self) -> torch.dtype:
        """Type of the memberships and distances that are returned: that of the centers."""
        check_fitted(self)
        centers = self.cluster_centers_
        return floating_dtype(None, centers if isinstance(centers, np.ndarray) else as_tensor(centers))

    def _total_objective(self, X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None) -> tuple[float, float]:
        """Return the weighted sum of `Clustering.objective` over the rows of X, and Σw."""
        clustering, source = self._prepare(X, sample_weight)
        return clustering.total_objective(source)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _start_settings(self, source: Source) -> Settings:
        """Return the settings of a fit, which starts from the previous fit if ``warm_start`` asks for it."""
        warm = self.warm_start and hasattr(self, "cluster_centers_")
        settings = self._settings(warm=warm)
        if not warm:
            return settings
        check_warm_start(self, source)
        return replace(settings, init=as_tensor(self.cluster_centers_))

    def _options(self, source: Source) -> RunOptions:
        """Return the options of a fit."""
        return RunOptions(
            random_state=self._seed(source),
            callbacks=[*verbose_callbacks(self.verbose), *as_callbacks(self.callbacks)],
            checkpoint=self.checkpoint,
            resume=self.resume,
        )

    def _clustering(self, source: Source) -> Clustering:
        """Return the fitted model as a `Clustering`, on the device and with the dtype of a source."""
        fitted = vars(self)
        return clustering_of(
            as_tensor(self.cluster_centers_).to(source.device, source.dtype),
            fitted.get("temperature_", 1.0),
            as_distance(self.distance),
            priors=fitted.get("priors_"),
            noise_distance=self.noise_distance,
            rule=self._assignment_rule(),
        )

    def _seed(self, source: Source) -> int | None:
        """Draw a seed, or return None if `fit` must draw it, so that checkpoints and several processes agree on it."""
        drawn_by_fit = self.random_state is None and (self.checkpoint is not None or not source.in_memory)
        return None if drawn_by_fit else draw_seed(self.random_state)

    def _set_fitted_attributes(self, result: Result, X: Any, source: Source) -> None:
        """Set the fitted attributes, as arrays or tensors like X."""
        centers = result.centers.to(floating_dtype(self.dtype, source.given_rows))
        if not are_finite(centers):
            problem = "cannot represent the centers, which overflow"
            raise InputError(problem, parameter="dtype", value=centers.dtype, hint="use a wider dtype")
        self.cluster_centers_ = like(X, centers)
        self._set_statistics(result)
        clustering = self._clustering(source)
        if not source.in_memory:
            self.inertia_ = clustering.inertia(source)
            self.__dict__.pop("labels_", None)  # those of an earlier fit
            return
        nearest, self.inertia_ = clustering.nearest(source)
        if few := few_rows(self, source):  # as `predict` does, so that rounding is the same
            self.labels_ = like(X, few[0].labels(few[1]))
        else:
            self.labels_ = like(X, nearest if clustering.is_plain else clustering.labels(source))
