"""The metrics of soft clusterings against brute force over rows and pairs, hand-made cases and scikit-learn."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score, mutual_info_score, normalized_mutual_info_score, silhouette_score
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from softkmeans import InputError, metrics
from softkmeans.data import Source, as_source
from softkmeans.metrics import agreement, parts, separation


class Problem(NamedTuple):
    """Rows x (n, d), memberships a (n, k) and b (n, l) in two clusterings, and centres c (k, d) of the first."""

    x: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    def take(self, rows):
        return Problem(self.x[rows], self.a[rows], self.b[rows], self.c)

    def map(self, fn):
        return Problem(*map(fn, self))


def problem(seed=0, n=6, k=3, noise=False, d=2):
    """Rows of all sorts, the first of them crisp; with noise, rows sum to less than 1, one of them to 0."""
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.full(size, 0.5), n) for size in (k, k + 1))
    a[0] = np.eye(k)[0]
    if noise:
        a, b = a * rng.uniform(0.1, 1, (n, 1)), b * rng.choice([0.5, 1.0], (n, 1))
        a[1] = 0
    return Problem(rng.normal(size=(n, d)), a, b, rng.normal(size=(k, d)))


def fuzzy(variant, **settings):
    return lambda p, **weights: metrics.fuzzy_silhouette(p.x, p.a, variant=variant, **settings, **weights)


def information(method):
    return lambda p, **weights: metrics.soft_mutual_information(p.a, p.b, average_method=method, **weights)


# Functions of a problem to a number.
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
KINDS = ["complement", "margin", "entropy"]


# The same by brute force, row by row and pair by pair, as the papers have them.


def shares(resp):
    """Memberships among clusters, and how much of a row belongs to any."""
    s = resp.sum(1)
    return np.divide(resp, s[:, None], out=np.zeros_like(resp), where=s[:, None] > 0), s


def mean_over_rows(p, of_row):
    u, s = shares(p.a)
    return sum(s[i] * of_row(i, u[i]) for i in range(len(u))) / s.sum()


def entropy(probabilities):
    return -sum(q * math.log(q) for q in np.ravel(probabilities) if q > 0)


def brute_coefficient(p):
    return mean_over_rows(p, lambda i, u: sum(u**2))


def brute_modified(p):
    k = p.a.shape[1]
    return (k * brute_coefficient(p) - 1) / (k - 1)


def brute_effective(p):
    u, s = shares(p.a)
    return math.exp(entropy(np.average(u, axis=0, weights=s)))


def brute_xie_beni(m):
    def of(p):
        compact = mean_over_rows(p, lambda i, u: sum(u**m * cdist(p.x[i : i + 1], p.c)[0] ** 2))
        return compact / min(math.dist(*pair) ** 2 for pair in itertools.combinations(p.c, 2))

    return of


def brute_silhouette(alpha, exact=False, given=False):
    def of(p):
        u, s = shares(p.a)
        labels = u.argmax(1)
        c = p.c if given else (p.a.T @ p.x) / p.a.sum(0)[:, None]

        def to_cluster(i, k):
            if not exact:
                return math.dist(p.x[i], c[k])
            others = [j for j in range(len(u)) if labels[j] == k and j != i and s[j] > 0]
            return np.average([math.dist(p.x[i], p.x[j]) for j in others], weights=s[others]) if others else None

        def width(i):
            own = to_cluster(i, labels[i])
            others = [to_cluster(i, k) for k in range(u.shape[1]) if k != labels[i]]
            others = [d for d in others if d is not None]
            return 0.0 if own is None or not others else (min(others) - own) / max(min(others), own)

        weight = [s[i] * (np.sort(u[i])[-1] - np.sort(u[i])[-2]) ** alpha for i in range(len(u))]
        return np.average([width(i) for i in range(len(u))], weights=weight)

    return of


def complete(resp):
    return np.column_stack([resp, 1 - resp.sum(1)])


def brute_rand(p):
    """Frobenius Rand index by matrices (n, n), and its mean over all orders of the rows."""
    a, b = (complete(r) @ complete(r).T for r in (p.a, p.b))
    n = len(a)
    a, b = (m * m.sum() / (m**2).sum() for m in (a, b))

    def rand(b):
        return ((a * b).sum() + ((1 - a) * (1 - b)).sum() - n) / (n * (n - 1))

    chance = np.mean([rand(b[np.ix_(order, order)]) for order in itertools.permutations(range(n))])
    return (rand(b) - chance) / (1 - chance)


def brute_information(mean):
    def of(p):
        a, b = complete(p.a), complete(p.b)
        joint = sum(np.outer(a[i], b[i]) for i in range(len(a))) / len(a)
        h_a, h_b = entropy(a.mean(0)), entropy(b.mean(0))
        return (h_a + h_b - entropy(joint)) / mean(h_a, h_b)

    return of


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
def test_a_weight_is_a_repetition(name, noise):
    p, weight = problem(1, n=12, noise=noise), np.array([0, 1, 2, 3, 1, 1, 2, 5, 0, 1, 4, 1])
    repeated = p.take(np.repeat(np.arange(12), weight))
    assert SCALARS[name](p, sample_weight=weight) == pytest.approx(SCALARS[name](repeated), rel=1e-11)
    assert SCALARS[name](p, sample_weight=weight.tolist()) == SCALARS[name](p, sample_weight=torch.tensor(weight))


@pytest.mark.parametrize("name", SCALARS)
def test_the_scale_of_weights_up_to_one_plays_no_part(name):
    p, weight = problem(2, n=12), np.random.default_rng(0).uniform(0.1, 1, 12)
    expected = SCALARS[name](p, sample_weight=weight)
    assert SCALARS[name](p, sample_weight=weight / weight.sum()) == pytest.approx(expected, rel=1e-11)
    equal = SCALARS[name](p, sample_weight=np.full(12, 0.01))
    assert equal == pytest.approx(SCALARS[name](p), rel=1e-11)


@pytest.mark.parametrize("name", SCALARS)
def test_order_of_rows_and_of_clusters_plays_no_part(name):
    p, rng = problem(3, n=40, noise=True), np.random.default_rng(1)
    rows, clusters, others = rng.permutation(40), rng.permutation(3), rng.permutation(4)
    shuffled = p.take(rows)._replace(a=p.a[rows][:, clusters], b=p.b[rows][:, others], c=p.c[clusters])
    assert SCALARS[name](shuffled) == pytest.approx(SCALARS[name](p), rel=1e-11)


class Chopped(Source):
    """Rows in blocks of a few, as they may come from files."""

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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SCALARS)
def test_forms_of_the_same_tables(name, form):
    p = problem(4, n=30)
    found = SCALARS[name](p.map(FORMS[form]))
    assert found == pytest.approx(SCALARS[name](p), rel={"half": 2e-2, "floa": 1e-5}.get(form[:4], 1e-12))


@pytest.mark.parametrize("name", SCALARS)
def test_pieces_of_rows(name, monkeypatch):
    p, weight = problem(5, n=50, noise=True), np.random.default_rng(2).uniform(0, 2, 50)
    expected = SCALARS[name](p, sample_weight=weight)
    for module in (parts, separation):
        monkeypatch.setattr(module, "BLOCK", 64)
    assert SCALARS[name](p, sample_weight=weight) == pytest.approx(expected, rel=1e-11)


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor has that anything gives."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(t.numel() for t in tree_leaves(answer) if isinstance(t, torch.Tensor))])
        return answer


@pytest.mark.parametrize("name", [name for name in SCALARS if "exact" not in name])
def test_a_million_rows_in_little_memory(name):
    rng = np.random.default_rng(0)
    a = rng.random((1_000_000, 8), dtype=np.float32)
    a /= a.sum(1, keepdims=True)
    p = Problem(rng.random((1_000_000, 2), dtype=np.float32), a, a[:, ::-1], rng.random((8, 2)))
    with Largest() as largest:
        assert math.isfinite(SCALARS[name](p))
    assert 0 < largest.numel < 400_000  # of the 8 million of the memberships


def test_the_exact_silhouette_has_tiles_of_distances(monkeypatch):
    sizes, distances = [], torch.cdist

    def counting(x, y, **options):
        sizes.append(len(x) * len(y))
        return distances(x, y, **options)

    monkeypatch.setattr(torch, "cdist", counting)
    p = problem(6, n=3000)
    found = metrics.fuzzy_silhouette(p.x, np.eye(3)[p.a.argmax(1)], variant="exact")
    assert found == pytest.approx(silhouette_score(p.x, p.a.argmax(1)), rel=1e-11)
    assert max(sizes) <= 2**18
    assert sum(sizes) == 3000**2


# Crisp clusterings, where scikit-learn has the answer. -1 is noise: a row of zeros.


def crisp(labels, k):
    return np.vstack([np.eye(k), np.zeros(k)])[np.asarray(labels)]


LABELS = st.integers(2, 12).flatmap(lambda n: st.tuples(*[st.lists(st.integers(-1, 3), min_size=n, max_size=n)] * 2))


@settings(max_examples=150, deadline=None)
@given(labels=LABELS)
def test_crisp_comparisons_are_scikit_learns(labels):
    a, b = (crisp(one, 4) for one in labels)
    assert metrics.soft_adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(*labels), abs=1e-12)
    assert metrics.soft_mutual_information(a, b) == pytest.approx(mutual_info_score(*labels), abs=1e-12)
    for method in agreement.AVERAGES:
        expected = normalized_mutual_info_score(*labels, average_method=method)
        assert metrics.soft_mutual_information(a, b, average_method=method) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(0, 2), min_size=4, max_size=12), seed=st.integers(0, 99), alpha=st.floats(0, 5))
def test_the_crisp_exact_silhouette_is_scikit_learns(labels, seed, alpha):
    assume(1 < len(set(labels)) < len(labels))
    x = np.random.default_rng(seed).normal(size=(len(labels), 2))
    far = x + 1e6  # where squares, which scikit-learn works with, have lost their digits
    found = metrics.fuzzy_silhouette(far, crisp(labels, 3), alpha=alpha, variant="exact")
    assert found == pytest.approx(silhouette_score(x, labels), abs=1e-8)


@pytest.mark.parametrize("k", [2, 5])
def test_crisp_and_flat_memberships_are_the_ends_of_the_scale(k):
    sharp, flat = np.eye(k)[np.arange(3 * k) % k], np.full((3 * k, k), 1 / k)
    for resp, coefficient, modified, entropy_ in [(sharp, 1, 1, 0), (flat, 1 / k, 0, math.log(k))]:
        assert metrics.partition_coefficient(resp) == pytest.approx(coefficient, rel=1e-14)
        assert metrics.modified_partition_coefficient(resp) == pytest.approx(modified, abs=1e-14)
        assert metrics.partition_entropy(resp) == pytest.approx(entropy_, abs=1e-14)
        assert metrics.effective_n_clusters(resp) == pytest.approx(k, rel=1e-14)
    assert metrics.effective_n_clusters(crisp([0] * 5, k)) == 1
    assert metrics.fuzzy_silhouette(flat, flat) == 0  # no row has a likeliest cluster
    assert metrics.soft_mutual_information(flat, flat, average_method="max") == pytest.approx(0, abs=1e-14)
    assert metrics.soft_adjusted_rand(flat, flat) == 1
    assert metrics.soft_adjusted_rand(flat, sharp) == pytest.approx(0, abs=1e-14)


@st.composite
def memberships(draw, n=None, noise=True):
    shape = n or draw(st.integers(2, 8)), draw(st.integers(2, 4))
    resp = draw(arrays(np.float64, shape, elements=st.floats(0, 1))) ** 3 + draw(st.sampled_from([1e-9, 0.1]))
    resp /= resp.sum(1, keepdims=True)
    return resp * draw(arrays(np.float64, (shape[0], 1), elements=st.floats(0.2, 1))) if noise else resp


@settings(max_examples=100, deadline=None)
@given(resp=memberships(noise=False) | memberships())
def test_bounds(resp):
    k, slack = resp.shape[1], 1e-12
    assert 1 / k - slack <= metrics.partition_coefficient(resp) <= 1 + slack
    assert -slack <= metrics.modified_partition_coefficient(resp) <= 1 + slack
    assert -slack <= metrics.partition_entropy(resp) <= math.log(k) + slack
    assert 1 - slack <= metrics.effective_n_clusters(resp) <= k + slack
    x = np.arange(float(len(resp)))[:, None]
    for variant in separation.VARIANTS:
        assert -1 <= metrics.fuzzy_silhouette(x, resp, variant=variant) <= 1
    for kind in KINDS:
        found = metrics.uncertainty(resp, kind=kind)
        assert (found >= -slack).all()
        assert (found <= 1 + slack).all()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), n=st.integers(3, 7))
def test_comparisons_are_symmetric_and_bounded(data, n):
    a, b = (data.draw(memberships(n)) for _ in range(2))
    rand, information = metrics.soft_adjusted_rand(a, b), metrics.soft_mutual_information(a, b)
    assert rand <= 1 + 1e-9
    assert rand == pytest.approx(metrics.soft_adjusted_rand(b, a), rel=1e-6, abs=1e-9)
    assert metrics.soft_adjusted_rand(a, a) == pytest.approx(1, abs=1e-3)  # digits are lost where a is nearly flat
    assert 0 <= information <= min(entropy(complete(r).mean(0)) for r in (a, b)) + 1e-12
    assert information == pytest.approx(metrics.soft_mutual_information(b, a), abs=1e-12)


def test_a_soft_clustering_with_itself():
    a = problem(7, n=20, noise=True).a
    assert metrics.soft_adjusted_rand(a, a[:, ::-1]) == pytest.approx(1, abs=1e-12)
    assert metrics.soft_mutual_information(a, a[:, ::-1], average_method="max") < 0.9


def test_unrelated_clusterings_agree_by_chance():
    rng = np.random.default_rng(8)
    found = [
        metrics.soft_adjusted_rand(rng.dirichlet([0.3, 0.3, 0.3], 50), rng.dirichlet([0.5, 1.0], 50))
        for _ in range(400)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20


def test_xie_beni_of_coinciding_centers_is_infinite():
    p = problem(9)
    assert metrics.xie_beni(p.x, p.a, p.c[[0, 1, 0]]) == math.inf


@pytest.mark.parametrize("variant", separation.VARIANTS)
def test_silhouette_widths_without_a_meaning_are_zero(variant):
    lone = metrics.fuzzy_silhouette([[0.0], [1.0]], np.eye(2), variant="exact")
    together = metrics.fuzzy_silhouette([[0.0], [1.0]], [[1, 0], [1, 0]], variant=variant)
    coinciding = metrics.fuzzy_silhouette([[3.0]] * 4, np.eye(2)[[0, 0, 1, 1]], variant=variant)
    assert lone == together == coinciding == 0


def test_an_empty_cluster_is_nobodys_neighbour():
    x, labels = [[0.0], [1.0], [5.0], [6.0]], [0, 0, 2, 2]
    for variant in separation.VARIANTS:
        with_empty, without = crisp(labels, 3), crisp(labels, 3)[:, [0, 2]]
        assert metrics.fuzzy_silhouette(x, with_empty, variant=variant) == pytest.approx(
            metrics.fuzzy_silhouette(x, without, variant=variant), rel=1e-14
        )


# Per row, and orders of clusters.


@pytest.mark.parametrize(
    ("resp", "expected"),
    [
        ([1.0, 0.0], (0, 0, 0)),
        ([0.5, 0.5], (0.5, 1, 1)),
        ([0.6, 0.3, 0.1], (0.4, 0.7, entropy([0.6, 0.3, 0.1]) / math.log(3))),
        ([0.0, 0.0], (0, 0, 0)),  # noise for certain
        ([0.6, 0.1], (0.4, 0.7, entropy([0.6, 0.1, 0.3]) / math.log(3))),
        ([0.25, 0.25, 0.25], (0.75, 1, 1)),
        ([1.0], (0, 0, 0)),
        ([0.5], (0.5, 1, 1)),
        ([1.0 - 1e-9, 0.0], (1e-9, 1e-9, 0)),  # rounding, not noise
    ],
)
def test_uncertainty_by_hand(resp, expected):
    for kind, value in zip(KINDS, expected, strict=True):
        assert metrics.uncertainty([resp], kind=kind)[0] == pytest.approx(value, abs=2e-9)


def test_uncertainty_counts_noise_for_all_rows_or_none():
    found = metrics.uncertainty([[0.5, 0.5], [0.4, 0.3]], kind="entropy")
    assert found == pytest.approx([math.log(2) / math.log(3), entropy([0.4, 0.3, 0.3]) / math.log(3)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_uncertainty_gives_a_tensor_of_the_same_type(dtype):
    resp = torch.tensor(problem(10).a, dtype=dtype)
    found = metrics.uncertainty(resp)
    assert found.dtype == dtype
    assert torch.allclose(found.double(), 1 - resp.double().amax(1), atol=torch.finfo(dtype).eps)
    if dtype != torch.bfloat16:
        array = metrics.uncertainty(resp.numpy())
        assert isinstance(array, np.ndarray)
        assert array.dtype == resp.numpy().dtype


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_align_gives_the_nearest_order(seed, noise):
    p = problem(seed, n=15, noise=noise)
    padded = np.column_stack([p.a, np.zeros(15)])  # what has no partner is compared with nothing
    weight = np.random.default_rng(seed).uniform(0, 2, 15)
    order = metrics.align(p.a, p.b, sample_weight=weight)

    def far(order):
        return (weight[:, None] * (padded - p.b[:, list(order)]) ** 2).sum()

    assert far(order) == pytest.approx(min(map(far, itertools.permutations(range(4)))), rel=1e-12)


def test_align_undoes_a_permutation():
    a, order = problem(11, n=40, k=5, noise=True).a, np.array([3, 0, 4, 1, 2])
    np.testing.assert_array_equal(a[:, order][:, metrics.align(a, a[:, order])], a)
    tensor = torch.tensor(a)
    found = metrics.align(a, tensor[:, order])
    assert found.dtype == torch.int64
    torch.testing.assert_close(tensor[:, order][:, found], tensor, rtol=0, atol=0)


def test_align_puts_clusters_without_a_partner_last():
    b = np.eye(4)[[0, 1, 2, 3, 2, 0]]
    np.testing.assert_array_equal(metrics.align(b[:, [3, 1]], b), [3, 1, 0, 2])
    with pytest.raises(InputError, match="resp_a has 4 clusters, more than the 2 of resp_b: swap the two"):
        metrics.align(b, b[:, :2])


# What can be wrong. Every function of memberships is in one of the tables.

OTHERS = {
    "uncertainty": lambda p, **weights: metrics.uncertainty(p.a),
    "align": lambda p, **weights: metrics.align(p.a, p.b, **weights),
}
EVERY = SCALARS | OTHERS


def test_every_function_is_tested():
    assert {name.split(",")[0] for name in EVERY} == set(metrics.__all__)


def spoilt(value, row=2, column=1):
    a = problem().a
    a[row, column] = value
    return a


BAD = {
    "NaN": (spoilt(np.nan), r"resp(_a)? contains NaN or infinity: 1 of 18 entries, the first in row 2, column 1"),
    "negative": (spoilt(-0.1), r"resp(_a)? has entries outside \[0, 1\], the first in row 2 .* predict_proba"),
    "above 1": (spoilt(1.1), r"resp(_a)? has entries outside \[0, 1\], the first in row 2 .* predict_proba"),
    "sum above 1": (np.full((6, 3), 0.5), r"row 0 of resp(_a)? .*sums to 1.5, expected 1 at most: divide rows"),
    "labels": (np.array([0, 1, 1, 0, 2, 2]), r"resp(_a)? has one dimension, .*: for labels, give np.eye\(k\)"),
    "three dimensions": (np.ones((6, 3, 1)), r"resp(_a)? has shape \(6, 3, 1\)"),
    "no cluster": (np.ones((6, 0)), r"resp(_a)? has shape \(6, 0\)"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", EVERY)
def test_bad_memberships(name, bad):
    resp, message = BAD[bad]
    with pytest.raises(InputError, match=message) as caught:
        EVERY[name](problem()._replace(a=resp))
    assert "\n" not in str(caught.value)


def test_a_bad_row_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setattr(parts, "BLOCK", 7)
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
def test_nothing_but_noise_has_no_index(name):
    p = problem(noise=True)
    weight = (p.a.sum(1) == 0) * 1.0  # only rows that belong to none
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
        ({"c": problem().c[:2]}, r"centers has shape \(2, 2\), expected \(k, d\) = \(3, 2\): give one centre for each"),
        ({"c": np.full((3, 2), np.nan)}, "centers contains NaN or infinity"),
        ({"a": np.ones((6, 1))}, "resp has one column, and one cluster is apart from nothing"),
        ({"x": as_source(problem().x, np.ones(6))}, "weights came with a Source .*: give them as sample_weight"),
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
def test_nothing_given_is_changed(name):
    p = problem(noise=True)
    before = p.map(np.copy)
    EVERY[name](p)
    for now, then in zip(p, before, strict=True):
        np.testing.assert_array_equal(now, then)
