"""The interface of a criterion for the number of clusters, and its evaluation."""

from __future__ import annotations

__all__ = [
    "Criterion",
    "Fits",
    "Folds",
    "Scores",
    "Values",
    "describe",
    "evaluate",
    "first_within_error",
    "highest",
    "lowest",
]

import math
import operator
import textwrap
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils.brief import with_brief_repr
from ..errors import InputError, Message
from ..estimators.soft_kmeans import SoftKMeans
from ..registries import CRITERIA

T = TypeVar("T")
Values = NDArray[np.float64]
NEEDS = ("cv", "path")  # parameters of select_n_clusters that switch off what a criterion may need
REMEDY = "correct its functions, or unregister it"


@with_brief_repr
class Folds(NamedTuple):
    """The scores of a cross-validation.

    Attributes
    ----------
    scores : ndarray (cv, m)
        Mean log-likelihood of the rows of each fold, for models fitted on the other rows; NaN where there are none.
    weights : ndarray (cv,)
        Total weight of the rows of each fold.
    """

    scores: Values
    weights: Values


@with_brief_repr
class Fits(NamedTuple):
    """The fits of m numbers of clusters, from which the criteria are computed.

    Attributes
    ----------
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows, as the user gave them.
    sample_weight : array-like or Tensor (n,), or None
        Weights of the rows.
    models : dict of int to SoftKMeans
        The fitted model for each number of clusters, in increasing order.
    covariance_type : str
        The covariance within clusters with the best BIC.
    bic : ndarray (m,)
        BIC for clusters with this covariance.
    weight_scale : float
        Factor of the weights of the rows, with which they add up to the number of rows.
    folds : Folds or None
        Cross-validation for clusters with this covariance; given to criteria with ``needs=("cv",)``.
    path : AnnealingPath or None
        The annealing path; given to criteria with ``needs=("path",)``.
    rng : numpy Generator
        Random number generator, the only source of randomness.
    """

    X: Any
    sample_weight: Any
    models: dict[int, SoftKMeans]
    covariance_type: str
    bic: Values
    weight_scale: float
    folds: Any  # not optional for type checkers, as criteria that need them get them
    path: Any
    rng: np.random.Generator


def lowest(values: Values, errors: Values) -> int:
    """Return the index of the lowest value.

    Parameters
    ----------
    values : ndarray (m,)
        Values of a criterion; NaN where it is not defined.
    errors : ndarray (m,)
        Not used.

    Examples
    --------
    >>> lowest(np.array([9.0, 4.0, 5.0]), np.zeros(3))
    1
    """
    return int(np.nanargmin(values))


def highest(values: Values, errors: Values) -> int:
    """Return the index of the highest value.

    Parameters
    ----------
    values : ndarray (m,)
        Values of a criterion; NaN where it is not defined.
    errors : ndarray (m,)
        Not used.

    Examples
    --------
    >>> highest(np.array([np.nan, 0.8, 0.7]), np.zeros(3))
    1
    """
    return int(np.nanargmax(values))


def first_within_error(values: Values, errors: Values) -> int:
    """Return the first index whose value is within a standard error of the highest one (Breiman et al. 1984).

    Parameters
    ----------
    values : ndarray (m,)
        Values of a criterion; NaN where it is not defined.
    errors : ndarray (m,)
        Standard errors of their differences from the highest one.

    Examples
    --------
    >>> first_within_error(np.array([1.0, 5.0, 5.1]), np.array([0.5, 0.2, 0.0]))
    1
    """
    return int(np.argmax(values >= values[highest(values, errors)] - errors))


@dataclass(frozen=True)
class Criterion:
    """A criterion for the number of clusters, registered by name in ``CRITERIA``.

    Parameters
    ----------
    values : callable
        Function from `Fits` to the values (m,), NaN where the criterion is not defined.
    choose : callable
        Function from the values (m,) and their standard errors (m,), which are 0 without ``errors``, to the index of
        the best value: `lowest`, `highest`, `first_within_error`, or another one.
    label : str
        Title in plots.
    description : str
        What it is and which value is best, in one sentence.
    errors : callable, optional
        Function from `Fits` to the standard errors (m,) of the differences from the best value.
    needs : tuple of str
        What it needs that a user can switch off: "cv" (cross-validation) and "path" (the annealing path).
    short_label : str
        Header in tables; the label by default.
    number_format : str, default=".4g"
        Format of the values in tables.

    Raises
    ------
    InputError
        If a parameter is invalid.

    Examples
    --------
    A criterion for the bend in the curve of the logarithm of the inertia:

    >>> from softkmeans import make_blobs, select_n_clusters
    >>> from softkmeans.selection import CRITERIA
    >>> def bend(fits):
    ...     inertia = [model.inertia_ for model in fits.models.values()]
    ...     return np.pad(np.diff(np.log(inertia), 2), 1, constant_values=np.nan)
    >>> CRITERIA.register("elbow", Criterion(bend, highest, label="elbow", description="Bend of the inertia."))
    >>> X, _ = make_blobs(400, 2, 4, cluster_std=0.5, random_state=2)
    >>> select_n_clusters(X, range(1, 7), criterion="elbow", random_state=0).choices["elbow"]
    4
    >>> CRITERIA.unregister("elbow")
    """

    values: Callable[[Fits], ArrayLike]
    choose: Callable[[Values, Values], int]
    _: KW_ONLY
    label: str
    description: str
    errors: Callable[[Fits], ArrayLike] | None = None
    needs: tuple[str, ...] = ()
    short_label: str = ""
    number_format: str = ".4g"

    def __post_init__(self) -> None:
        for name in ("values", "choose"):
            _check_callable(name, getattr(self, name))
        if self.errors is not None:
            _check_callable("errors", self.errors)
        for name in ("label", "description"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text:
                raise InputError(parameter=name, value=text, hint="give a text")
        if not isinstance(self.needs, tuple) or not set(self.needs) <= set(NEEDS):
            raise InputError(parameter="needs", value=self.needs, expected=f"a tuple of some of {NEEDS}")
        _check_number_format(self.number_format)

    @property
    def header(self) -> str:
        """The header of its column in tables."""
        return self.short_label or self.label


def _check_callable(name: str, function: object) -> None:
    if not callable(function):
        raise InputError(f"is of type {type(function).__name__}", parameter=name, expected="a function")


def _check_number_format(number_format: Any) -> None:
    try:
        format(0.0, number_format)
    except (TypeError, ValueError):
        hint = "give the format of a number, such as '.3f'"
        raise InputError(parameter="number_format", value=number_format, hint=hint) from None


class Scores(NamedTuple):
    """What a criterion says about each number of clusters.

    Attributes
    ----------
    values : ndarray (m,)
        Its values.
    errors : ndarray (m,) or None
        Standard errors of their differences from the best one.
    choice : int or None
        The number of clusters that it selects; None if it has no finite value.
    """

    values: Values
    errors: Values | None
    choice: int | None


def evaluate(name: str, fits: Fits) -> Scores:
    """Compute a criterion.

    Raises
    ------
    InputError
        If one of its functions fails or returns something else than it should.
    """
    criterion = CRITERIA[name]
    values = _column(name, criterion.values, fits)
    errors = None if criterion.errors is None else _column(name, criterion.errors, fits)
    finite = np.isfinite(values)
    if not finite.any():
        return Scores(values, errors, None)
    known, known_errors = np.where(finite, values, math.nan), np.zeros(len(values)) if errors is None else errors
    index = _call(name, lambda: operator.index(criterion.choose(known, known_errors)))
    if not 0 <= index < len(values):
        problem, expected = f"chooses index {index}", f"0 to {len(values) - 1}"
        raise InputError(problem, parameter="criterion", value=name, expected=expected, hint=REMEDY)
    return Scores(values, errors, list(fits.models)[index])


def _column(name: str, function: Callable[[Fits], ArrayLike], fits: Fits) -> Values:
    """Return the results (m,) of a function of a criterion."""
    column = _call(name, lambda: np.asarray(function(fits), dtype=np.float64))
    expected = (len(fits.models),)
    if column.shape != expected:
        raise InputError(
            f"has values of shape {column.shape}",
            parameter="criterion",
            value=name,
            expected=f"{expected}, one for each number of clusters",
            hint=REMEDY,
        )
    return column


def _call(name: str, function: Callable[[], T]) -> T:
    """Call a function of a criterion; its errors become an InputError with the name of the criterion."""
    try:
        return function()
    except Exception as error:
        text = " ".join(str(error).split())
        cause = error.message if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
        problem = Message("can't be computed (", cause, ")")
        raise InputError(problem, parameter="criterion", value=name, hint=REMEDY) from error


def describe(width: int) -> str:
    """Return a list of the criteria, with lines of at most a given width, for a docstring."""
    entries = (f'- "{name}": {criterion.description}' for name, criterion in CRITERIA.items())
    return "\n".join(textwrap.fill(entry, width, subsequent_indent="  ") for entry in entries)
