"""Passes over few rows: memberships, sums and nearest centers on arrays.

The functions are those of `kernels.reference`, for one tile. Rows are centered, scaled and embedded, z (n, d); arrays
(k, n) have clusters first, so that a sum over clusters adds up contiguous rows.
"""

from __future__ import annotations

__all__ = [
    "ArrayRule",
    "Sums",
    "accumulate",
    "assign",
    "distances",
    "entropy_slope",
    "fuzzy",
    "lognorm",
    "nearest",
    "softmax",
]

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from .distances import Array, ArrayDistance, far_rows, product, relative_distances, squared

# From logits (k, n), which it may change in place, to memberships (k, n), their weights in the update of the centers
# (k, n), and the objective of each row (n,).
ArrayRule: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]


def softmax(logits: Array, noise_logit: float = -math.inf) -> tuple[Array, Array, Array]:
    """Return the softmax of logits (k, n), with the logit of a noise cluster: see `model.assignment.Softmax`.

    Examples
    --------
    >>> softmax(np.array([[0.0], [0.0]]))[0]
    array([[0.5],
           [0.5]])
    """
    peak = logits.max(0)
    if noise_logit > -math.inf:
        np.maximum(peak, noise_logit, out=peak)
    logits -= peak
    resp = np.exp(logits, out=logits)
    total = resp.sum(0)
    if noise_logit > -math.inf:
        total += np.exp(noise_logit - peak)
    resp /= total
    return resp, resp, peak + np.log(total)


def fuzzy(logits: Array, noise_logit: float = -math.inf, fuzzifier: float = 2.0) -> tuple[Array, Array, Array]:
    """Return the memberships of fuzzy c-means at logits -d (k, n): see `model.assignment.Fuzzy`.

    Examples
    --------
    >>> fuzzy(np.array([[-1.0], [-3.0]]))[0]
    array([[0.75],
           [0.25]])
    """
    power, d = 1 / (fuzzifier - 1), 0.0 - logits
    smallest = np.minimum(d.min(0), -noise_logit)
    positive = d > 0
    weight = np.where(positive, smallest / np.where(positive, d, 1.0), 1.0) ** power
    total = weight.sum(0)
    if noise_logit > -math.inf:
        total += (smallest / -noise_logit) ** power
    resp = weight / total
    return resp, resp**fuzzifier, -(smallest / total ** (fuzzifier - 1))


class Sums(NamedTuple):
    """The sums of `model.stats.Stats` over some rows."""

    weight: Array
    irls_weight: Array
    weighted_sum: Array
    kink_weight: Array
    distortion: Array
    objective: float
    n: float


def distances(z: Array, c: Array, distance: ArrayDistance) -> Array:
    """Return the distances (k, n) of centers (k, d) to rows (n, d)."""
    return distance.of_squared(squared(z, c))


def accumulate(
    z: Array, w: Array | None, c: Array, logits: tuple[Array, Array], distance: ArrayDistance, rule: ArrayRule
) -> Sums:
    """Return the sums over rows (n, d) with weights (n,), or None if all are 1.

    Parameters
    ----------
    z, w, c : ndarray (n, d), (n,), (k, d)
        Rows, weights and centers.
    logits : tuple of ndarray (k,)
        Coefficients beta and b of the logits b_k - beta_k d_ik.
    distance : ArrayDistance
        The distance.
    rule : ArrayRule
        The assignment rule.
    """
    d = distances(z, c, distance)
    resp, update_weight, objective = rule(_logits(d, logits))
    if w is not None:
        is_update_weight, objective = update_weight is resp, objective * w
        resp = resp * w
        update_weight = resp if is_update_weight else update_weight * w
    weight = resp.sum(1)
    kink_weight = np.zeros(len(c))
    if distance.constant_slope is None and distance.slope is not None:
        slope = distance.slope(d)
        at_kink = d == 0  # rows exactly on a center, where the distance has no derivative
        if at_kink.any():
            slope[at_kink] = 0.0
            kink_weight = (update_weight * at_kink).sum(1)
        irls_weights = update_weight * slope
        irls_weight = irls_weights.sum(1)
        weighted_sum = product(irls_weights, z.T)
    else:
        factor = distance.constant_slope or 0.0
        irls_weight = factor * (weight if update_weight is resp else update_weight.sum(1))
        weighted_sum = product(update_weight, z.T)
        weighted_sum *= factor
    distortion = (update_weight * d).sum(1)  # pairwise: the entropy is a difference from the objective
    n = float(len(z)) if w is None else float(w.sum())
    return Sums(weight, irls_weight, weighted_sum, kink_weight, distortion, float(objective.sum()), n)


def assign(
    z: Array, c: Array, logits: tuple[Array, Array], distance: ArrayDistance, rule: ArrayRule, *, keeps_far: bool
) -> Array:
    """Return the memberships (k, n) of rows.

    With ``keeps_far``, memberships depend on differences of distances alone, which are computed for far rows without
    the distances themselves. The other parameters are those of `accumulate`.
    """
    d = distances(z, c, distance)
    resp = rule(_logits(d, logits))[0]
    if keeps_far:
        far = far_rows(d.min(0), c, distance)
        if len(far):
            resp[:, far] = rule(_logits(relative_distances(z[far], c), logits))[0]
    return resp


def lognorm(z: Array, c: Array, logits: tuple[Array, Array], distance: ArrayDistance, rule: ArrayRule) -> Array:
    """Return the objective (n,) of each row; the parameters are those of `accumulate`."""
    return rule(_logits(distances(z, c, distance), logits))[2]


def entropy_slope(
    z: Array,
    w: Array | None,
    c: Array,
    logits: tuple[Array, Array],
    distance: ArrayDistance,
    rule: ArrayRule,
    noise: tuple[float, float],
) -> float:
    """Return the derivative of the entropy in log T, at fixed centers: see `kernels.reference.entropy_slope`.

    ``noise`` holds the logit of the noise cluster, minus infinity if there is none, and its d / T. The other parameters
    are those of `accumulate`.
    """
    beta, b = logits
    scaled = beta[:, None] * distances(z, c, distance)  # d / T
    scores = b[:, None] - scaled
    resp = rule(scores.copy())[0]
    if noise[0] > -math.inf:  # the noise cluster is one more cluster
        scores = np.vstack([scores, np.full(len(z), noise[0])])
        scaled = np.vstack([scaled, np.full(len(z), noise[1])])
        resp = np.vstack([resp, np.maximum(1 - resp.sum(0), 0.0)])
    covariance = (resp * (scaled - (resp * scaled).sum(0)) * ((resp * scores).sum(0) - scores)).sum(0)
    return float((covariance if w is None else covariance * w).sum())


def nearest(z: Array, c: Array, distance: ArrayDistance) -> tuple[Array, Array]:
    """Return the index (n,) of each row's nearest center, the lower index in a tie, and its distance (n,)."""
    d = distances(z, c, distance)
    index, min_distance = d.argmin(0), d.min(0)
    far = far_rows(min_distance, c, distance)
    if len(far):
        index[far] = relative_distances(z[far], c).argmin(0)
    return index, min_distance


def _logits(d: Array, logits: tuple[Array, Array]) -> Array:
    """Return the logits (k, n) at distances (k, n)."""
    beta, b = logits
    result: Array = beta[:, None] * d
    np.subtract(b[:, None], result, out=result)
    return result
