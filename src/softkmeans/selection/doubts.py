"""What speaks against trusting a fit."""

from __future__ import annotations

__all__ = ["doubts"]

import math
from numbers import Real

import numpy as np
from scipy.spatial.distance import cdist

from ..clusterer import SoftClusterer
from ..distances import as_distance
from ..temperature import Fixed
from .stability import TRUSTED, Stability

COINCIDE = 1e-4  # squared distance, in units of T, under which no row can tell two centres apart
HARD = 1e-3  # what the number of clusters that a row is spread over exceeds 1 by where memberships are soft


def doubts(model: SoftClusterer, stability: Stability | None = None) -> list[str]:
    """Say what speaks against trusting a fit, a line each; nothing if nothing does.

    That is centres that coincide, as they do above the critical temperature; a temperature given so low that
    memberships are hard; restarts of which only one found the lowest optimum; passes that ran out; and clusters that do
    not survive resampling.

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
    >>> doubts(SoftKMeans(2, temperature=90.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]]))
    ['all 2 centres coincide: at temperature 90 rows do not part into clusters; lower it']
    """
    found = [check(model) for check in (_coinciding, _hard, _unlike_restarts, _not_converged)]
    return [line for line in (*found, _dissolved(stability)) if line]


def _coinciding(model: SoftClusterer) -> str:
    centers, t = np.asarray(model.cluster_centers_, dtype=np.float64), vars(model).get("temperature_", math.nan)
    if np.ndim(t) or not math.isfinite(t):
        return ""
    near = cdist(centers, centers) ** (as_distance(model.distance).power or 2) < COINCIDE * t
    n_more = len(centers) - len(np.unique(near.argmax(1)))  # than there are distinct ones
    if not n_more:
        return ""
    which = f"all {len(centers)}" if n_more == len(centers) - 1 else f"{n_more + 1} or more of {len(centers)}"
    return f"{which} centres coincide: at temperature {t:.4g} rows do not part into clusters; lower it"


def _hard(model: SoftClusterer) -> str:
    entropy, t = vars(model).get("entropy_", math.nan), model.get_params().get("temperature")
    if len(model.cluster_centers_) == 1 or not isinstance(t, Real | Fixed) or not math.isfinite(entropy):
        return ""
    spread = math.exp(entropy / model.cluster_weights_.sum())
    if spread > 1 + HARD:
        return ""
    over = f"a row is spread over {spread:.4f} clusters"
    return f"the temperature given is so low that memberships are hard ({over}): raise it, or choose 'calibrated'"


def _unlike_restarts(model: SoftClusterer) -> str:
    above = np.asarray(vars(model).get("restarts_", ()))
    n_best = int((above <= max(10 * model.tol, 1e-6)).sum())
    if len(above) < 2 or n_best > 1:
        return ""
    return f"restarts disagree: 1 of {len(above)} found the lowest optimum; set local_search, or raise n_init"


def _not_converged(model: SoftClusterer) -> str:
    return "" if vars(model).get("converged_", True) else "the fit did not converge: raise max_iter"


def _dissolved(stability: Stability | None) -> str:
    if stability is None or not stability.doubtful:
        return ""
    values = ", ".join(f"{stability.clusters[k]:.2f}" for k in stability.doubtful)
    measured = f"Jaccard {values}, to be trusted from {TRUSTED}"
    return f"clusters {stability.doubtful} do not survive resampling ({measured}): lower n_clusters"
