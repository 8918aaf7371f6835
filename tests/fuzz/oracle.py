"""Soft k-means in NumPy, independent of the package, with bounds of the rounding errors of the package.

For rows x (n, d), centers c (k, d), and a unit roundoff u. Arrays by row and cluster have shape (n, k).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, ive, logsumexp, softmax

SAFETY = 4.0  # factor of the error bounds, which leave out constants
MAX_PRODUCT_ERROR = 4e-3  # of a logit if distances come from a matrix product, as `kernels.cpu.prepare` allows


def squared_distances(x, c):
    """Return the squared Euclidean distances, from differences."""
    squared = np.empty((len(x), len(c)))
    step = max(1, 2**22 // c.size)
    for i in range(0, len(x), step):
        squared[i : i + step] = np.square(x[i : i + step, None] - c).sum(-1)
    return squared


def unit_rows(x):
    """Return rows of length 1."""
    x = x / np.abs(x).max(1, keepdims=True)
    return x / np.sqrt(np.square(x).sum(1, keepdims=True))


def norms(x):
    """Return the lengths of rows."""
    return np.sqrt(np.square(x).sum(1))


def squared_distance_errors(squared, x, c, u, x_error=0.0, c_error=0.0):
    """Return bounds of the errors of squared distances that are computed from differences.

    The rows and centers are relative to the origin by which the package shifts them. ``x_error`` and ``c_error`` are
    further errors of their coordinates.
    """
    d = x.shape[1]
    moved = u * (2 * norms(x)[:, None] + 2 * norms(c)) + np.sqrt(d) * (x_error + c_error)
    return SAFETY * (2 * np.sqrt(squared) * moved + moved**2 + (d + 4) * u * squared)


def product_errors(x, c, u):
    """Return bounds (n, 1) of the errors of squared distances that are computed by a matrix product."""
    return SAFETY * np.sqrt(x.shape[1] + 4) * u * np.square(norms(x)[:, None] + norms(c).max())


class Memberships(NamedTuple):
    """Memberships of rows, and bounds of their errors.

    Attributes
    ----------
    resp, resp_error : ndarray (n, k)
        Memberships r.
    noise : ndarray (n,)
        Membership in the noise cluster.
    lognorm, lognorm_error : ndarray (n,)
        Log-normalizer: logsumexp of the logits.
    """

    resp: np.ndarray
    resp_error: np.ndarray
    noise: np.ndarray
    lognorm: np.ndarray
    lognorm_error: np.ndarray


def soft_memberships(logits, error, noise_logit=-np.inf):
    """Return the softmax of logits (n, k), whose errors are bounded by an array of the same shape."""
    everything = np.column_stack([logits, np.full(len(logits), noise_logit)])
    lognorm = logsumexp(everything, axis=1)
    resp = softmax(everything, axis=1)
    # Only clusters that may have a membership matter: a far one may have a large error.
    with np.errstate(over="ignore", invalid="ignore"):
        possible = np.column_stack([logits + error, everything[:, -1:]]) >= (logits - error).max(1)[:, None] - 745
        largest = np.where(possible[:, :-1], error, 0.0).max(1)
        resp_error = resp[:, :-1] * np.expm1(np.minimum(2 * largest, 700.0))[:, None]
    resp_error = np.minimum(np.where(largest[:, None] > 0.1, 1.0, resp_error), 1.0)
    return Memberships(resp[:, :-1], resp_error, resp[:, -1], lognorm, largest)


def log_partition(distance, t, d):
    """Return the log of the normalization constant Z(T) of the density exp(-distance / T) / Z(T)."""
    if distance == "sqeuclidean":
        return d / 2 * np.log(np.pi * t)
    if distance == "euclidean":
        return np.log(2) + d / 2 * np.log(np.pi) - gammaln(d / 2) + gammaln(d) + d * np.log(t)
    return np.vectorize(log_sphere_partition, otypes=[float])(t, d)


def log_sphere_partition(t, d):
    """Return the log of the normalization constant of the von Mises-Fisher distribution, divided by exp(1 / T)."""
    order, kappa = d / 2 - 1, 1 / t
    if kappa < 1e-8:  # nearly uniform
        return np.log(2) + d / 2 * np.log(np.pi) - gammaln(d / 2)
    if kappa > 1e8:  # nearly Gaussian
        return (d - 1) / 2 * np.log(2 * np.pi / kappa)
    return d / 2 * np.log(2 * np.pi) + np.log(ive(order, kappa)) - order * np.log(kappa)


def fuzzy_memberships(d, fuzzifier, noise=np.inf):
    """Return the memberships u of fuzzy c-means at distances (n, k), and those of noise at a distance."""
    everything = np.column_stack([d, np.full(len(d), noise)])
    smallest = everything.min(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(everything > 0, smallest / everything, 1.0)
    weight = ratio ** (1 / (fuzzifier - 1))
    u = weight / weight.sum(1, keepdims=True)
    return u[:, :-1], u[:, -1]


def assert_close(what, got, expected, bound):
    """Raise an AssertionError unless all numbers are finite and within a bound of what is expected."""
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape, f"{what} has shape {got.shape}, expected {expected.shape}"
    assert np.isfinite(got).all(), f"{what} is not finite: {got}"
    excess = np.abs(got - expected) - bound
    if excess.size and excess.max() > 0:
        at = np.unravel_index(excess.argmax(), excess.shape)
        allowed = np.broadcast_to(bound, excess.shape)[at]
        where = "".join(f"[{i}]" for i in at)
        raise AssertionError(f"{what}{where} is {got[at]!r}, expected {expected[at]!r} within {allowed:.3g}")
