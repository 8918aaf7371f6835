"""Compare the metrics with brute force over rows and pairs, and test properties that all metrics have."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers.partitions import Problem, complete, entropy, problem
from softkmeans import InputError, metrics
from softkmeans.data import Source, as_source
from softkmeans.metrics import _inputs, agreement, separation


def fuzzy(variant, **settings):
    """Return a function of a problem and weights to the fuzzy silhouette."""
    return lambda p, **weights: metrics.fuzzy_silhouette(p.x, p.a, variant=variant, **settings, **weights)


def information(method):
    """Return a function of a problem and weights to the mutual information."""
    return lambda p, **weights: metrics.soft_mutual_information(p.a, p.b, average_method=method, **weights)


# Functions from a problem to a number.
SCALARS = {
    "partition_coefficient": lambda p, **weights: metrics.partition_coefficient(p.a, **weights),
    "modified_partition_coefficient": lambda p, **weights: metrics.modified_partition_coefficient(p.a, **weights),
    "partition_entropy": lambda p, **weights: metrics.partition_entropy(p.a, **weights),
    "effective_n_clusters": lambda p, **weights: metrics.effective_n_clusters(p.a, **weights),
    "xie_beni": lambda p, **weights: metrics.xie_beni(p.x, p.a, p.c, **weights),
    "xie_beni, m = 1.4": lambda p, **weights: metrics.xie_beni(p.x, p.a, p.c, fuzzifier=1.4, **weights),
    "fuzzy_silhouette": fuzzy("centers"),
    "fuzzy_silhouette, centers": lambda p, **weights: metrics.fuzzy_silhouette(p.x, p.a, p.c, alpha=2, **weights),
    "fuzzy_silhouette, exact": fuzzy("exact"),
    "fuzzy_silhouette, exact, alpha = 0": fuzzy("exact", alpha=0),
    "soft_adjusted_rand": lambda p, **weights: metrics.soft_adjusted_rand(p.a, p.b, **weights),
    "soft_mutual_information": information(None),
} | {f"soft_mutual_information, {method}": information(method) for method in agreement.AVERAGES}

SINGLE = [name for name in SCALARS if not name.startswith("soft")]
PAIRS = [name for name in SCALARS if name.startswith("soft")]


# The same by brute force, row by row and pair by pair, with the formulas of the papers.


def normalize(resp):
    """Return the memberships divided by their sums, and the sums."""
    s = resp.sum(1)
    return np.divide(resp, s[:, None], out=np.zeros_like(resp), where=s[:, None] > 0), s


def mean_over_rows(p, of_row):
    """Return the mean of a function of row index and normalized memberships, weighted by the sums of memberships."""
    u, s = normalize(p.a)
    return sum(s[i] * of_row(i, u[i]) for i in range(len(u))) / s.sum()


def brute_coefficient(p):
    return mean_over_rows(p, lambda i, u: sum(u**2))


def brute_modified(p):
    k = p.a.shape[1]
    return (k * brute_coefficient(p) - 1) / (k - 1)


def brute_effective(p):
    u, s = normalize(p.a)
    return math.exp(entropy(np.average(u, axis=0, weights=s)))


def brute_xie_beni(m):
    def index(p):
        compact = mean_over_rows(p, lambda i, u: sum(u**m * cdist(p.x[i : i + 1], p.c)[0] ** 2))
        return compact / min(math.dist(*pair) ** 2 for pair in itertools.combinations(p.c, 2))

    return index


def brute_silhouette(alpha, exact=False, given=False):
    def index(p):
        u, s = normalize(p.a)
        labels = u.argmax(1)
        c = p.c if given else (p.a.T @ p.x) / p.a.sum(0)[:, None]

        def to_cluster(i, k):
            others = [j for j in range(len(u)) if labels[j] == k and j != i and s[j] > 0]
            if not exact:
                return None if k == labels[i] and not others else math.dist(p.x[i], c[k])
            return np.average([math.dist(p.x[i], p.x[j]) for j in others], weights=s[others]) if others else None

        def width(i):
            own = to_cluster(i, labels[i])
            others = [to_cluster(i, k) for k in range(u.shape[1]) if k != labels[i]]
            near = min((d for d in others if d is not None), default=None)
            return 0.0 if own is None or near is None else (near - own) / max(near, own)

        weight = [s[i] * (np.sort(u[i])[-1] - np.sort(u[i])[-2]) ** alpha for i in range(len(u))]
        return np.average([width(i) for i in range(len(u))], weights=weight)

    return index


def brute_rand(p):
    """Return the adjusted Frobenius Rand index from matrices (n, n), with its mean over all orders of the rows."""
    n, (a, b) = len(p.a), (complete(r) @ complete(r).T for r in (p.a, p.b))
    a, b = (m * m.sum() / (m**2).sum() for m in (a, b))

    def rand(b):
        return ((a * b).sum() + ((1 - a) * (1 - b)).sum() - n) / (n * (n - 1))

    chance = np.mean([rand(b[np.ix_(order, order)]) for order in itertools.permutations(range(n))])
    return (rand(b) - chance) / (1 - chance)


def brute_information(mean):
    def index(p):
        a, b = complete(p.a), complete(p.b)
        joint = sum(np.outer(a[i], b[i]) for i in range(len(a))) / len(a)
        h_a, h_b = entropy(a.mean(0)), entropy(b.mean(0))
        return (h_a + h_b - entropy(joint)) / mean(h_a, h_b)

    return index


BRUTE = {
    "partition_coefficient": brute_coefficient,
    "modified_partition_coefficient": brute_modified,
    "partition_entropy": lambda p: mean_over_rows(p, lambda i, u: entropy(u)),
    "effective_n_clusters": brute_effective,
    "xie_beni": brute_xie_beni(2),
    "xie_beni, m = 1.4": brute_xie_beni(1.4),
    "fuzzy_silhouette": brute_silhouette(1),
    "fuzzy_silhouette, centers": brute_silhouette(2, given=True),
    "fuzzy_silhouette, exact": brute_silhouette(1, exact=True),
    "fuzzy_silhouette, exact, alpha = 0": brute_silhouette(0, exact=True),
    "soft_adjusted_rand": brute_rand,
    "soft_mutual_information": brute_information(lambda h_a, h_b: 1),
    "soft_mutual_information, arithmetic": brute_information(lambda h_a, h_b: (h_a + h_b) / 2),
    "soft_mutual_information, geometric": brute_information(lambda h_a, h_b: (h_a * h_b) ** 0.5),
    "soft_mutual_information, min": brute_information(min),
    "soft_mutual_information, max": brute_information(max),
}


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SCALARS)
def test_brute_force(name, seed, noise):
    p = problem(seed, noise=noise)
    found = SCALARS[name](p)
    assert isinstance(found, float)
    assert found == pytest.approx(BRUTE[name](p), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("name", SCALARS)
def test_a_weight_is_equivalent_to_a_repeated_row(name, noise):
    p, weight = problem(1, n=12, noise=noise), np.array([0, 1, 2, 3, 1, 1, 2, 5, 0, 1, 4, 1])
    repeated = p.take(np.repeat(np.arange(12), weight))
    assert SCALARS[name](p, sample_weight=weight) == pytest.approx(SCALARS[name](repeated), rel=1e-11)
    assert SCALARS[name](p, sample_weight=weight.tolist()) == SCALARS[name](p, sample_weight=torch.tensor(weight))


@pytest.mark.parametrize("name", SCALARS)
def test_scaling_weights_up_to_one_changes_nothing(name):
    p, weight = problem(2, n=12), np.random.default_rng(0).uniform(0.1, 1, 12)
    expected = SCALARS[name](p, sample_weight=weight)
    assert SCALARS[name](p, sample_weight=weight / weight.sum()) == pytest.approx(expected, rel=1e-11)
    equal = SCALARS[name](p, sample_weight=np.full(12, 0.01))
    assert equal == pytest.approx(SCALARS[name](p), rel=1e-11)


@pytest.mark.parametrize("name", SCALARS)
def test_the_order_of_rows_and_clusters_changes_nothing(name):
    p, rng = problem(3, n=40, noise=True), np.random.default_rng(1)
    rows, clusters, others = rng.permutation(40), rng.permutation(3), rng.permutation(4)
    shuffled = p.take(rows)._replace(a=p.a[rows][:, clusters], b=p.b[rows][:, others], c=p.c[clusters])
    assert SCALARS[name](shuffled) == pytest.approx(SCALARS[name](p), rel=1e-11)


class Chopped(Source):
    """A source with small blocks, as a file may have."""

    def __init__(self, rows, size):
        self.inner, self.size = as_source(rows), size
        self.n_rows, self.n_features = rows.shape
        self.device, self.dtype = self.inner.device, self.inner.dtype

    def blocks(self):
        return (piece for block in self.inner.blocks() for piece in block.split(self.size))

    def sample(self, rows, weight=None):
        raise NotImplementedError


FORMS = {
    "lists": lambda m: m.tolist(),
    "frame": pd.DataFrame,
    "float32": lambda m: m.astype(np.float32),
    "columns first": np.asfortranarray,
    "float32 tensor": lambda m: torch.tensor(m, dtype=torch.float32),
    "tensor with a gradient": lambda m: torch.tensor(m, requires_grad=True),
    "half precision": lambda m: torch.tensor(m, dtype=torch.float16),
    "source in blocks": lambda m: Chopped(m, 3 + m.shape[1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SCALARS)
def test_forms_of_the_same_tables(name, form):
    p = problem(4, n=30)
    found = SCALARS[name](p.map(FORMS[form]))
    assert found == pytest.approx(SCALARS[name](p), rel={"half": 2e-2, "floa": 1e-5}.get(form[:4], 1e-12))


@pytest.mark.parametrize("name", SCALARS)
def test_small_blocks_change_nothing(name, monkeypatch):
    p, weight = problem(5, n=50, noise=True), np.random.default_rng(2).uniform(0, 2, 50)
    expected = SCALARS[name](p, sample_weight=weight)
    for module in (_inputs, separation):
        monkeypatch.setattr(module, "BLOCK", 64)
    assert SCALARS[name](p, sample_weight=weight) == pytest.approx(expected, rel=1e-11)


class Largest(TorchDispatchMode):
    """Record the number of elements of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(t.numel() for t in tree_leaves(result) if isinstance(t, torch.Tensor))])
        return result


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCALARS if "exact" not in name])
def test_a_million_rows_in_little_memory(name):
    rng = np.random.default_rng(0)
    a = rng.random((1_000_000, 8), dtype=np.float32)
    a /= a.sum(1, keepdims=True)
    p = Problem(rng.random((1_000_000, 2), dtype=np.float32), a, a[:, ::-1], rng.random((8, 2)))
    with Largest() as largest:
        assert math.isfinite(SCALARS[name](p))
    assert 0 < largest.numel < 400_000  # the memberships have 8 million elements


# Errors. Each function of memberships is in one of the tables.

OTHERS = {
    "uncertainty": lambda p, **weights: metrics.uncertainty(p.a),
    "align": lambda p, **weights: metrics.align(p.a, p.b, **weights),
    "silhouette_samples": lambda p, **weights: metrics.silhouette_samples(p.x, p.a, **weights),
    "reliability": lambda p, **weights: metrics.reliability(p.a, [0, 1, 2, 0, 1, -1], **weights),
    "expected_calibration_error": lambda p, **weights: metrics.expected_calibration_error(p.a, [0] * 6, **weights),
}
EVERY = SCALARS | OTHERS


def test_every_function_is_tested():
    assert {name.split(",")[0] for name in EVERY} == {name for name in metrics.__all__ if name.islower()}


def spoilt(value, row=2, column=1):
    """Return memberships with one invalid entry."""
    a = problem().a
    a[row, column] = value
    return a


BAD = {
    "NaN": (spoilt(np.nan), r"resp(_a)? contains NaN or infinity: 1 of 18 entries, the first in row 2, column 1"),
    "negative": (spoilt(-0.1), r"resp(_a)? has entries outside \[0, 1\], the first in row 2 .* predict_proba"),
    "above 1": (spoilt(1.1), r"resp(_a)? has entries outside \[0, 1\], the first in row 2 .* predict_proba"),
    "sum above 1": (np.full((6, 3), 0.5), r"row 0 of resp(_a)? .*sums to 1.5, expected at most 1: divide rows"),
    "labels": (np.array([0, 1, 1, 0, 2, 2]), r"resp(_a)? has one dimension, .*: for labels, give np.eye\(k\)"),
    "three dimensions": (np.ones((6, 3, 1)), r"resp(_a)? has shape \(6, 3, 1\)"),
    "no cluster": (np.ones((6, 0)), r"resp(_a)? has shape \(6, 0\)"),
    "complex": (np.ones((6, 3)) * 1j, r"resp(_a)? is of type complex128, expected real numbers: convert it first"),
    "ragged": ([[1.0], [0.5, 0.5]], r"resp(_a)?'s rows differ in length: give each row the same number of values"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", EVERY)
def test_bad_memberships(name, bad):
    resp, message = BAD[bad]
    with pytest.raises(InputError, match=message) as caught:
        EVERY[name](problem()._replace(a=resp))
    assert "\n" not in str(caught.value)


def test_a_bad_row_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setattr(_inputs, "BLOCK", 7)
    with pytest.raises(InputError, match="first in row 2 "):
        metrics.partition_coefficient(spoilt(-0.1))
    with pytest.raises(InputError, match="row 5 of resp "):
        metrics.partition_coefficient(np.vstack([np.eye(3), np.eye(3)[:2], np.ones((1, 3))]))


@pytest.mark.parametrize("weight", [np.ones(5), np.zeros(6), np.full(6, -1.0), np.full(6, np.nan)])
@pytest.mark.parametrize("name", [name for name in EVERY if name != "uncertainty"])
def test_bad_weights(name, weight):
    with pytest.raises(InputError, match="sample_weight"):
        EVERY[name](problem(), sample_weight=weight)


@pytest.mark.parametrize("name", SINGLE)
def test_noise_only_raises_or_gives_silhouette_zero(name):
    p = problem(noise=True)
    weight = (p.a.sum(1) == 0) * 1.0  # only rows that belong to no cluster
    if "silhouette" in name:
        assert SCALARS[name](p, sample_weight=weight) == 0
    else:
        with pytest.raises(InputError, match="resp is 0 in all rows that have weight"):
            SCALARS[name](p, sample_weight=weight)


@pytest.mark.parametrize("name", [*PAIRS, "align"])
def test_comparisons_need_the_same_rows(name):
    with pytest.raises(InputError, match="resp_a has 6 rows and resp_b has 5 rows: give the same rows in both"):
        EVERY[name](problem()._replace(b=problem().b[:5]))
    with pytest.raises(InputError, match="resp_b has entries outside"):
        EVERY[name](problem()._replace(b=-problem().b))


@pytest.mark.parametrize("name", ["xie_beni", "fuzzy_silhouette, centers"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": problem().x[:4]}, "X has 4 rows and resp has 6 rows: give the same rows in both"),
        ({"x": problem().x[:, 0]}, r"X has shape \(6,\)"),
        ({"x": np.full((6, 2), np.inf)}, "X contains NaN or infinity"),
        ({"c": problem().c[:2]}, r"centers has shape \(2, 2\), expected \(k, d\) = \(3, 2\): give one center for each"),
        ({"c": np.full((3, 2), np.nan)}, "centers contains NaN or infinity"),
        ({"a": np.ones((6, 1))}, "resp has one column, but separation is not defined for one cluster"),
        (
            {"x": as_source(problem().x, np.ones(6))},
            "weights in a Source are supported only for resp .*: give them as sample_weight",
        ),
    ],
)
def test_bad_geometry(name, change, message):
    with pytest.raises(InputError, match=message):
        SCALARS[name](problem()._replace(**change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: metrics.xie_beni(p.x, p.a, p.c, fuzzifier=0.9), "fuzzifier=0.9: give a finite number of 1 or more"),
        (lambda p: metrics.xie_beni(p.x, p.a, p.c, fuzzifier="2"), "fuzzifier='2': give a finite number of 1 or more"),
        (lambda p: metrics.fuzzy_silhouette(p.x, p.a, alpha=-1), "alpha=-1: give a finite number of 0 or more"),
        (lambda p: metrics.fuzzy_silhouette(p.x, p.a, variant="fast"), "variant='fast' .* centers, exact"),
        (lambda p: metrics.uncertainty(p.a, kind="gini"), "kind='gini' .* complement, margin, entropy"),
        (lambda p: metrics.soft_mutual_information(p.a, p.b, average_method=0), "average_method=0 .* or None"),
        (lambda p: metrics.modified_partition_coefficient(np.ones((3, 1))), "resp has one column"),
    ],
)
def test_bad_settings(call, message):
    with pytest.raises(InputError, match=message):
        call(problem())


@pytest.mark.parametrize("name", EVERY)
def test_inputs_are_not_changed(name):
    p = problem(noise=True)
    before = p.map(np.copy)
    EVERY[name](p)
    for now, then in zip(p, before, strict=True):
        np.testing.assert_array_equal(now, then)
