"""The criteria for the number of clusters: how each is computed, which value is best, and how it is described."""

from __future__ import annotations

__all__ = [
    "BIC",
    "FUZZY_SILHOUETTE",
    "HELD_OUT",
    "ICL",
    "LIFETIME",
    "PARTITION_COEFFICIENT",
    "XIE_BENI",
    "Criterion",
]

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._utils.few_numbers import quietly
from ..data.convert import as_source
from ..data.frames import as_rows
from ..data.scaling import Scaling
from ..distances import as_distance
from ..metrics import fuzzy_silhouette, modified_partition_coefficient, xie_beni
from .criterion import Criterion, Fits, Values, first_within_error, highest, lowest


def _icl(fits: Fits) -> Values:
    """Return the integrated completed likelihood (m,)."""
    entropies: Values = np.array([model.entropy_ for model in fits.models.values()])
    return fits.bic + 2 * fits.weight_scale * entropies


def _held_out(fits: Fits) -> Values:
    """Return the mean log-likelihood (m,) of held-out rows."""
    return np.asarray(np.average(fits.folds.scores, axis=0, weights=fits.folds.weights))


@quietly
def _held_out_errors(fits: Fits) -> Values:
    """Return the standard errors (m,), over the folds, of the differences from the best score; NaN if one is infinite.

    A feature that is constant in the other rows makes a held-out row with another value impossible.
    """
    table, mean = fits.folds.scores, _held_out(fits)
    differences = table[:, [int(np.nanargmax(mean))]] - table if np.isfinite(mean).any() else table
    return np.asarray(differences.std(0, ddof=1) / math.sqrt(len(table)))


def _of_memberships(metric: Callable[[Any, Any, Any, Any], float]) -> Callable[[Fits], list[float]]:
    """Return the function that computes a metric of each model: of rows, memberships, centers and weights.

    The metrics of memberships are not defined for one cluster.
    """

    def values(fits: Fits) -> list[float]:
        rows, weight = _rows_in_space_of_centers(fits), fits.sample_weight
        return [
            math.nan if k == 1 else metric(rows, model.predict_proba(fits.X), model.cluster_centers_, weight)
            for k, model in fits.models.items()
        ]

    return values


def _rows_in_space_of_centers(fits: Fits) -> Any:
    """Return the rows (n, d), normalized if the centers are directions."""
    distance = as_distance(next(iter(fits.models.values())).distance)
    if distance.translates:
        return as_rows(fits.X)
    source = as_source(fits.X)
    return Scaling.of(source, distance).view(source)


def _lifetimes(fits: Fits) -> list[float]:
    """Return the lifetime in log T of each number of clusters on the annealing path; the last ends with the path."""
    path, lifetimes = fits.path, fits.path.lifetimes()
    for start, n_last in path.changes()[-1:]:
        lifetimes[n_last] = lifetimes.get(n_last, 0.0) + math.log(start / path.levels[-1].temperature)
    return [math.nan if k == 1 else lifetimes.get(k, 0.0) for k in fits.models]


BIC = Criterion(
    lambda fits: fits.bic,
    lowest,
    label="BIC",
    description="Bayesian information criterion (Schwarz 1978); lower is better.",
    number_format=".1f",  # differences of 2 matter
)
ICL = Criterion(
    _icl,
    lowest,
    label="ICL",
    description="BIC plus twice the entropy (Biernacki et al. 2000); lower is better.",
    number_format=".1f",
)
HELD_OUT = Criterion(
    _held_out,
    first_within_error,
    errors=_held_out_errors,
    label="held-out score",
    short_label="held out",
    description="mean log-likelihood of rows that are not used in the fit; the smallest number of clusters within a "
    "standard error of the best is selected.",
    needs=("cv",),
    number_format=".4f",
)
FUZZY_SILHOUETTE = Criterion(
    _of_memberships(lambda rows, resp, centers, w: fuzzy_silhouette(rows, resp, centers, sample_weight=w)),
    highest,
    label="fuzzy silhouette",
    short_label="silhouette",
    description="see `metrics.fuzzy_silhouette`; higher is better, and it is not defined for one cluster.",
    number_format=".3f",
)
XIE_BENI = Criterion(
    _of_memberships(lambda rows, resp, centers, w: xie_beni(rows, resp, centers, sample_weight=w)),
    lowest,
    label="Xie–Beni",
    short_label="Xie-Beni",
    description="see `metrics.xie_beni`; lower is better, and it is not defined for one cluster.",
    number_format=".3g",
)
PARTITION_COEFFICIENT = Criterion(
    _of_memberships(lambda rows, resp, centers, w: modified_partition_coefficient(resp, sample_weight=w)),
    highest,
    label="partition coefficient",
    short_label="partition",
    description="see `metrics.modified_partition_coefficient`; higher is better, and it is not defined for one "
    "cluster.",
    number_format=".3f",
)
LIFETIME = Criterion(
    _lifetimes,
    highest,
    label="lifetime",
    description="length of the interval of log T in which the annealing path has this number of clusters, up to the "
    "end of the path; higher is better.",
    needs=("path",),
    number_format=".2f",
)
