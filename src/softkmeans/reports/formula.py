"""The formula of the memberships at any temperature, as a page computes it from stored distances."""

from __future__ import annotations

__all__ = ["critical_temperatures", "formula", "principal_axes", "slider"]

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Message, Setting
from ..estimators.fitted_model import Clustering
from ..model.assignment import AssignmentRule
from ..model.logits import make_logits
from .overview import ShownRows

Array = NDArray[np.float64]

N_STEPS = 400  # of the slider, in equal steps of log T
FUZZIFIERS = (1.05, 6.0)  # of the slider of a fuzzy model
N_AXES = 6  # principal axes of the map


def formula(clustering: Clustering, temperatures: Array, weights: Array) -> dict[str, Any]:
    """Return what the page needs to compute memberships: softmax of b_k - d_ik / T_k, or fuzzy memberships.

    Parameters
    ----------
    clustering : Clustering
        The fitted model.
    temperatures : ndarray (m,)
        Temperatures of the slider.
    weights : ndarray (k,)
        Cluster weights, for the mean of temperatures that differ.

    Raises
    ------
    InputError
        If the model has an assignment rule that the page does not know.
    """
    rule, unit = clustering.rule, clustering.scaling.unit
    if has_fuzzifier(rule):
        noise = -rule.noise_logit if rule.has_noise else None
        return {"rule": "fuzzy", "fuzzifier": fuzzifier_of(rule), "noise": noise, "unit": unit}
    if not rule.is_mixture:
        problem = f"{rule.name!r} is not supported by reports"
        hint = Message("use ", Setting("assignment", "softmax"))
        raise InputError(problem, parameter="assignment", hint=hint)
    fitted = clustering.params.temperature.cpu().double().numpy() * unit
    mean = float(np.average(fitted, weights=weights)) if weights.sum() > 0 else float(fitted.mean())
    table = []
    for temperature in temperatures if clustering.spec.per_cluster else [mean]:
        params = clustering.params._replace(temperature=clustering.params.temperature * (temperature / mean))
        table.append(make_logits(params, clustering.spec, clustering.distance).b.cpu().double().numpy())
    b = np.array(table)
    noise_offset = 0.0
    if rule.has_noise:  # the noise logit is that of a cluster at a constant distance
        noise_offset = rule.noise_logit + float(clustering.spec.noise or 0) / float(clustering.params.temperature[0])
    is_constant = bool(np.allclose(b, b[0], atol=1e-9))
    return {
        "rule": "softmax",
        "temperature": mean,
        "factors": (fitted / mean).tolist(),
        "b": (b[:1] if is_constant else b).tolist(),
        "noise": clustering.spec.noise,  # in this unit, as are the distances that the page gets
        "unit": unit,
        "noise_b": noise_offset,
    }


def has_fuzzifier(rule: AssignmentRule) -> bool:
    """Return whether memberships depend on a fuzzifier, and not on a temperature."""
    return not rule.uses_temperature and rule.softness == "fuzzifier"


def fuzzifier_of(rule: AssignmentRule) -> float:
    """Return the fuzzifier of a rule that has one."""
    return float(getattr(rule, rule.softness))


def slider(clustering: Clustering, weights: Array, critical: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the range of the slider, and its marks: the fitted value, and critical temperatures in the range.

    Parameters
    ----------
    clustering : Clustering
        The fitted model.
    weights : ndarray (k,)
        Cluster weights.
    critical : list of dict
        What `critical_temperatures` returned.
    """
    rule = clustering.rule
    if has_fuzzifier(rule):
        fuzzifier = fuzzifier_of(rule)
        low, high = min(FUZZIFIERS[0], 1 + (fuzzifier - 1) / 4), max(FUZZIFIERS[1], 2 * fuzzifier)
        values = 1 + np.geomspace(low - 1, high - 1, N_STEPS + 1)
        return {"values": values.tolist(), "fitted": fuzzifier, "marks": []}
    t = clustering.params.temperature.cpu().double().numpy() * clustering.scaling.unit
    fitted = float(np.average(t, weights=weights)) if weights.sum() > 0 else float(t.mean())
    marks = [mark for mark in critical if mark["value"] > 0 and fitted / 1e4 < mark["value"] < fitted * 1e5]
    values_of_marks = [fitted, *(mark["value"] for mark in marks)]
    low, high = min(values_of_marks) / 20, max(values_of_marks) * 5
    values = np.geomspace(min(low, fitted / 50), max(high, fitted * 50), N_STEPS + 1)
    return {"values": values.tolist(), "fitted": fitted, "marks": marks}


def critical_temperatures(rows: ShownRows, is_squared_euclidean: bool) -> list[dict[str, Any]]:
    """Return 2 λ_max of the covariance of all rows, and of each cluster; nothing for other distances."""
    k = rows.resp.shape[1]
    if not is_squared_euclidean or k < 2:
        return []
    marks = [{"value": 2 * _largest_variance(rows.received, rows.weights), "cluster": None}]
    for cluster, resp in enumerate(rows.resp.T):
        marks.append({"value": 2 * _largest_variance(rows.received, rows.weights * resp), "cluster": cluster})
    return marks


def _largest_variance(x: Array, w: Array) -> float:
    total = w.sum()
    if not total > 0:
        return 0.0
    centered = (x - np.average(x, axis=0, weights=w)) * np.sqrt(w / total)[:, None]
    if min(centered.shape) <= 50:
        return float(np.linalg.norm(centered, 2)) ** 2
    return _power_iteration(centered)


def _power_iteration(x: Array, n_steps: int = 200) -> float:
    """Return the square of the largest singular value of a matrix, by power iteration."""
    v: Array = np.random.default_rng(0).normal(size=(x.shape[1],))
    size = float(np.linalg.norm(v))
    for _ in range(n_steps):
        v = x.T @ (x @ (v / max(size, 1e-300)))
        before, size = size, float(np.linalg.norm(v))
        if abs(size - before) <= 1e-9 * size:
            break
    return size


def principal_axes(x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return the mean (d,) of rows, the directions (a, d) of the largest variance, and its fractions (a,)."""
    total = float(w.sum()) or 1.0
    mean: Array = (w @ x) / total
    centered = (x - mean) * np.sqrt(w / total)[:, None]
    n_axes = min(N_AXES, *x.shape)
    variance = float((centered**2).sum())
    if min(x.shape) > 400:
        from sklearn.utils.extmath import randomized_svd

        _, sizes, directions = randomized_svd(centered, n_axes, random_state=0)
    else:
        _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    fractions: Array = sizes[:n_axes] ** 2 / (variance if variance > 0 else math.inf)
    return mean, (directions * signs[:, None])[:n_axes], fractions
