"""Diagnostics of a fitted model: reasons not to trust it, and what to do about them."""

from __future__ import annotations

__all__ = ["diagnose", "softer"]

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ..data.block import as_tensor
from ..distances import as_distance
from ..errors import InputError, Message, Setting
from ..estimators.base import SoftClusterer
from ..fitting.coincidence import coincident_clusters, describe_coincidence
from ..temperature import as_temperature
from .softness import is_nearly_hard, remedy, spread
from .stability import MIN_STABLE_JACCARD, Stability

MIN_TEMPERATURE_RATIO = 0.5  # ratio of a given temperature to the likeliest one, below which it is low


def diagnose(model: SoftClusterer, stability: Stability | None = None) -> list[Message]:
    """Return warnings about a fit, one line each; an empty list if there are none.

    The warnings are about centers that coincide, as they do above the critical temperature; a given temperature far
    below the likeliest one, at which memberships are hard; restarts of which only one reached the lowest objective; a
    fit that did not converge; and clusters that are not stable under resampling.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A fitted model.
    stability : Stability, optional
        The result of `stability` for this model.

    Returns
    -------
    list of Message
        A message for each problem, with what to do about it.

    Raises
    ------
    InputError
        If the model is of another class, or ``stability`` has another number of clusters.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> for warning in diagnose(SoftKMeans(2, temperature=0.001, random_state=0).fit([[0.0], [0.2], [9.0], [9.5]])):
    ...     print(warning)
    the temperature given is so low that memberships are hard (a row is spread over 1.0000 clusters): raise it, or
    choose temperature='calibrated', or temperature='perplexity:1.5' (which spreads a row over 1.5 clusters)
    """
    if not isinstance(model, SoftClusterer):
        raise InputError(
            f"is of type {type(model).__name__}",
            parameter="model",
            expected="a fitted SoftKMeans or FuzzyCMeans",
            hint="for a pipeline, give its last step",
        )
    check_is_fitted(model)
    if stability is not None and len(stability.clusters) != len(model.cluster_centers_):
        raise InputError(
            f"has {len(stability.clusters)} clusters",
            parameter="stability",
            expected=f"the {len(model.cluster_centers_)} of the model",
            hint="give the stability of this model",
        )
    checks = (_coincident_centers, _hard_memberships, _disagreeing_restarts, _not_converged)
    warnings = [check(model) for check in checks]
    return [warning for warning in (*warnings, _unstable_clusters(stability)) if warning]


def softer(model: SoftClusterer) -> Message | None:
    """Return how to make memberships softer that are nearly hard, unless a warning of `diagnose` says it.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A fitted model.
    """
    return None if _hard_memberships(model) else remedy(model)


def _coincident_centers(model: SoftClusterer) -> Message | None:
    """Return a warning if centers coincide."""
    values, rule = vars(model), model._assignment_rule()
    centers = as_tensor(model.cluster_centers_).cpu().double()
    t = torch.as_tensor(values.get("temperature_", 1.0), dtype=torch.float64, device="cpu").expand(len(centers))
    # A model of a layer has seen no rows: take those at the distance T as typical.
    weight = values["cluster_weights_"].sum() if "cluster_weights_" in values else 0.0
    total = values.get("inertia_", values.get("distortion_", 0.0))
    typical_distance = total / weight if weight > 0 else float(t.mean())
    coincident = coincident_clusters(centers, 1 / t, typical_distance, as_distance(model.distance).degree, rule)
    if not coincident:
        return None
    if not rule.uses_temperature:
        return describe_coincidence(centers, coincident, rule.softness, getattr(model, rule.softness, 0))
    is_learned = as_temperature(model.get_params()["temperature"]).learned
    return describe_coincidence(centers, coincident, "temperature", float(t.mean()), is_learned=is_learned)


def _hard_memberships(model: SoftClusterer) -> Message | None:
    """Return a warning if the given temperature is so low that memberships are hard."""
    t = model.get_params().get("temperature")
    if t is None or not as_temperature(t).is_given or not is_nearly_hard(model):
        return None
    distance, mean_distortion = as_distance(model.distance), model.distortion_ / model.cluster_weights_.sum()
    likeliest = distance.likeliest_temperature(mean_distortion, model.cluster_centers_.shape[1])
    if not np.min(model.temperature_) < MIN_TEMPERATURE_RATIO * likeliest:  # clusters may simply be well separated
        return None
    found = f"a row is spread over {spread(model):.4f} clusters"
    problem = f"the temperature given is so low that memberships are hard ({found}): raise it"
    choice = remedy(model)
    return Message(problem, ", or choose ", choice) if choice else Message(problem)


def _disagreeing_restarts(model: SoftClusterer) -> Message | None:
    """Return a warning if only one of several restarts reached the lowest objective."""
    excess = np.asarray(vars(model).get("restarts_", ()))
    n_best = int((excess <= max(10 * model.tol, 1e-6)).sum())
    if len(excess) < 2 or n_best > 1:
        return None
    problem = f"restarts disagree (only 1 of {len(excess)} reached the lowest objective): "
    advice = ("raise ",) if getattr(model, "local_search", True) else ("set ", Setting("local_search"), ", or raise ")
    return Message(problem, *advice, Setting("n_init"))


def _not_converged(model: SoftClusterer) -> Message | None:
    """Return a warning if the fit did not converge."""
    if vars(model).get("converged_", True):
        return None
    return Message("the fit did not converge: raise ", Setting("max_iter"))


def _unstable_clusters(stability: Stability | None) -> Message | None:
    """Return a warning if clusters are not stable under resampling."""
    if stability is None or not stability.unstable:
        return None
    values = ", ".join(f"{stability.clusters[k]:.2f}" for k in stability.unstable)
    jaccard = f"Jaccard index {values}, below {MIN_STABLE_JACCARD}"
    problem = f"clusters {stability.unstable} are not stable under resampling ({jaccard}): lower "
    return Message(problem, Setting("n_clusters"))
