"""How many clusters there are, by several criteria side by side."""

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
from .fits import one_after_another, without_one
from .likelihood import Candidate, bayes, candidates, log_likelihoods

Values = NDArray[np.float64]
COLDEST = 1e-12  # of the critical temperature: no path is followed any further


def _least(values: Values, errors: Values) -> int:
    return int(np.nanargmin(values))


def _most(values: Values, errors: Values) -> int:
    return int(np.nanargmax(values))


def _first_as_good(values: Values, errors: Values) -> int:
    """The fewest clusters that are no worse than the best by more than a standard error (Breiman et al. 1984)."""
    best = int(np.nanargmax(values))
    return int(np.argmax(values >= values[best] - errors))


# A criterion: which of its values (m,), with the standard errors of their differences to the best, to choose.
CRITERIA: dict[str, Callable[[Values, Values], int]] = {
    "bic": _least,
    "icl": _least,
    "held_out": _first_as_good,
    "fuzzy_silhouette": _most,
    "xie_beni": _least,
    "partition_coefficient": _most,
    "lifetime": _most,
}


class Selection(NamedTuple):
    """What several criteria say of the number of clusters.

    Attributes
    ----------
    n_clusters : int
        The number chosen.
    criterion : str
        By which criterion.
    choices : dict of str to int
        What each criterion chooses.
    confidence : float
        In which share of resamples of the rows BIC names the number chosen, from 0 to 1.
    shape : {"spherical", "diag", "tied"}
        The shape of clusters that BIC finds likeliest: round, stretched along the features, or in any direction. If it
        is not the first, ``temperature="calibrated"`` gives memberships that are not too sure.
    scores : dict of str to ndarray (m,)
        The columns of ``table``.
    models : dict of int to SoftKMeans
        The fitted model of each number of clusters.
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
        """The scores as a frame of pandas, Polars or PyArrow, whichever there is first."""
        for backend in ("pandas", "polars", "pyarrow"):
            try:
                return nw.from_dict(self.scores, backend=backend).to_native()
            except ImportError:
                continue
        raise MissingExtraError("a table", "pyarrow", "files")

    @property
    def model(self) -> SoftKMeans:
        """The model with the number of clusters chosen."""
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
    """Fit every number of clusters, afresh and from the one before, and choose among them.

    The likelihood is that of the fitted clusters as round ones, as stretched along the features and as stretched in any
    direction, all alike (see `shapes`), and counts for whichever of the three suits all numbers of clusters best. So
    one cluster of correlated features is found to be one, where a mixture of round clusters would rather be many.

    Parameters
    ----------
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows.
    k_range : sequence of int
        Numbers of clusters to try, rising.
    estimator : SoftKMeans, optional
        Its parameters are those of every fit; ``SoftKMeans(local_search=True)`` by default. Temperature and, if so
        asked, priors are learned anew for each number.
    criterion : {"bic", "icl", "held_out", "fuzzy_silhouette", "xie_beni", "partition_coefficient", "lifetime"}
        What chooses; all are in the table.

        - "bic": Bayesian information criterion, "icl": the same with twice the entropy added (Biernacki et al. 2000);
          lower is better.
        - "held_out": log-likelihood of a row left out of the fit; the fewest clusters that are within a standard error
          of the best.
        - "fuzzy_silhouette", "xie_beni", "partition_coefficient" (the modified one): see `softkmeans.metrics`. They say
          nothing of one cluster.
        - "lifetime": for how much of log T there are so many clusters on the annealing path, as far as it is followed.
    cv : int
        Folds of the cross-validation; 0 leaves it out. Rows without weight are in none of them.
    path : bool
        Whether to follow the annealing path.
    n_resamples : int
        Resamples of the rows by which to say how sure the choice is.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows.
    random_state : int, numpy Generator or None
        Where starts, folds and resamples are drawn from.
    on_fit : callable, optional
        Is given every number of clusters as soon as it is fitted.

    Returns
    -------
    Selection
        The choice, what all criteria say, and the models.

    Raises
    ------
    InputError
        If the data or a parameter can't be used: ``k_range`` is empty, does not rise, or asks for more clusters than
        there are distinct rows.

    References
    ----------
    Schwarz, "Estimating the dimension of a model", Annals of Statistics 1978. Biernacki, Celeux & Govaert, "Assessing a
    mixture model for clustering with the integrated completed likelihood", IEEE TPAMI 2000. Kishino, Miyata & Hasegawa,
    "Maximum likelihood inference of protein phylogeny", J. Mol. Evol. 1990, for resampling likelihoods.

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
    ks = _checked(source, k_range)
    rng = np.random.default_rng(random_state)
    models = one_after_another(X, source, ks, template, sample_weight, rng, on_fit)
    options = candidates(source, models)
    sums, weight = log_likelihoods(source, options, n_resamples, rng)
    information = bayes(options, sums, weight).numpy()
    shape, by_shape = _shapes(options, information[0])
    scores: dict[str, NDArray[Any]] = {"n_clusters": np.array(ks), "bic": by_shape[shape]}
    scores["icl"] = scores["bic"] + 2 * np.array([model.entropy_ for model in models.values()])
    if cv:
        scores |= _held_out(X, models, shape, cv, sample_weight, rng)
    scores |= _soft_indices(X, models, sample_weight)
    if path:
        found = _lifetimes(source, models)
        scores["lifetime"] = np.array([math.nan if k == 1 else found.get(k, 0.0) for k in ks])
    scores |= {f"bic_{name}": values for name, values in by_shape.items()} if len(by_shape) > 1 else {}
    scores["temperature"] = np.array([_mean_temperature(model) for model in models.values()])
    scores["inertia"] = np.array([model.inertia_ for model in models.values()])
    choices = _choices(ks, scores)
    if criterion not in choices:
        raise InputError(f"criterion={criterion!r} has no value for k_range={ks}: choose another, or more numbers")
    named = np.array([option.n_clusters for option in options])[np.nanargmin(information[1:], 1)]
    confidence = float((named == choices[criterion]).mean())
    return Selection(choices[criterion], criterion, choices, confidence, shape, scores, models)


def _check_settings(source: Source, template: Any, criterion: Any, cv: Any, path: bool, n_resamples: Any) -> None:
    check_known("criterion", criterion, CRITERIA)
    if not isinstance(template, SoftKMeans) or not isinstance(template.init, str):
        came = f"a {type(template).__name__}" if not isinstance(template, SoftKMeans) else "one whose init is no name"
        raise InputError(f"estimator: {came} came, expected a SoftKMeans whose init is the name of a seeding")
    check_count("n_resamples", n_resamples)
    if cv:
        weight = source.weight()
        n_rows = source.n_rows if weight is None else int((weight > 0).sum())
        check_count("cv", cv, at_most=(n_rows, "rows that have weight"))
        if cv == 1:
            raise InputError("cv=1 leaves no rows to fit: give 2 folds or more, or 0 for no cross-validation")
    for name, needed, setting in (("held_out", cv, f"cv={cv!r}"), ("lifetime", path, f"path={path!r}")):
        if criterion == name and not needed:
            raise InputError(f"criterion={name!r} is left out by {setting}: change one of the two")


def _checked(source: Source, k_range: Any) -> list[int]:
    """Give the numbers of clusters to try."""
    ks = list(k_range) if isinstance(k_range, Iterable) else []
    if not ks:
        raise InputError(f"k_range={k_range!r} holds no number of clusters: give some, as range(1, 11)")
    for k in ks:
        check_count("a number of clusters in k_range", k)
    for before, after in pairwise(ks):
        if not after > before:
            raise InputError(f"k_range goes from {before} to {after}: give numbers of clusters that rise")
    n_distinct = count_distinct(source)
    if n_distinct == 1:
        raise InputError("all rows are the same: they are one cluster, and there is nothing to choose")
    if ks[-1] > n_distinct:
        raise InputError(
            f"k_range goes up to {ks[-1]} clusters, but there are {n_distinct} distinct rows: end it there"
        )
    return [int(k) for k in ks]


def _shapes(options: list[Candidate], information: Values) -> tuple[str, dict[str, Values]]:
    """Give the shape with the lowest BIC of all, and the BIC (m,) of each shape."""
    by_shape: dict[str, list[float]] = {}
    for option, value in zip(options, information.tolist(), strict=True):
        by_shape.setdefault(option.shape, []).append(value)
    found = {shape: np.array(values) for shape, values in by_shape.items()}
    flat = np.isnan(np.array(list(found.values()))).all(0)  # (m,)
    why = "clusters are single points, where the likelihood has no bound"
    if flat.all():
        raise InputError(f"{why}: leave out repeated rows, or lower k_range")
    if flat.any():
        ks = sorted({option.n_clusters for option in options})
        warn(f"with {ks[int(flat.argmax())]} clusters or more, {why}: BIC and ICL can't choose them", UserWarning)
    return min(found, key=lambda shape: np.nanmin(found[shape], initial=math.inf)), found


def _held_out(
    X: Any, models: dict[int, SoftKMeans], shape: str, cv: int, sample_weight: Any, rng: np.random.Generator
) -> dict[str, Values]:
    """Log-likelihood of a row left out (m,), and the standard error (m,) of what it is less than the best."""
    means, weights = [], []
    for rest, fitted, fold in without_one(X, models, cv, sample_weight, rng):
        options = [option for option in candidates(rest, fitted) if option.shape == shape]
        sums, weight = log_likelihoods(fold, options)
        found = dict(zip(fitted, (sums[0] / weight[0]).tolist(), strict=True))
        means.append([found.get(k, math.nan) for k in models])
        weights.append(float(weight[0]))
    table = np.array(means)  # (cv, m)
    mean = np.average(table, axis=0, weights=weights)
    below = table[:, [int(np.nanargmax(mean))]] - table if np.isfinite(mean).any() else table
    return {"held_out": mean, "held_out_se": below.std(0, ddof=1) / math.sqrt(cv)}


def _soft_indices(X: Any, models: dict[int, SoftKMeans], sample_weight: Any) -> dict[str, Values]:
    distance = as_distance(next(iter(models.values())).distance)
    rows: Any = as_rows(X)
    if not distance.translates:  # centers are directions, and so are rows to be
        source = as_source(X)
        rows = Scaling.of(source, distance).view(source)

    def of(model: SoftKMeans) -> tuple[float, float, float, float]:
        resp = model.predict_proba(X)
        spread = math.exp(model.entropy_ / (model.cluster_weights_.sum() + model.noise_weight_))
        if resp.shape[1] == 1:
            return math.nan, math.nan, math.nan, spread
        return (
            fuzzy_silhouette(rows, resp, model.cluster_centers_, sample_weight=sample_weight),
            xie_beni(rows, resp, model.cluster_centers_, sample_weight=sample_weight),
            modified_partition_coefficient(resp, sample_weight=sample_weight),
            spread,
        )

    names = ("fuzzy_silhouette", "xie_beni", "partition_coefficient", "perplexity")
    return dict(zip(names, np.array([of(model) for model in models.values()]).T, strict=True))


def _lifetimes(source: Source, models: Mapping[int, SoftKMeans]) -> dict[int, float]:
    """Say for how much of log T there were so many clusters; for the last number, as far as the path was followed.

    Where clusters are small and far apart, the path goes on to where the coldest of the models would split.
    """
    distance = next(iter(models.values())).distance
    settings: dict[str, Any] = {"max_clusters": max(models) + 1, "distance": distance}
    path = annealing_path(source, **settings)
    hot, cold = path.temperatures[[0, -1]]
    needed = max(min(float(np.min(model.temperature_)) for model in models.values()) / 2, COLDEST * hot)
    if path.n_clusters.max() <= max(models) and needed < cold:
        n_temperatures = math.ceil(len(path.levels) * math.log(hot / needed) / math.log(hot / cold))
        path = annealing_path(source, np.geomspace(hot, needed, n_temperatures).tolist(), **settings)
    found = path.lifetimes()
    for start, last in path.changes()[-1:]:
        found[last] = found.get(last, 0.0) + math.log(start / path.levels[-1].temperature)
    return found


def _mean_temperature(model: SoftKMeans) -> float:
    """T; where each cluster has one, their mean by the clusters' weights."""
    t = model.temperature_
    return float(np.average(t, weights=model.cluster_weights_) if np.ndim(t) else t)


def _choices(ks: Sequence[int], scores: Mapping[str, Values]) -> dict[str, int]:
    """Let every criterion choose that has values."""
    chosen = {}
    for name, choose in CRITERIA.items():
        values = scores.get(name, np.array([math.nan]))
        if np.isfinite(values).any():
            values = np.where(np.isfinite(values), values, math.nan)
            chosen[name] = ks[choose(values, scores.get(f"{name}_se", np.zeros(len(values))))]
    return chosen
