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
from ..data.source import Source
from ..distances import Distance, as_distance
from ..kernels.small import ARRAY_DISTANCES, is_small
from ..model.assignment import AssignmentRule, Fuzzy, Softmax
from .fitted_model import Contents, arrays_of, contents_of

Array = NDArray[Any]

# The assignment rules that are served, and the fuzzifier of each; None for the softmax.
FUZZIFIERS: dict[type[AssignmentRule], Callable[[Any], float | None]] = {
    Softmax: lambda rule: None,
    Fuzzy: lambda rule: rule.fuzzifier,
}


def few_rows(estimator: Any, source: Source) -> tuple[ArrayModel, Array] | None:
    """Return a fitted model on arrays, and the rows of a source, if they are few; None for all others.

    Models with user-defined distances or assignment rules are not served, nor are types other than float64.

    Parameters
    ----------
    estimator : SoftClusterer
        The fitted estimator.
    source : Source
        Its validated rows.
    """
    fitted = vars(estimator)
    centers, rows = fitted["cluster_centers_"], source.given_rows if source.in_memory else None
    if not (type(rows) is type(centers) is np.ndarray and rows.dtype == centers.dtype == np.float64):
        return None
    distance, rule = as_distance(estimator.distance), estimator._assignment_rule()
    is_known = type(distance) in ARRAY_DISTANCES and type(rule) in FUZZIFIERS
    if not (is_known and source.device.type == "cpu" and is_small(len(rows), centers.shape)):
        return None
    priors, noise = fitted.get("priors_", np.full(len(centers), 1 / len(centers))), estimator.noise_distance
    arrays = centers, np.asarray(fitted.get("temperature_", 1.0), np.float64), np.asarray(priors)
    return _kept_model(contents_of(arrays), distance, None if noise is None else float(noise), rule), rows


@lru_cache(maxsize=16)
def _kept_model(
    contents: Contents, distance: Distance, noise_distance: float | None, rule: AssignmentRule
) -> ArrayModel:
    """Return the model of centers, temperature and priors; it is kept for the next call."""
    centers, temperature, priors = arrays_of(contents)
    return ArrayModel(
        centers, ARRAY_DISTANCES[type(distance)], temperature=temperature, priors=priors,
        noise_distance=noise_distance, fuzzifier=FUZZIFIERS[type(rule)](rule),
    )  # fmt: skip
