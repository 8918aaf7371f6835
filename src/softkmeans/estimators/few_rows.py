"""Answers for few rows, as a service asks for them, by NumPy alone.

For a single row, PyTorch's operations take longer than their work. Each of them also lets other threads run, and then
waits for them, so that many threads would answer fewer rows than one.
"""

from __future__ import annotations

__all__ = ["few_rows"]

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.model import ArrayModel
from ..distances import Distance, as_distance
from ..kernels.small import ARRAY_DISTANCES, is_small
from ..model.assignment import AssignmentRule, Fuzzy, Softmax
from .validation import validate_source

Array = NDArray[Any]

# The assignment rules that are served, and the fuzzifier of each; None for the softmax.
FUZZIFIERS: dict[type[AssignmentRule], Callable[[Any], float | None]] = {
    Softmax: lambda rule: None,
    Fuzzy: lambda rule: rule.fuzzifier,
}


def few_rows(estimator: Any, X: Any) -> tuple[ArrayModel, Array] | None:
    """Return the fitted model on arrays, and the validated rows of X, if they are few; None for all other data.

    Models with user-defined distances or assignment rules are not served, nor are types other than float64.

    Parameters
    ----------
    estimator : SoftClusterer
        The estimator, perhaps not fitted.
    X : array-like, frame, Tensor, ...
        What a method has been given as rows.
    """
    fitted = vars(estimator)
    centers = fitted.get("cluster_centers_")
    if not (type(X) is type(centers) is np.ndarray and X.dtype == centers.dtype == np.float64):
        return None
    distance, rule = as_distance(estimator.distance), estimator._assignment_rule()
    is_known = type(distance) in ARRAY_DISTANCES and type(rule) in FUZZIFIERS
    if not (is_known and estimator.device is None and X.ndim == 2 and is_small(len(X), centers.shape)):
        return None
    validate_source(estimator, X, reset=False)
    priors = fitted.get("priors_", np.full(len(centers), 1 / len(centers)))
    arrays = centers, np.asarray(fitted.get("temperature_", 1.0), np.float64), priors
    key = tuple((array.shape, array.tobytes()) for array in arrays)
    return _kept_model(key, distance, estimator.noise_distance, rule), X


@lru_cache(maxsize=16)
def _kept_model(
    arrays: tuple[tuple[tuple[int, ...], bytes], ...],
    distance: Distance,
    noise_distance: float | None,
    rule: AssignmentRule,
) -> ArrayModel:
    """Return the model of centers, temperature and priors, given by shape and bytes; it is kept for the next call."""
    centers, temperature, priors = (np.frombuffer(content).reshape(shape) for shape, content in arrays)
    return ArrayModel(
        centers, ARRAY_DISTANCES[type(distance)], temperature=temperature, priors=priors,
        noise_distance=noise_distance, fuzzifier=FUZZIFIERS[type(rule)](rule),
    )  # fmt: skip
