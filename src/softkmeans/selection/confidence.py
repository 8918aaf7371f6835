"""The confidence in a number of clusters, by data sets that do not have the last cluster (parametric bootstrap)."""

from __future__ import annotations

__all__ = ["gain_confidence"]

import math
import warnings
from collections.abc import Mapping

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..data.convert import as_source
from ..errors import InputError
from ..estimators.soft_kmeans import SoftKMeans
from .fits import Mixtures, fit_each_number, fit_mixture
from .information_criteria import Candidate, Comparison, Weighting, compare

MIN_DRAWS, N_DRAWS = 6, 18
CLEAR_DISTANCE = 8.0  # standard deviations
MIN_DRAWN_ROWS = 500  # data sets drawn from a mixture have at most as many rows, or
DRAWN_ROWS_PER_CLUSTER = 100  # as many a cluster: the gain of a cluster that is not there hardly depends on n
MAX_DRAWN_ENTRIES = 5_000_000  # of such a data set, rows times features


def gain_confidence(
    comparison: Comparison,
    chosen: int,
    mixtures: Mapping[int, SoftKMeans],
    weighting: Weighting,
    rng: np.random.Generator,
) -> float:
    """Return the confidence that rows need a number of clusters rather than the next smaller one, from 0 to 1.

    It is 1 - p, where p is the fraction of data sets, drawn from the mixture with the smaller number, for which BIC
    gains at least as much by the larger number as it does on the rows. Resamples of the rows do not show this: they
    repeat the chance groups of a few rows that a cluster may be.

    McLachlan, "On bootstrapping the likelihood ratio test statistic for the number of components in a normal mixture",
    Applied Statistics 1987.

    Parameters
    ----------
    comparison : Comparison
        BIC on the rows.
    chosen : int
        The number of clusters; not the smallest one of the mixtures.
    mixtures : dict of int to SoftKMeans
        The mixtures with learned priors, in increasing order.
    weighting : Weighting
        The number of rows.
    rng : numpy Generator
        Source of randomness.
    """
    smaller = max(k for k in mixtures if k < chosen)
    null, null_bic = comparison.best(smaller)
    observed = null_bic - comparison.best(chosen)[1]
    n_rows = max(chosen, min(round(weighting.n), max(MIN_DRAWN_ROWS, DRAWN_ROWS_PER_CLUSTER * chosen)))
    is_too_large = n_rows * mixtures[smaller].n_features_in_ > MAX_DRAWN_ENTRIES
    if null.sample is None or math.isinf(null_bic) or is_too_large:
        return 1.0
    gains = list[float]()
    while len(gains) < N_DRAWS:
        gains.append(_gain(null, n_rows, mixtures[smaller], chosen, weighting, rng))
        if _is_clear(observed, gains):
            return 1.0
    n_exceeding = sum(gain >= observed for gain in gains)
    return 1 - (n_exceeding + 1) / (N_DRAWS + 1)  # the rows themselves count as one of the data sets


def _is_clear(observed: float, gains: list[float]) -> bool:
    """Return whether the observed gain is so far above those of the first draws that more of them are not needed."""
    if len(gains) < MIN_DRAWS:
        return False
    return bool(observed > np.mean(gains) + CLEAR_DISTANCE * np.std(gains))


def _gain(
    null: Candidate,
    n_rows: int,
    mixture: SoftKMeans,
    n_clusters: int,
    weighting: Weighting,
    rng: np.random.Generator,
) -> float:
    """Return the gain in BIC by a larger number of clusters, on rows drawn from a mixture with a smaller number."""
    assert null.sample is not None  # noqa: S101 -- for mypy
    source = as_source(null.sample(n_rows, rng))
    rows = source.given_rows
    template = clone(mixture).set_params(init="k-means++")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        small = fit_mixture(template, torch.as_tensor(mixture.cluster_centers_, device="cpu").numpy(), rows, None)
        large = fit_each_number(rows, source, [n_clusters], template, None, rng, None, previous=small)[n_clusters]
    fits = {null.n_clusters: small, n_clusters: large}
    try:
        found = compare(source, {k: Mixtures(fit, fit) for k, fit in fits.items()}, Weighting(float(n_rows), 1.0))
    except InputError:  # too few rows for either number
        return math.inf
    (fewer, fewer_bic), (more, more_bic) = found.best(null.n_clusters), found.best(n_clusters)
    return fewer_bic - more_bic - (more.n_parameters - fewer.n_parameters) * math.log(weighting.n / n_rows)
