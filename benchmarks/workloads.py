"""Workloads of several sizes: dense ones, where no membership can be skipped, and sparse ones, where most can be."""

from dataclasses import dataclass

import numpy as np

SIZES = [
    (10**6, 2, 5), (10**6, 2, 50), (10**6, 16, 64), (10**5, 64, 100), (10**5, 128, 256), (5 * 10**4, 768, 1000),
]  # fmt: skip


@dataclass(frozen=True, eq=False)  # compared by identity, since arrays have no single truth value
class Workload:
    """Rows (n, d) of float32, centers (k, d), and a temperature."""

    x: np.ndarray
    centers: np.ndarray
    temperature: float

    @property
    def size(self):
        """The numbers of rows, features and clusters."""
        return (*self.x.shape, len(self.centers))


def dense(n, d, k, seed=0):
    """Draw one normal distribution; centers are some of its rows, and memberships have a perplexity of k / 2."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d), np.float32)
    centers = x[rng.choice(n, k, replace=False)]
    return Workload(x, centers, _temperature_of_perplexity(x[:2000], centers, k / 2))


def sparse(n, d, k, seed=0):
    """Draw blobs of variance 1 at least 6 apart; centers are near the optimum, and T is twice the variance."""
    rng = np.random.default_rng(seed)
    means = _separated_means(rng, d, k)
    x = (means[rng.integers(k, size=n)] + rng.standard_normal((n, d))).astype(np.float32)
    return Workload(x, (means + 0.1 * rng.standard_normal((k, d))).astype(np.float32), 2.0)


def _separated_means(rng, d, k):
    """Draw means (k, d) that are at least 6 apart."""
    side = 10.0
    while True:
        means = rng.uniform(-side, side, (k, d))
        gaps = np.linalg.norm(means[:, None] - means[None], axis=2) if k * k * d < 1e8 else _pairwise_distances(means)
        if gaps[~np.eye(k, dtype=bool)].min(initial=np.inf) >= 6:
            return means
        side *= 1.1


def _pairwise_distances(c):
    """Return the distances (k, k) between centers, by a matrix product: differences would take too much memory."""
    squares = (c**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * c @ c.T, 0))


def _temperature_of_perplexity(x, centers, target):
    """Return the T at which the mean perplexity of memberships has a given value, by bisection."""
    x, c = x.astype(float), centers.astype(float)
    d = (x**2).sum(1)[:, None] + (c**2).sum(1) - 2 * x @ c.T
    low, high = 1e-6, 1e9
    for _ in range(60):
        t = np.sqrt(low * high)
        logits = -(d - d.min(1, keepdims=True)) / t
        r = np.exp(logits)
        r /= r.sum(1, keepdims=True)
        perplexity = np.exp(-(r * np.log(np.where(r > 0, r, 1))).sum(1)).mean()
        low, high = (t, high) if perplexity < target else (low, t)
    return float(t)


def overlapping(n, d, k, seed=0, spread=2.0):
    """Draw overlapping blobs, for which EM is slow; the starting centers are some of the rows."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-10, 10, (k, d))
    x = (means[rng.integers(k, size=n)] + spread * rng.standard_normal((n, d))).astype(np.float32)
    return Workload(x, x[rng.choice(n, k, replace=False)], 2.0 * spread**2)
