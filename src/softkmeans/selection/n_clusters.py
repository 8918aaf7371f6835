"""Selection of the number of clusters, by several criteria."""

from __future__ import annotations

__all__ = ["select_n_clusters"]

import math
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from .._utils.random import as_generator
from ..annealing import AnnealingPath, annealing_path
from ..data.convert import as_source
from ..data.ordering import count_distinct
from ..data.source import Source
from ..errors import InputError, Message, Setting, warn
from ..estimators.soft_kmeans import SoftKMeans
from ..registries import CRITERIA
from ..settings import LINE_LENGTH
from .choice_warnings import choice_warnings
from .confidence import gain_confidence
from .criterion import Fits, Folds, Scores, describe, evaluate
from .fits import Mixtures, fit_each_number, fit_folds, fit_mixtures
from .information_criteria import Comparison, Weighting, candidates, compare, log_likelihoods
from .likelihood_rows import LikelihoodRows, likelihood_rows
from .result import DESCRIPTIONS, Selection
from .settings_checks import check_k_range, check_settings

F = TypeVar("F", bound=Callable[..., Any])
MIN_RELATIVE_TEMPERATURE = 1e-12  # of the critical temperature; an annealing path is not followed below it
MAX_GROWTH = 4  # largest number of clusters that is tried, relative to the end of the given range


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
    grow: bool = False,
    estimator: SoftKMeans | None = None,
    criterion: str = "bic",
    cv: int = 5,
    path: bool = True,
    n_resamples: int = 100,
    sample_weight: ArrayLike | Tensor | None = None,
    weights: str = "relative",
    random_state: int | np.random.Generator | None = None,
    on_fit: Callable[[int], Any] | None = None,
) -> Selection:
    """Fit several numbers of clusters, and select the best one by a criterion.

    Each number is fitted twice, from a new initialization and from the centers of the previous number. The fit with the
    higher likelihood is kept. For BIC and the held-out likelihood, mixtures of normal distributions with learned priors
    are fitted from the same centers. They are computed for three types of covariance, which is the same for all
    clusters: spherical, diagonal and full (see `softkmeans.selection.COVARIANCE_TYPES`). The type with the best BIC is
    used for all numbers of clusters. So a single cluster of correlated features counts as one cluster. A mixture of
    spherical clusters would split it into many.

    Features that are constant, or linear functions of others, do not count in the likelihoods. Values that are counts
    or rounded are spread out by random noise of their resolution.

    Parameters
    ----------
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows of finite real numbers.
    k_range : sequence of int, default=range(1, 11)
        Numbers of clusters to try, in increasing order.
    grow : bool, default=False
        Whether to try larger numbers as long as the largest one is selected, up to four times the end of ``k_range``.
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
        Weights of the rows, 0 or more.
    weights : "relative" or "counts", default="relative"
        What weights mean for BIC and ICL. Relative weights count as (Σw)² / Σw² rows: a common factor changes nothing.
        Counts are those of repeated rows: a weight of 2 is equivalent to a row that occurs twice.
    random_state : int, numpy Generator or None
        Source of randomness for initialization, folds, resamples and noise.
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

    Warns
    -----
    UserWarning
        If the choice is at the end of the range, or the likelihoods do not suit the data, whose values are coarsely
        rounded, skewed or heavy-tailed. See ``Selection.warnings``.

    References
    ----------
    Schwarz, "Estimating the dimension of a model", Annals of Statistics 1978. Biernacki, Celeux & Govaert, "Assessing a
    mixture model for clustering with the integrated completed likelihood", IEEE TPAMI 2000. Kishino, Miyata & Hasegawa,
    "Maximum likelihood inference of protein phylogeny", J. Mol. Evol. 1990, for the resampling of likelihoods.
    McLachlan, "On bootstrapping the likelihood ratio test statistic for the number of components in a normal mixture",
    Applied Statistics 1987, for the test of confidence.

    Examples
    --------
    >>> from softkmeans import make_blobs, select_n_clusters
    >>> X, _ = make_blobs(400, 2, 4, cluster_std=0.5, random_state=2)
    >>> select_n_clusters(X, range(1, 7), random_state=0)
    Selection(n_clusters=4, criterion='bic', confidence=1.00)
    """
    template = SoftKMeans(local_search=True) if estimator is None else estimator
    source, switches = as_source(X, sample_weight), {"cv": cv, "path": path}
    check_settings(source, template, criterion, n_resamples=n_resamples, grow=grow, weights=weights, switches=switches)
    n_distinct = count_distinct(source)
    ks = check_k_range(n_distinct, k_range)
    rng = as_generator(random_state)
    rows = likelihood_rows(X, source, template, ks[-1] if n_distinct > ks[-1] else 0, rng)
    data = _Data(
        X=X,
        source=source,
        sample_weight=sample_weight,
        weighting=Weighting.of(source, weights),
        rows=rows,
        rows_source=source if rows.rows is X else as_source(rows.rows, sample_weight),
    )
    fits = _Fits(data, template, rng, on_fit)
    fits.add(ks)
    end = min(n_distinct, MAX_GROWTH * ks[-1])
    while grow and ks[-1] < end and _score(data, fits, [criterion], switches, 1, rng).choice(criterion) == ks[-1]:
        ks += _next_numbers(ks, end)
        fits.add(ks)
    scored = _score(data, fits, list(CRITERIA), switches, n_resamples, rng)
    chosen = scored.choice(criterion)
    at_end = chosen == ks[-1] < n_distinct
    defined = scored.choices_if_defined(ks.index(chosen))
    mixture = scored.mixture(chosen)
    reasons = choice_warnings(at_end, defined, n_distinct, data.rows_source, rows, mixture, data.weighting.n)
    for reason in reasons:
        warn(reason, UserWarning)
    return Selection(
        n_clusters=chosen,
        criterion=criterion,
        choices=scored.choices,
        confidence=0.0 if at_end else _confidence(data, scored, chosen, rng),
        covariance_type=scored.comparison.best_type,
        scores=_columns(fits.models, scored),
        models=fits.models,
        at_end=at_end,
        warnings=reasons,
    )


def _next_numbers(ks: list[int], end: int) -> list[int]:
    """Return further numbers of clusters up to an end, half as many as there are, at the distance of the last two."""
    step = ks[-1] - ks[-2] if len(ks) > 1 else 1
    numbers = [ks[-1] + step * i for i in range(1, 1 + max(1, len(ks) // 2))]
    return [k for k in numbers if k <= end] or [end]


@dataclass(frozen=True)
class _Data:
    """The rows of a selection.

    Attributes
    ----------
    X, sample_weight : table (n, d), and column (n,) or None
        The rows as the user gave them, and their weights.
    source : Source
        The same rows and weights.
    weighting : Weighting
        What the weights mean.
    rows, rows_source : LikelihoodRows, Source
        The rows for likelihoods.
    """

    X: Any
    source: Source
    sample_weight: Any
    weighting: Weighting
    rows: LikelihoodRows
    rows_source: Source


class _Fits:
    """Fitted models, and fits of the same numbers of clusters to the rows for likelihoods.

    Parameters
    ----------
    data : _Data
        The rows.
    template, rng, on_fit
        As for `fit_each_number`.

    Attributes
    ----------
    models : dict of int to SoftKMeans
        The models for the user.
    on_likelihood_rows : dict of int to SoftKMeans
        The same models, unless features do not count or values are spread out. Then these are fits to the rows for
        likelihoods, so that a redundant feature does not change the choice.
    """

    def __init__(
        self, data: _Data, template: SoftKMeans, rng: np.random.Generator, on_fit: Callable[[int], Any] | None
    ) -> None:
        self.data, self.template, self.rng, self.on_fit = data, template, rng, on_fit
        self.models: dict[int, SoftKMeans] = {}
        self.on_likelihood_rows = {} if data.rows.are_changed else self.models

    def add(self, ks: Sequence[int]) -> None:
        """Fit those of these numbers of clusters that are not fitted yet."""
        new, data = [k for k in ks if k not in self.models], self.data
        if data.rows.are_changed:
            with warnings.catch_warnings():  # the user is told about problems of the models
                warnings.simplefilter("ignore", ConvergenceWarning)
                self._fit(self.on_likelihood_rows, data.rows.rows, data.rows_source, new, None)
        self._fit(self.models, data.X, data.source, new, self.on_fit)

    def _fit(
        self, fits: dict[int, SoftKMeans], x: Any, source: Source, new: list[int], on_fit: Callable[[int], Any] | None
    ) -> None:
        previous = fits[max(fits)] if fits else None
        fits |= fit_each_number(
            x, source, new, self.template, self.data.sample_weight, self.rng, on_fit, previous=previous
        )


class _Scored(NamedTuple):
    """The scores of several numbers of clusters.

    Attributes
    ----------
    mixtures : dict of int to Mixtures
        The mixtures with learned priors.
    comparison : Comparison
        BIC of the mixtures, for every type of covariance.
    scores : dict of str to Scores
        What the criteria say.
    """

    mixtures: dict[int, Mixtures]
    comparison: Comparison
    scores: dict[str, Scores]

    def mixture(self, n_clusters: int) -> SoftKMeans:
        """Return the mixture with a number of clusters, for the type of covariance with the best BIC."""
        return self.mixtures[n_clusters].get(self.comparison.best_type)

    @property
    def choices(self) -> dict[str, int]:
        """The choice of each criterion that has one."""
        return {name: own.choice for name, own in self.scores.items() if own.choice is not None}

    def choices_if_defined(self, index: int) -> dict[str, int]:
        """Return the choices of the criteria that have a value for the number of clusters with an index."""
        return {name: k for name, k in self.choices.items() if not math.isnan(self.scores[name].values[index])}

    def choice(self, criterion: str) -> int:
        """Return the choice of a criterion, or raise an InputError if it has none."""
        choice = self.scores[criterion].choice
        if choice is None:
            problem = Message("has no value for ", Setting("k_range", list(self.mixtures)))
            hint = "choose another, or add numbers of clusters"
            raise InputError(problem, parameter="criterion", value=criterion, hint=hint)
        return choice


def _score(
    data: _Data,
    fits: _Fits,
    names: Sequence[str],
    switches: Mapping[str, Any],
    n_resamples: int,
    rng: np.random.Generator,
) -> _Scored:
    """Compute those of the given criteria whose needs are not switched off."""
    names = [name for name in names if all(switches[need] for need in CRITERIA[name].needs)]
    needs = {need for name in names for need in CRITERIA[name].needs}
    mixtures = fit_mixtures(
        fits.on_likelihood_rows, data.rows.rows, data.rows_source, data.sample_weight, data.weighting.n, rng
    )
    comparison = compare(data.rows_source, mixtures, data.weighting, n_resamples, rng)
    best = comparison.best_type
    basis = Fits(
        X=data.X,
        sample_weight=data.sample_weight,
        models=fits.models,
        covariance_type=best,
        bic=comparison.by_type()[best],
        weight_scale=data.weighting.scale,
        folds=_cross_validate(data, mixtures, best, switches["cv"], rng) if "cv" in needs else None,
        path=_annealing_path(data.source, fits.models) if "path" in needs else None,
        rng=rng,
    )
    return _Scored(mixtures, comparison, {name: evaluate(name, basis) for name in names})


def _cross_validate(
    data: _Data, mixtures: dict[int, Mixtures], covariance_type: str, cv: int, rng: np.random.Generator
) -> Folds:
    """Return the mean log-likelihoods of held-out rows, for clusters with a type of covariance."""
    means, weights = [], []
    chosen = {k: mixture.get(covariance_type) for k, mixture in mixtures.items()}
    for train, fitted, test in fit_folds(data.rows.rows, chosen, cv, data.sample_weight, rng):
        options = candidates(train, {k: Mixtures(fit, fit) for k, fit in fitted.items()}, float(train.n_rows))
        options = [option for option in options if option.covariance_type == covariance_type]
        sums, weight = log_likelihoods(test, options)
        fold_means = dict(zip(fitted, (sums[0] / weight[0]).tolist(), strict=True))
        means.append([fold_means.get(k, math.nan) for k in mixtures])
        weights.append(float(weight[0]))
    return Folds(np.array(means), np.array(weights))


def _confidence(data: _Data, scored: _Scored, chosen: int, rng: np.random.Generator) -> float:
    """Return the confidence in a choice; see `Selection`."""
    resampled = float((scored.comparison.resampled == chosen).mean())
    if chosen == 1 or not resampled:
        return resampled
    mixtures, comparison = {k: scored.mixture(k) for k in scored.mixtures}, scored.comparison
    if chosen == min(mixtures):  # test it against the number below, which was not tried
        own = mixtures[chosen]
        template = clone(own).set_params(init="k-means++")
        fewer = fit_each_number(data.rows.rows, data.rows_source, [chosen - 1], template, data.sample_weight, rng, None)
        mixtures = fewer | {chosen: own}
        comparison = compare(data.rows_source, {k: Mixtures(fit, fit) for k, fit in mixtures.items()}, data.weighting)
    return min(resampled, gain_confidence(comparison, chosen, mixtures, data.weighting, rng))


def _columns(models: Mapping[int, SoftKMeans], scored: _Scored) -> dict[str, NDArray[Any]]:
    """Return the columns of a selection: the criteria, BIC for each type of covariance, and what describes models."""
    columns: dict[str, NDArray[Any]] = {"n_clusters": np.array(list(models))}
    for name, own in scored.scores.items():
        columns[name] = own.values
        if own.errors is not None:
            columns[f"{name}_se"] = own.errors
    by_type = scored.comparison.by_type()
    if len(by_type) > 1:
        columns |= {f"bic_{name}": values for name, values in by_type.items()}
    for name, describe_model in DESCRIPTIONS.items():
        columns[name] = np.array([describe_model(model) for model in models.values()])
    return columns


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
