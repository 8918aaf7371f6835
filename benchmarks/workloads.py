"""The workloads: sizes, each as dense work, where nothing can be skipped, and as sparse work, where most can be."""

from dataclasses import dataclass

import numpy as np

SIZES = [
    (10**6, 2, 5), (10**6, 2, 50), (10**6, 16, 64), (10**5, 64, 100), (10**5, 128, 256), (5 * 10**4, 768, 1000),
]  # fmt: skip


@dataclass(frozen=True, eq=False)  # the same only as itself
class Workload:
    """Rows (n, d) of float32, centers (k, d), and a temperature."""

    x: np.ndarray
    centers: np.ndarray
    temperature: float

    @property
    def size(self):
        return (*self.x.shape, len(self.centers))


def dense(n, d, k, seed=0):
    """One cloud, centers among its rows, and T so that a row is spread over half the clusters."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d), np.float32)
    centers = x[rng.choice(n, k, replace=False)]
    return Workload(x, centers, _temperature_of_perplexity(x[:2000], centers, k / 2))


def sparse(n, d, k, seed=0):
    """Blobs of variance 1 at least 6 apart, T twice the variance, and centers near the optimum."""
    rng = np.random.default_rng(seed)
    means = _apart(rng, d, k)
    x = (means[rng.integers(k, size=n)] + rng.standard_normal((n, d))).astype(np.float32)
    return Workload(x, (means + 0.1 * rng.standard_normal((k, d))).astype(np.float32), 2.0)


def _apart(rng, d, k):
    side = 10.0
    while True:
        means = rng.uniform(-side, side, (k, d))
        gaps = np.linalg.norm(means[:, None] - means[None], axis=2) if k * k * d < 1e8 else _gaps(means)
        if gaps[~np.eye(k, dtype=bool)].min(initial=np.inf) >= 6:
            return means
        side *= 1.1


def _gaps(c):
    squares = (c**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * c @ c.T, 0))


def _temperature_of_perplexity(x, centers, wanted):
    """T at which a row is spread over so many clusters, by bisection."""
    x, c = x.astype(float), centers.astype(float)
    d = (x**2).sum(1)[:, None] + (c**2).sum(1) - 2 * x @ c.T
    low, high = 1e-6, 1e9
    for _ in range(60):
        t = np.sqrt(low * high)
        logits = -(d - d.min(1, keepdims=True)) / t
        r = np.exp(logits)
        r /= r.sum(1, keepdims=True)
        perplexity = np.exp(-(r * np.log(np.where(r > 0, r, 1))).sum(1)).mean()
        low, high = (t, high) if perplexity < wanted else (low, t)
    return float(t)


def overlapping(n, d, k, seed=0, spread=2.0):
    """Blobs that overlap, with starting centers among the rows: where EM is slow."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-10, 10, (k, d))
    x = (means[rng.integers(k, size=n)] + spread * rng.standard_normal((n, d))).astype(np.float32)
    return Workload(x, x[rng.choice(n, k, replace=False)], 2.0 * spread**2)
