"""Small soft partitions, for tests of metrics."""

import math
from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """Rows x (n, d), memberships a (n, k) and b (n, l) in two clusterings, and centers c (k, d) of the first."""

    x: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    def take(self, rows):
        """Return the problem with a selection of the rows."""
        return Problem(self.x[rows], self.a[rows], self.b[rows], self.c)

    def map(self, fn):
        """Return the problem with a function applied to each of its tables."""
        return Problem(*map(fn, self))


def problem(seed=0, n=6, k=3, noise=False, d=2):
    """Return a random problem whose first row is crisp; with noise, rows sum to less than 1 and row 1 of a to 0."""
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.full(size, 0.5), n) for size in (k, k + 1))
    a[0] = np.eye(k)[0]
    if noise:
        a, b = a * rng.uniform(0.1, 1, (n, 1)), b * rng.choice([0.5, 1.0], (n, 1))
        a[1] = 0
    return Problem(rng.normal(size=(n, d)), a, b, rng.normal(size=(k, d)))


def entropy(probabilities):
    """Return the entropy of probabilities, in nats."""
    return -sum(q * math.log(q) for q in np.ravel(probabilities) if q > 0)


def complete(resp):
    """Return the memberships (n, k + 1) with the noise as last column."""
    return np.column_stack([resp, 1 - resp.sum(1)])
