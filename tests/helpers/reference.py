"""An independent implementation of soft k-means in NumPy, as a reference for the tests."""

import numpy as np
from scipy.special import logsumexp


def distances(x, c, distance="sqeuclidean"):
    if distance == "cosine":
        x, c = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, c))
        return 1 - x @ c.T
    squared = ((x[:, None, :] - c[None, :, :]) ** 2).sum(-1)
    return squared if distance == "sqeuclidean" else np.sqrt(squared)


def resp(x, c, t, distance="sqeuclidean"):
    logits = -distances(x, c, distance) / t
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))


def free_energy(x, c, t, w=None, distance="sqeuclidean"):
    w = np.ones(len(x)) if w is None else w
    return -t * (w * logsumexp(-distances(x, c, distance) / t, axis=1)).sum()


def distortion(x, c, t, w=None, distance="sqeuclidean"):
    w = np.ones(len(x)) if w is None else w
    return (w[:, None] * resp(x, c, t, distance) * distances(x, c, distance)).sum()


def entropy(x, c, t, w=None, distance="sqeuclidean"):
    w, r = np.ones(len(x)) if w is None else w, resp(x, c, t, distance)
    return -(w[:, None] * np.where(r > 0, r * np.log(np.where(r > 0, r, 1)), 0)).sum()


def inertia(x, c, w=None, distance="sqeuclidean"):
    return ((np.ones(len(x)) if w is None else w) * distances(x, c, distance).min(1)).sum()


def em_step(x, c, t, w=None):
    r = resp(x, c, t) * (np.ones(len(x)) if w is None else w)[:, None]
    return (r.T @ x) / r.sum(0)[:, None]


def em(x, c, t, steps, w=None):
    """Run EM steps on data shifted by its first row, in extended precision, so that an offset loses no digits."""
    origin, long = x[0], np.longdouble
    x, c = (x - origin).astype(long), (c - origin).astype(long)
    for _ in range(steps):
        c = em_step(x, c, t, w)
    return c.astype(np.float64) + origin
