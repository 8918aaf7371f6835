"""Values that no fit accepts, by parameter."""

import numpy as np

NUMBERS = [0, -1, float("nan"), float("inf"), "x", None, [], 10**400]
INTEGERS = [0, -1, 1.5, float("nan"), "x", None, [2]]

EVERYWHERE = {
    "n_clusters": [*INTEGERS, 10**9],
    "solver": ["newton", None, 3, []],
    "init": ["best", None, 7],
    "n_init": INTEGERS,
    "max_iter": INTEGERS,
    "tol": [-1, float("nan"), "x", None, []],
    "distance": ["l1", None, 5],
    "noise_distance": [number for number in NUMBERS if number is not None],
    "dtype": ["int32", "float8", 5, "x"],
    "device": ["abacus", 2.5],
    "random_state": ["x", -1, 1.5],
    "growing_sample": ["x", 2, None],
}
MIXTURE = {
    "temperature": [*NUMBERS, "hot", "perplexity:0.5", "perplexity:x", "critical:-1", "critical:nan", [[1.0]]],
    "priors": ["equal", None, 3, [], "x", [[1.0]]],
    "update": ["median", None],
    "assignment": ["hard", None, 2],
    "local_search": ["x", 2, None],
}
FUZZY = {"fuzzifier": [1, 0.5, float("nan"), float("inf"), "x", None, []]}


def draw(rng, case):
    """Draw what is invalid, "X", "sample_weight" or "parameter", and its value."""
    place = rng.random()
    if place < 0.15:
        return "X", spoil_rows(rng, case.x)
    if place < 0.3:
        return "sample_weight", spoil_weights(rng, case.weights)
    if place < 0.45:
        return "parameter", spoil_array(rng, case)
    table = EVERYWHERE | (FUZZY if "fuzzifier" in case.parameters else MIXTURE)
    name = list(table)[rng.integers(len(table))]
    return "parameter", {name: table[name][rng.integers(len(table[name]))]}


def spoil_rows(rng, x):
    """Return the rows with an entry that is not finite."""
    x = x.astype(np.float64)
    x[rng.integers(len(x)), rng.integers(x.shape[1])] = rng.choice([np.nan, np.inf, -np.inf])
    return x


def spoil_weights(rng, w):
    """Return weights that are negative, not finite, too many, all 0, or no numbers."""
    bad = w.copy()
    bad[rng.integers(len(w))] = rng.choice([-1.0, np.nan, np.inf, -np.inf])
    return [bad, np.ones(len(w) + 1), np.zeros(len(w)), ["x"] * len(w), bad[:, None], -1.0][rng.integers(6)]


def spoil_array(rng, case):
    """Return an array of a wrong shape, or with an invalid entry, as a parameter."""
    k, d = case.parameters["n_clusters"], case.x.shape[1]
    start, some = np.ones((k, d)), int(rng.integers(d))
    with_nan = start.copy()
    with_nan[0, some] = np.nan
    choices = [
        {"init": np.ones((k + 1, d))}, {"init": np.ones((k, d + 1))}, {"init": with_nan}, {"init": np.ones(d)},
        {"init": "random", "frozen": [True] * k}, {"init": start, "frozen": [True] * (k + 1)},
        {"init": start, "frozen": [1] * k}, {"init": start, "frozen": "x"}, {"init": np.full((k, d), "x")},
    ]  # fmt: skip
    if "fuzzifier" not in case.parameters:
        zero, negative = np.full(k, 1 / k), np.full(k, 1 / k)
        zero[0], negative[0] = 0.0, -0.5
        choices += [
            {"priors": np.full(k + 1, 1 / (k + 1))}, {"priors": zero}, {"priors": negative},
            {"priors": np.full(k, 2.0)}, {"priors": np.full(k, np.nan)}, {"temperature": [1.0] * (k + 1)},
            {"temperature": [-1.0] * k}, {"temperature": [float("nan")] * k},
        ]  # fmt: skip
    return choices[rng.integers(len(choices))]
