"""Checks of the parameters of a selection of the number of clusters."""

from __future__ import annotations

__all__ = ["check_k_range", "check_settings"]

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from .._utils.checks import check_bool, check_count, check_known
from ..data.source import Source
from ..errors import InputError, Message, Setting
from ..estimators.soft_kmeans import SoftKMeans
from ..model.assignment import as_assignment
from ..registries import CRITERIA
from .covariance import COVARIANCE_TYPES
from .information_criteria import WEIGHTS
from .result import DESCRIPTIONS


def check_settings(
    source: Source,
    template: Any,
    criterion: Any,
    *,
    n_resamples: Any,
    grow: Any,
    weights: Any,
    switches: Mapping[str, Any],
) -> None:
    """Raise an InputError unless the settings are valid and compatible; ``switches`` are those of `NEEDS`."""
    _check_criteria(criterion)
    _check_template(template)
    check_count("n_resamples", n_resamples)
    check_bool("grow", grow)
    check_known("weights", weights, WEIGHTS)
    _check_cv(source, switches["cv"])
    for need in CRITERIA[criterion].needs:
        if not switches[need]:
            problem = Message("is not supported with ", Setting(need, switches[need]))
            raise InputError(problem, parameter="criterion", value=criterion, hint="change one of the two")


def _check_criteria(criterion: Any) -> None:
    """Raise an InputError if the criterion is not known, or if a criterion has the name of another column."""
    CRITERIA.find(criterion)
    columns = {
        "n_clusters",
        *DESCRIPTIONS,
        *(f"bic_{name}" for name in COVARIANCE_TYPES),
        *(f"{name}_se" for name in CRITERIA),
    }
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


def check_k_range(n_distinct: int, k_range: Any) -> list[int]:
    """Return the numbers of clusters to try, after a check that they increase and are possible with distinct rows."""
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
