"""What speaks against trusting a fit."""

from __future__ import annotations

__all__ = ["diagnose"]

import math
from numbers import Real

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils.validation import check_is_fitted

from ..data.block import as_tensor
from ..distances import as_distance
from ..errors import InputError
from ..estimators.base import SoftClusterer
from ..estimators.soft_kmeans import SoftKMeans
from ..temperature import Fixed, as_temperature
from .stability import TRUSTED, Stability

COINCIDE = 1e-4  # squared distance, in units of T, under which no row can tell two centers apart
LOW = 0.5  # of the likeliest temperature, under which one given is low
HARD = 1e-3  # what the number of clusters that a row is spread over exceeds 1 by where memberships are soft


def diagnose(model: SoftClusterer, stability: Stability | None = None) -> list[str]:
    """Say what speaks against trusting a fit, a line each; nothing if nothing does.

    That is centers that coincide, as they do above the critical temperature; a temperature given, far under the
    likeliest, at which memberships are hard; restarts of which only one found the lowest optimum; passes that ran out;
    and clusters that do not survive resampling.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        Fitted.
    stability : Stability, optional
        What `stability` found for it.

    Returns
    -------
    list of str
        What is the matter, and what to do.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> diagnose(SoftKMeans(2, temperature=90.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]]))
    ['all 2 centers coincide: at temperature 90 rows do not part into clusters; lower it']
    """
    if not isinstance(model, SoftClusterer):
        hint = "of a pipeline, give the last step"
        raise InputError(f"a {type(model).__name__} came, expected a fitted SoftKMeans or FuzzyCMeans; {hint}")
    check_is_fitted(model)
    if stability is not None and len(stability.clusters) != len(model.cluster_centers_):
        came = f"stability is that of {len(stability.clusters)} clusters"
        raise InputError(f"{came}, and the model has {len(model.cluster_centers_)}: give that of this model")
    found = [check(model) for check in (_coinciding, _hard, _unlike_restarts, _not_converged)]
    return [line for line in (*found, _dissolved(stability)) if line]


def _coinciding(model: SoftClusterer) -> str:
    centers, t = as_tensor(model.cluster_centers_).cpu().double(), vars(model).get("temperature_", math.nan)
    if np.ndim(t) or not math.isfinite(t):
        return ""
    near = cdist(centers, centers) ** (as_distance(model.distance).power or 2) < COINCIDE * t
    n_more = len(centers) - len(np.unique(near.argmax(1)))  # than there are distinct ones
    if not n_more:
        return ""
    which = f"all {len(centers)}" if n_more == len(centers) - 1 else f"{n_more + 1} or more of {len(centers)}"
    learned = isinstance(model, SoftKMeans) and as_temperature(model.temperature).learned
    advice = "lower n_clusters" if learned else "lower it"
    return f"{which} centers coincide: at temperature {t:.4g} rows do not part into clusters; {advice}"


def _hard(model: SoftClusterer) -> str:
    values, t = vars(model), model.get_params().get("temperature")
    n_clusters, n_features = model.cluster_centers_.shape
    if n_clusters == 1 or not isinstance(t, Real | Fixed) or not {"entropy_", "cluster_weights_"} <= values.keys():
        return ""
    weight = model.cluster_weights_.sum()
    spread = math.exp(values["entropy_"] / (weight + values.get("noise_weight_", 0.0)))
    likeliest = as_distance(model.distance).likeliest_temperature(model.distortion_ / weight, n_features)
    if spread > 1 + HARD or not np.min(model.temperature_) < LOW * likeliest:  # clusters may as well be clear
        return ""
    over = f"a row is spread over {spread:.4f} clusters"
    return f"the temperature given is so low that memberships are hard ({over}): raise it, or choose 'calibrated'"


def _unlike_restarts(model: SoftClusterer) -> str:
    above = np.asarray(vars(model).get("restarts_", ()))
    n_best = int((above <= max(10 * model.tol, 1e-6)).sum())
    if len(above) < 2 or n_best > 1:
        return ""
    advice = "raise n_init" if getattr(model, "local_search", True) else "set local_search, or raise n_init"
    return f"restarts disagree: 1 of {len(above)} found the lowest optimum; {advice}"


def _not_converged(model: SoftClusterer) -> str:
    return "" if vars(model).get("converged_", True) else "the fit did not converge: raise max_iter"


def _dissolved(stability: Stability | None) -> str:
    if stability is None or not stability.doubtful:
        return ""
    values = ", ".join(f"{stability.clusters[k]:.2f}" for k in stability.doubtful)
    measured = f"Jaccard {values}, to be trusted from {TRUSTED}"
    return f"clusters {stability.doubtful} do not survive resampling ({measured}): lower n_clusters"
