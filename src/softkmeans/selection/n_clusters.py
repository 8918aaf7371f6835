"""Selection of the number of clusters, by several criteria."""

from __future__ import annotations

__all__ = ["CRITERIA", "Selection", "select_n_clusters"]

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.checks import check_count, check_known
from ..annealing import annealing_path
from ..data.convert import as_source
from ..data.frames import as_rows
from ..data.ordering import count_distinct
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from ..errors import InputError, MissingExtraError, warn
from ..estimators.soft_kmeans import SoftKMeans
from ..metrics import fuzzy_silhouette, modified_partition_coefficient, xie_beni
from .fits import fit_each_number, fit_folds
from .information_criteria import Candidate, bic, candidates, log_likelihoods

Values = NDArray[np.float64]
MIN_RELATIVE_TEMPERATURE = 1e-12  # of the critical temperature; an annealing path is not followed below it


def _argmin(values: Values, errors: Values) -> int:
    """Return the index of the smallest value."""
    return int(np.nanargmin(values))


def _argmax(values: Values, errors: Values) -> int:
    """Return the index of the largest value."""
    return int(np.nanargmax(values))


def _first_within_error(values: Values, errors: Values) -> int:
    """Return the first index whose value is within a standard error of the largest one (Breiman et al. 1984)."""
    best = int(np.nanargmax(values))
    return int(np.argmax(values >= values[best] - errors))


# For each criterion, a function that returns the index of the best of its values (m,), given the values and the
# standard errors (m,) of their differences from the best one.
CRITERIA: dict[str, Callable[[Values, Values], int]] = {
    "bic": _argmin,
    "icl": _argmin,
    "held_out": _first_within_error,
    "fuzzy_silhouette": _argmax,
    "xie_beni": _argmin,
    "partition_coefficient": _argmax,
    "lifetime": _argmax,
}


class Selection(NamedTuple):
    """The selected number of clusters, with the choice and the scores of each criterion.

    Attributes
    ----------
    n_clusters : int
        The selected number of clusters.
    criterion : str
        The criterion that selected it.
    choices : dict of str to int
        The number of clusters that each criterion selects.
    confidence : float
        Fraction of resamples of the rows for which BIC selects the same number, from 0 to 1.
    shape : {"spherical", "diag", "tied"}
        The shape of clusters with the best BIC: spherical, stretched along the features, or stretched in any direction.
        If it is not "spherical", use ``temperature="calibrated"`` to avoid overconfident memberships.
    scores : dict of str to ndarray (m,)
        The columns of ``table``.
    models : dict of int to SoftKMeans
        The fitted model for each number of clusters.
    """

    n_clusters: int
    criterion: str
    choices: dict[str, int]
    confidence: float
    shape: str
    scores: dict[str, NDArray[Any]]
    models: dict[int, SoftKMeans]

    @property
    def table(self) -> Any:
        """The scores as a frame of pandas, Polars or PyArrow: the first of these that is installed."""
        for backend in ("pandas", "polars", "pyarrow"):
            try:
                return nw.from_dict(self.scores, backend=backend).to_native()
            except ImportError:
                continue
        raise MissingExtraError("a table", "pyarrow", "files")

    @property
    def model(self) -> SoftKMeans:
        """The model with the selected number of clusters."""
        return self.models[self.n_clusters]

    def __repr__(self) -> str:
        return (
            f"Selection(n_clusters={self.n_clusters}, criterion={self.criterion!r}, confidence={self.confidence:.2f})"
        )


def select_n_clusters(
    X: ArrayLike | Tensor,
    k_range: Sequence[int] = range(1, 11),
    *,
    estimator: SoftKMeans | None = None,
    criterion: str = "bic",
    cv: int = 5,
    path: bool = True,
    n_resamples: int = 100,
    sample_weight: ArrayLike | Tensor | None = None,
    random_state: int | np.random.Generator | None = None,
    on_fit: Callable[[int], Any] | None = None,
) -> Selection:
    """Fit several numbers of clusters, and select the best one by a criterion.

    Each number is fitted twice, from a new initialization and from the centers of the previous number, and the fit with
    the higher likelihood is kept. BIC, ICL and the held-out likelihood are computed for clusters of three shapes:
    spherical, stretched along the features, and stretched in any direction, with one covariance for all clusters (see
    `softkmeans.selection.covariance`). The shape with the best BIC is used for all numbers of clusters. So one cluster
    of correlated features is recognized as one, which a mixture of spherical clusters would split into many.

    Parameters
    ----------
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows of finite real numbers.
    k_range : sequence of int, default=range(1, 11)
        Numbers of clusters to try, in increasing order.
    estimator : SoftKMeans, optional
        Template whose parameters are used for every fit; ``SoftKMeans(local_search=True)`` by default. The temperature
        and, if learned, the priors are learned again for each number.
    criterion : {"bic", "icl", "held_out", "fuzzy_silhouette", "xie_beni", "partition_coefficient", "lifetime"}
        The criterion that selects, "bic" by default; the table contains all of them.

        - "bic": Bayesian information criterion; "icl": BIC plus twice the entropy (Biernacki et al. 2000). Lower is
          better.
        - "held_out": mean log-likelihood of rows that are not used in the fit; selects the smallest number of clusters
          that is within a standard error of the best.
        - "fuzzy_silhouette", "xie_beni", "partition_coefficient" (the modified one): see `softkmeans.metrics`. They are
          not defined for one cluster.
        - "lifetime": length of the interval of log T in which the annealing path has this number of clusters, up to
          the end of the path.
    cv : int, default=5
        Number of folds of the cross-validation; 0 disables it. Rows without weight are in no fold.
    path : bool, default=True
        Whether to compute the annealing path.
    n_resamples : int, default=100
        Number of resamples of the rows for ``confidence``.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.
    random_state : int, numpy Generator or None
        Source of randomness for initialization, folds and resamples.
    on_fit : callable, optional
        Called with each number of clusters, after its fit.

    Returns
    -------
    Selection
        The selected number, the choices and scores of all criteria, and the models.

    Raises
    ------
    InputError
        If the data or a parameter is invalid: for example if ``k_range`` is empty, not increasing, or contains more
        clusters than there are distinct rows.

    References
    ----------
    Schwarz, "Estimating the dimension of a model", Annals of Statistics 1978. Biernacki, Celeux & Govaert, "Assessing a
    mixture model for clustering with the integrated completed likelihood", IEEE TPAMI 2000. Kishino, Miyata & Hasegawa,
    "Maximum likelihood inference of protein phylogeny", J. Mol. Evol. 1990, for the resampling of likelihoods.

    Examples
    --------
    >>> from softkmeans import make_blobs, select_n_clusters
    >>> X, _ = make_blobs(400, 2, 4, cluster_std=0.5, random_state=2)
    >>> select_n_clusters(X, range(1, 7), random_state=0)
    Selection(n_clusters=4, criterion='bic', confidence=1.00)
    """
    template = SoftKMeans(local_search=True) if estimator is None else estimator
    source = as_source(X, sample_weight)
    _check_settings(source, template, criterion, cv, path, n_resamples)
    ks = _check_k_range(source, k_range)
    rng = np.random.default_rng(random_state)
    models = fit_each_number(X, source, ks, template, sample_weight, rng, on_fit)
    options = candidates(source, models)
    sums, weight = log_likelihoods(source, options, n_resamples, rng)
    bic_values = bic(options, sums, weight).numpy()  # (1 + n_resamples, options)
    shape, bic_by_shape = _choose_shape(options, bic_values[0])
    scores: dict[str, NDArray[Any]] = {"n_clusters": np.array(ks), "bic": bic_by_shape[shape]}
    scores["icl"] = scores["bic"] + 2 * np.array([model.entropy_ for model in models.values()])
    if cv:
        scores |= _held_out(X, models, shape, cv, sample_weight, rng)
    scores |= _soft_indices(X, models, sample_weight)
    if path:
        lifetimes = _lifetimes(source, models)
        scores["lifetime"] = np.array([math.nan if k == 1 else lifetimes.get(k, 0.0) for k in ks])
    if len(bic_by_shape) > 1:
        scores |= {f"bic_{name}": values for name, values in bic_by_shape.items()}
    scores["temperature"] = np.array([_mean_temperature(model) for model in models.values()])
    scores["inertia"] = np.array([model.inertia_ for model in models.values()])
    choices = _choices(ks, scores)
    if criterion not in choices:
        raise InputError(
            f"criterion={criterion!r} has no value for k_range={ks}: choose another, or add numbers of clusters"
        )
    resampled_choices = np.array([option.n_clusters for option in options])[np.nanargmin(bic_values[1:], 1)]
    confidence = float((resampled_choices == choices[criterion]).mean())
    return Selection(choices[criterion], criterion, choices, confidence, shape, scores, models)


def _check_settings(source: Source, template: Any, criterion: Any, cv: Any, path: bool, n_resamples: Any) -> None:
    """Raise an InputError unless the settings are valid and compatible."""
    check_known("criterion", criterion, CRITERIA)
    if not isinstance(template, SoftKMeans) or not isinstance(template.init, str):
        problem = f"is of type {type(template).__name__}"
        if isinstance(template, SoftKMeans):
            problem = f"has an init of type {type(template.init).__name__}"
        raise InputError(
            f"estimator {problem}, expected a SoftKMeans whose init is the name of a seeding: "
            "give SoftKMeans(init='k-means++')"
        )
    check_count("n_resamples", n_resamples)
    if cv:
        weight = source.weight()
        n_rows = source.n_rows if weight is None else int((weight > 0).sum())
        check_count("cv", cv, at_most=(n_rows, "rows that have weight"))
        if cv == 1:
            raise InputError("cv=1 leaves no rows to fit: give 2 folds or more, or 0 for no cross-validation")
    for name, required, setting in (("held_out", cv, f"cv={cv!r}"), ("lifetime", path, f"path={path!r}")):
        if criterion == name and not required:
            raise InputError(f"criterion={name!r} is not supported with {setting}: change one of the two")


def _check_k_range(source: Source, k_range: Any) -> list[int]:
    """Return the numbers of clusters to try, after a check that they increase and are possible with these rows."""
    ks = list(k_range) if isinstance(k_range, Iterable) else []
    if not ks:
        raise InputError(f"k_range={k_range!r} contains no number of clusters: give at least one, as in range(1, 11)")
    for k in ks:
        check_count("a number of clusters in k_range", k)
    for before, after in pairwise(ks):
        if not after > before:
            raise InputError(f"k_range goes from {before} to {after}: give numbers of clusters in increasing order")
    n_distinct = count_distinct(source)
    if n_distinct == 1:
        raise InputError("all rows are the same, expected 2 distinct rows or more: they can only form one cluster")
    if ks[-1] > n_distinct:
        raise InputError(
            f"k_range goes up to {ks[-1]} clusters, expected at most the {n_distinct} distinct rows: lower its end"
        )
    return [int(k) for k in ks]


def _choose_shape(options: list[Candidate], bic_values: Values) -> tuple[str, dict[str, Values]]:
    """Return the shape with the lowest BIC, and the BIC (m,) of each shape."""
    lists: dict[str, list[float]] = {}
    for option, value in zip(options, bic_values.tolist(), strict=True):
        lists.setdefault(option.shape, []).append(value)
    by_shape = {shape: np.array(values) for shape, values in lists.items()}
    is_unbounded = np.isnan(np.array(list(by_shape.values()))).all(0)  # (m,)
    reason = "the clusters have no variance, so the likelihood is unbounded"
    if is_unbounded.all():
        raise InputError(f"{reason}: remove repeated rows, or lower k_range")
    if is_unbounded.any():
        ks = sorted({option.n_clusters for option in options})
        k = ks[int(is_unbounded.argmax())]
        warn(f"with {k} clusters or more, {reason}: BIC and ICL cannot select these numbers", UserWarning)
    return min(by_shape, key=lambda shape: np.nanmin(by_shape[shape], initial=math.inf)), by_shape


def _held_out(
    X: Any, models: dict[int, SoftKMeans], shape: str, cv: int, sample_weight: Any, rng: np.random.Generator
) -> dict[str, Values]:
    """Return the mean log-likelihood of held-out rows (m,), and standard errors (m,) of differences from the best."""
    means, weights = [], []
    for train, fitted, test in fit_folds(X, models, cv, sample_weight, rng):
        options = [option for option in candidates(train, fitted) if option.shape == shape]
        sums, weight = log_likelihoods(test, options)
        fold_means = dict(zip(fitted, (sums[0] / weight[0]).tolist(), strict=True))
        means.append([fold_means.get(k, math.nan) for k in models])
        weights.append(float(weight[0]))
    table = np.array(means)  # (cv, m)
    mean = np.average(table, axis=0, weights=weights)
    differences = table[:, [int(np.nanargmax(mean))]] - table if np.isfinite(mean).any() else table
    return {"held_out": mean, "held_out_se": differences.std(0, ddof=1) / math.sqrt(cv)}


def _soft_indices(X: Any, models: dict[int, SoftKMeans], sample_weight: Any) -> dict[str, Values]:
    """Return the metrics of the memberships, and their perplexity (m,), by name."""
    distance = as_distance(next(iter(models.values())).distance)
    rows: Any = as_rows(X)
    if not distance.translates:  # the centers are directions, so the rows must be normalized, too
        source = as_source(X)
        rows = Scaling.of(source, distance).view(source)

    def indices(model: SoftKMeans) -> tuple[float, float, float, float]:
        resp = model.predict_proba(X)
        perplexity = math.exp(model.entropy_ / (model.cluster_weights_.sum() + model.noise_weight_))
        if resp.shape[1] == 1:
            return math.nan, math.nan, math.nan, perplexity
        return (
            fuzzy_silhouette(rows, resp, model.cluster_centers_, sample_weight=sample_weight),
            xie_beni(rows, resp, model.cluster_centers_, sample_weight=sample_weight),
            modified_partition_coefficient(resp, sample_weight=sample_weight),
            perplexity,
        )

    names = ("fuzzy_silhouette", "xie_beni", "partition_coefficient", "perplexity")
    return dict(zip(names, np.array([indices(model) for model in models.values()]).T, strict=True))


def _lifetimes(source: Source, models: Mapping[int, SoftKMeans]) -> dict[int, float]:
    """Return the lifetime in log T of each number of clusters on the annealing path; the last ends with the path.

    If clusters are small and far apart, the path is extended to the temperature at which the model with the lowest
    temperature would split.
    """
    distance = next(iter(models.values())).distance
    settings: dict[str, Any] = {"max_clusters": max(models) + 1, "distance": distance}
    path = annealing_path(source, **settings)
    highest, lowest = path.temperatures[[0, -1]]
    split_temperature = min(float(np.min(model.temperature_)) for model in models.values()) / 2
    needed = max(split_temperature, MIN_RELATIVE_TEMPERATURE * highest)
    if path.n_clusters.max() <= max(models) and needed < lowest:
        n_temperatures = math.ceil(len(path.levels) * math.log(highest / needed) / math.log(highest / lowest))
        path = annealing_path(source, np.geomspace(highest, needed, n_temperatures).tolist(), **settings)
    lifetimes = path.lifetimes()
    for start, n_last in path.changes()[-1:]:
        lifetimes[n_last] = lifetimes.get(n_last, 0.0) + math.log(start / path.levels[-1].temperature)
    return lifetimes


def _mean_temperature(model: SoftKMeans) -> float:
    """Return T, or the mean of the clusters' temperatures weighted by the cluster weights."""
    t = model.temperature_
    return float(np.average(t, weights=model.cluster_weights_) if np.ndim(t) else t)


def _choices(ks: Sequence[int], scores: Mapping[str, Values]) -> dict[str, int]:
    """Return the number of clusters that each criterion selects, without criteria that have no values."""
    choices = {}
    for name, choose in CRITERIA.items():
        values = scores.get(name, np.array([math.nan]))
        if np.isfinite(values).any():
            values = np.where(np.isfinite(values), values, math.nan)
            choices[name] = ks[choose(values, scores.get(f"{name}_se", np.zeros(len(values))))]
    return choices
