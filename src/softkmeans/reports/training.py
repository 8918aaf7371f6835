"""The curves of a fit: loss, F, E, H and T of every pass."""

from __future__ import annotations

__all__ = ["training_curves"]

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..estimators.base import SoftClusterer

TOLERANCE = 1e-6  # of a value that is computed in two ways


def training_curves(estimator: SoftClusterer) -> dict[str, Any] | None:
    """Return the values of every pass by name, for each row on average; None if the model has no training history.

    F and H are computed from the loss where this gives the values of the last pass; else they are left out.

    Parameters
    ----------
    estimator : SoftKMeans or FuzzyCMeans
        A fitted estimator.
    """
    fitted = vars(estimator)
    history = fitted.get("history_")
    if not history:
        return None
    weight = float(estimator.cluster_weights_.sum() + fitted.get("noise_weight_", 0.0)) or 1.0
    steps = [step for step in history if step.restart == history[-1].restart]
    objective = np.array([step.objective for step in steps])
    e, t = (np.array([getattr(step, name) for step in steps]) for name in ("distortion", "temperature"))
    curves: dict[str, Any] = {"loss": objective / weight, "distortion E": e / weight}
    f = _free_energy(objective, t, weight, estimator)
    if f is not None:
        curves["free energy F"] = f / weight
        h = (e - f) / t
        if math.isclose(h[-1], fitted.get("entropy_", math.nan), rel_tol=1e-4, abs_tol=1e-6 * weight):
            curves["entropy H"] = h / weight
    if np.isfinite(t).all():
        curves["temperature T"] = t
    return {
        "passes": [step.n_iter for step in steps],
        "curves": {name: np.asarray(values).tolist() for name, values in curves.items()},
        "n_rows": [step.n_rows for step in steps],
    }


def _free_energy(
    objective: NDArray[np.float64], t: NDArray[np.float64], weight: float, estimator: SoftClusterer
) -> NDArray[np.float64] | None:
    """Return F of every pass: the objective itself, or computed from the likelihood of an isotropic mixture."""
    final = vars(estimator).get("free_energy_", math.nan)
    scale = abs(final) + abs(estimator.distortion_)
    with np.errstate(invalid="ignore", divide="ignore"):
        d, k = estimator.cluster_centers_.shape[1], len(estimator.cluster_centers_)
        from_likelihood = t * (objective - weight * (math.log(k) + d / 2 * np.log(math.pi * t)))
    for candidate in (objective, from_likelihood):
        if math.isclose(candidate[-1], final, rel_tol=0, abs_tol=1e-4 * scale):
            return candidate
    return None
