"""Workloads of several sizes: dense ones, where no membership can be skipped, and sparse ones, where most can be."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfTransformer

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


def csr(n, d, k, density=1e-3, seed=0, dtype=np.float64):
    """Draw a CSR matrix of uniform numbers; memberships have a perplexity of about k / 2."""
    rng = np.random.default_rng(seed)
    x = scipy.sparse.random(n, d, density, format="csr", random_state=rng, dtype=dtype)
    x.sort_indices()
    return Workload(x, 0.01 * rng.random((k, d)).astype(dtype), 0.002)


def texts(n=5000, n_words=8000, n_topics=20, length=120, seed=0):
    """Draw texts as TF-IDF: words common to all, whose frequencies follow Zipf's law, and words of one topic."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, n_words + 1) ** 1.05
    own = [rng.permutation(n_words)[:400] for _ in range(n_topics)]
    words = []
    for topic, mean in zip(rng.integers(n_topics, size=n), length * rng.lognormal(0, 0.5, n), strict=True):
        m = 5 + rng.poisson(mean)
        m_own = rng.binomial(m, 0.35)
        common = rng.choice(n_words, m - m_own, p=frequency / frequency.sum())
        words.append(np.concatenate([common, own[topic][np.minimum(5 * rng.pareto(1.0, m_own), 399).astype(int)]]))
    starts, flat = np.cumsum([0, *map(len, words)]), np.concatenate(words)
    counts = scipy.sparse.csr_matrix((np.ones(len(flat)), flat, starts), (n, n_words))
    counts.sum_duplicates()
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts)
