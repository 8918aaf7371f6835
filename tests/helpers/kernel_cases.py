"""Cases of distances and assignment rules for the tests of kernels."""

from functools import partial

import numpy as np

from softkmeans.distances import DISTANCES, as_distance
from softkmeans.model.assignment import Fuzzy, Softmax

MEAN_UPDATE = "euclidean, mean"
DISTANCE_CASES = {**{name: partial(as_distance, name) for name in DISTANCES}}
DISTANCE_CASES[MEAN_UPDATE] = lambda: as_distance("euclidean").with_mean_update()


def softmax_case(spread=1.0, noise=None, priors=False):
    """Return a function that makes temperatures within a factor, priors, and a noise cluster at a distance."""

    def make(k, mean, rng):
        beta = 1 / (0.3 * mean * np.geomspace(1, spread, k)[rng.permutation(k)])
        b = rng.normal(size=k) if priors else np.zeros(k)
        return beta, b, Softmax() if noise is None else Softmax(-noise * mean * beta.max())

    return make


def fuzzy_case(fuzzifier, noise=None):
    def make(k, mean, _):
        return np.ones(k), np.zeros(k), Fuzzy(fuzzifier) if noise is None else Fuzzy(fuzzifier, -noise * mean)

    return make


RULE_CASES = {
    "softmax": softmax_case(priors=True),
    "per cluster": softmax_case(spread=10.0, priors=True),
    "per cluster, far apart": softmax_case(spread=1e5),
    "noise": softmax_case(noise=0.5),
    "per cluster, noise": softmax_case(spread=4.0, noise=1.0, priors=True),
    "m = 2": fuzzy_case(2.0),
    "m = 1.1": fuzzy_case(1.1),
    "m = 1.7": fuzzy_case(1.7),
    "m = 4": fuzzy_case(4.0),
    "m = 2, noise": fuzzy_case(2.0, 0.5),
    "m = 1.7, noise": fuzzy_case(1.7, 1.0),
}
CASES = [(distance, rule) for distance in DISTANCE_CASES for rule in RULE_CASES]
SUMS = ("n", "weight", "irls_weight", "weighted_sum", "distortion", "kink_weight", "objective")
