"""Selection of the number of clusters, by several criteria."""

from __future__ import annotations

__all__ = ["Selection", "select_n_clusters"]

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.checks import check_count
from .._utils.random import as_generator
from ..annealing import AnnealingPath, annealing_path
from ..data.convert import as_source
from ..data.ordering import count_distinct
from ..data.source import Source
from ..errors import InputError, Message, MissingExtraError, Setting
from ..estimators.soft_kmeans import SoftKMeans
from ..model.assignment import as_assignment
from ..registries import CRITERIA
from ..settings import LINE_LENGTH
from ..temperature import as_temperature
from .covariance import SHAPES
from .criterion import Fits, Folds, Scores, describe, evaluate
from .fits import fit_each_number, fit_folds
from .information_criteria import ShapeComparison, candidates, compare_shapes, log_likelihoods

F = TypeVar("F", bound=Callable[..., Any])
MIN_RELATIVE_TEMPERATURE = 1e-12  # of the critical temperature; an annealing path is not followed below it


def _mean_temperature(model: SoftKMeans) -> float:
    """Return T, or the mean of the clusters' temperatures weighted by the cluster weights."""
    t = model.temperature_
    return float(np.average(t, weights=model.cluster_weights_) if np.ndim(t) else t)


def _perplexity(model: SoftKMeans) -> float:
    """Return the effective number of clusters of a row."""
    return math.exp(model.entropy_ / (model.cluster_weights_.sum() + model.noise_weight_))


# Columns of the scores that describe the models and select nothing.
DESCRIPTIONS: dict[str, Callable[[SoftKMeans], float]] = {
    "perplexity": _perplexity,
    "temperature": _mean_temperature,
    "inertia": lambda model: model.inertia_,
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

    @property
    def suggests_calibrated(self) -> bool:
        """True if memberships are too confident and ``temperature="calibrated"`` would correct this."""
        return self.shape != "spherical" and as_temperature(self.model.temperature) != as_temperature("calibrated")

    def __repr__(self) -> str:
        return (
            f"Selection(n_clusters={self.n_clusters}, criterion={self.criterion!r}, confidence={self.confidence:.2f})"
        )


def _documented(function: F) -> F:
    """Insert the names and descriptions of the criteria in a docstring."""
    lines = (function.__doc__ or "").splitlines()
    for i, line in enumerate(lines):
        if line.strip() == "{criteria}":
            indent = line[: line.index("{")]
            lines[i] = textwrap.indent(describe(LINE_LENGTH - len(indent)), indent)
    function.__doc__ = "\n".join(lines)
    return function


@_documented
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
    criterion : str, default="bic"
        The criterion that selects; the scores contain all of them. `CRITERIA` registers further ones.

        {criteria}
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
    _check_settings(source, template, criterion, n_resamples, {"cv": cv, "path": path})
    ks = _check_k_range(source, k_range)
    rng = as_generator(random_state)
    models = fit_each_number(X, source, ks, template, sample_weight, rng, on_fit)
    shapes = compare_shapes(source, models, n_resamples, rng)
    folds = _cross_validate(X, models, shapes.best, cv, sample_weight, rng) if cv else None
    annealed = _annealing_path(source, models) if path else None
    fits = Fits(X, sample_weight, models, shapes.best, shapes.bic[shapes.best], folds, annealed, rng)
    missing = [name for name, result in (("cv", folds), ("path", annealed)) if result is None]
    scores = {name: evaluate(name, fits) for name, known in CRITERIA.items() if not set(known.needs) & set(missing)}
    return _select(criterion, scores, models, shapes)


def _select(
    criterion: str, scores: Mapping[str, Scores], models: dict[int, SoftKMeans], shapes: ShapeComparison
) -> Selection:
    """Return the selection by a criterion, from the scores of all of them."""
    choices = {name: own.choice for name, own in scores.items() if own.choice is not None}
    if criterion not in choices:
        problem = Message("has no value for ", Setting("k_range", list(models)))
        hint = "choose another, or add numbers of clusters"
        raise InputError(problem, parameter="criterion", value=criterion, hint=hint)
    chosen = choices[criterion]
    confidence = float((shapes.resampled == chosen).mean())
    return Selection(chosen, criterion, choices, confidence, shapes.best, _columns(models, scores, shapes), models)


def _columns(
    models: Mapping[int, SoftKMeans], scores: Mapping[str, Scores], shapes: ShapeComparison
) -> dict[str, NDArray[Any]]:
    """Return the columns of a selection: those of the criteria, BIC for each shape, and a description of the models."""
    columns: dict[str, NDArray[Any]] = {"n_clusters": np.array(list(models))}
    for name, own in scores.items():
        columns[name] = own.values
        if own.errors is not None:
            columns[f"{name}_se"] = own.errors
    if len(shapes.bic) > 1:
        columns |= {f"bic_{shape}": values for shape, values in shapes.bic.items()}
    for name, describe_model in DESCRIPTIONS.items():
        columns[name] = np.array([describe_model(model) for model in models.values()])
    return columns


def _check_settings(
    source: Source, template: Any, criterion: Any, n_resamples: Any, switches: Mapping[str, Any]
) -> None:
    """Raise an InputError unless the settings are valid and compatible; ``switches`` are those of `NEEDS`."""
    _check_criteria(criterion)
    _check_template(template)
    check_count("n_resamples", n_resamples)
    _check_cv(source, switches["cv"])
    for need in CRITERIA[criterion].needs:
        if not switches[need]:
            problem = Message("is not supported with ", Setting(need, switches[need]))
            raise InputError(problem, parameter="criterion", value=criterion, hint="change one of the two")


def _check_criteria(criterion: Any) -> None:
    """Raise an InputError if the criterion is not known, or if a criterion has the name of another column."""
    CRITERIA.find(criterion)
    columns = {"n_clusters", *DESCRIPTIONS, *(f"bic_{shape}" for shape in SHAPES), *(f"{name}_se" for name in CRITERIA)}
    for name in CRITERIA:
        if name in columns:
            problem, hint = "is the name of another column of the scores", "register it with another name"
            raise InputError(problem, parameter="criterion", value=name, hint=hint)


def _check_template(template: Any) -> None:
    """Raise an InputError unless the estimator is a mixture model that can be fitted with any number of clusters."""
    if not isinstance(template, SoftKMeans) or not isinstance(template.init, str):
        problem: str = f"is of type {type(template).__name__}"
        if isinstance(template, SoftKMeans):
            problem = Message("has an ", Setting("init"), f" of type {type(template.init).__name__}")
        raise InputError(
            problem,
            parameter="estimator",
            expected=Message("a SoftKMeans whose ", Setting("init"), " is the name of a seeding"),
            hint="give SoftKMeans(init='k-means++')",
        )
    if not as_assignment(template.assignment).is_mixture:
        problem = Message("has ", Setting("assignment", template.assignment), ", and so no likelihood")
        hint = Message("use ", Setting("assignment", "softmax"))
        raise InputError(problem, parameter="estimator", hint=hint)


def _check_cv(source: Source, cv: Any) -> None:
    """Raise an InputError unless the number of folds is 0, or one that leaves rows to fit."""
    if not cv:
        return
    weight = source.weight()
    n_rows = source.n_rows if weight is None else int((weight > 0).sum())
    check_count("cv", cv, at_most=(n_rows, "rows that have weight"))
    if cv == 1:
        hint = "give 2 folds or more, or 0 for no cross-validation"
        raise InputError("leaves no rows to fit", parameter="cv", value=cv, hint=hint)


def _check_k_range(source: Source, k_range: Any) -> list[int]:
    """Return the numbers of clusters to try, after a check that they increase and are possible with these rows."""
    ks = list(k_range) if isinstance(k_range, Iterable) else []
    if not ks:
        hint = "give at least one, as in range(1, 11)"
        raise InputError("contains no number of clusters", parameter="k_range", value=k_range, hint=hint)
    for k in ks:
        _check_number(k)
    for before, after in pairwise(ks):
        if not after > before:
            hint = "give numbers of clusters in increasing order"
            raise InputError(f"goes from {before} to {after}", parameter="k_range", hint=hint)
    n_distinct = count_distinct(source)
    if n_distinct == 1:
        hint = "they can only form one cluster"
        raise InputError("all rows are the same", expected="2 distinct rows or more", hint=hint)
    if ks[-1] > n_distinct:
        problem, expected = f"goes up to {ks[-1]} clusters", f"at most the {n_distinct} distinct rows"
        raise InputError(problem, parameter="k_range", expected=expected, hint="lower its end")
    return [int(k) for k in ks]


def _check_number(k: Any) -> None:
    """Raise an InputError unless an entry of ``k_range`` is a number of clusters."""
    try:
        check_count("k_range", k)
    except InputError as error:
        raise InputError(Message("a number of clusters in ", error.message)) from None


def _cross_validate(
    X: Any, models: dict[int, SoftKMeans], shape: str, cv: int, sample_weight: Any, rng: np.random.Generator
) -> Folds:
    """Return the mean log-likelihoods of held-out rows, for clusters of a shape."""
    means, weights = [], []
    for train, fitted, test in fit_folds(X, models, cv, sample_weight, rng):
        options = [option for option in candidates(train, fitted) if option.shape == shape]
        sums, weight = log_likelihoods(test, options)
        fold_means = dict(zip(fitted, (sums[0] / weight[0]).tolist(), strict=True))
        means.append([fold_means.get(k, math.nan) for k in models])
        weights.append(float(weight[0]))
    return Folds(np.array(means), np.array(weights))


def _annealing_path(source: Source, models: Mapping[int, SoftKMeans]) -> AnnealingPath:
    """Return the annealing path for the numbers of clusters of the models.

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
    return path
