"""Test metrics with known values: crisp and uniform memberships, bounds; uncertainty and the order of clusters."""

import itertools
import math
import operator
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score, mutual_info_score, normalized_mutual_info_score, silhouette_score

from helpers.fuzzing import examples
from helpers.partitions import complete, entropy, problem
from softkmeans import InputError, metrics
from softkmeans.metrics import agreement, separation

KINDS = ["complement", "margin", "entropy"]


# Crisp clusterings, compared with scikit-learn. The label -1 is noise: a row of zeros.


def crisp(labels, k):
    """Return crisp memberships (n, k) of labels."""
    return np.vstack([np.eye(k), np.zeros(k)])[np.asarray(labels)]


LABELS = st.integers(2, 12).flatmap(lambda n: st.tuples(*[st.lists(st.integers(-1, 3), min_size=n, max_size=n)] * 2))


@pytest.mark.slow
@examples(150)
@given(labels=LABELS)
@example(labels=([0] * 6, [0, 0, 0, 0, 1, -1]))  # the entropy of the first is 0, or rounding
def test_crisp_agreement_matches_scikit_learn(labels):
    a, b = (crisp(one, 4) for one in labels)
    assert metrics.soft_adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(*labels), abs=1e-12)
    assert metrics.soft_mutual_information(a, b) == pytest.approx(mutual_info_score(*labels), abs=1e-12)
    for method in agreement.AVERAGES:
        expected = normalized_mutual_info_score(*labels, average_method=method)
        assert metrics.soft_mutual_information(a, b, average_method=method) == pytest.approx(expected, abs=1e-12)


@examples(50)
@given(labels=st.lists(st.integers(0, 2), min_size=4, max_size=12), seed=st.integers(0, 99), alpha=st.floats(0, 5))
def test_crisp_exact_silhouette_matches_scikit_learn(labels, seed, alpha):
    assume(1 < len(set(labels)) < len(labels))
    x = np.random.default_rng(seed).normal(size=(len(labels), 2))
    far = x + 1e6  # squares of these, which scikit-learn uses, are too inaccurate
    found = metrics.fuzzy_silhouette(far, crisp(labels, 3), alpha=alpha, variant="exact")
    assert found == pytest.approx(silhouette_score(x, labels), abs=1e-8)


@pytest.mark.slow
def test_the_exact_silhouette_computes_distances_in_tiles(monkeypatch):
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


@pytest.mark.parametrize("k", [2, 5])
def test_crisp_and_uniform_memberships_give_the_extreme_values(k):
    sharp, uniform = np.eye(k)[np.arange(3 * k) % k], np.full((3 * k, k), 1 / k)
    for resp, coefficient, modified, entropy_ in [(sharp, 1, 1, 0), (uniform, 1 / k, 0, math.log(k))]:
        assert metrics.partition_coefficient(resp) == pytest.approx(coefficient, rel=1e-14)
        assert metrics.modified_partition_coefficient(resp) == pytest.approx(modified, abs=1e-14)
        assert metrics.partition_entropy(resp) == pytest.approx(entropy_, abs=1e-14)
        assert metrics.effective_n_clusters(resp) == pytest.approx(k, rel=1e-14)
    assert metrics.effective_n_clusters(crisp([0] * 5, k)) == 1
    assert metrics.fuzzy_silhouette(uniform, uniform) == 0  # no row has a likeliest cluster
    assert metrics.soft_mutual_information(uniform, uniform, average_method="max") == pytest.approx(0, abs=1e-14)
    assert metrics.soft_adjusted_rand(uniform, uniform) == 1
    assert metrics.soft_adjusted_rand(uniform, sharp) == pytest.approx(0, abs=1e-14)


@st.composite
def memberships(draw, n=None, noise=True):
    shape = n or draw(st.integers(2, 8)), draw(st.integers(2, 4))
    resp = draw(arrays(np.float64, shape, elements=st.floats(0, 1))) ** 3 + draw(st.sampled_from([1e-9, 0.1]))
    resp /= resp.sum(1, keepdims=True)
    return resp * draw(arrays(np.float64, (shape[0], 1), elements=st.floats(0.2, 1))) if noise else resp


@pytest.mark.slow
@examples(100)
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


@pytest.mark.slow
@examples(100)
@given(data=st.data(), n=st.integers(3, 7))
def test_comparisons_are_symmetric_and_bounded(data, n):
    a, b = (data.draw(memberships(n)) for _ in range(2))
    rand, information = metrics.soft_adjusted_rand(a, b), metrics.soft_mutual_information(a, b)
    assert rand <= 1 + 1e-9
    assert rand == pytest.approx(metrics.soft_adjusted_rand(b, a), rel=1e-6, abs=1e-9)
    assert metrics.soft_adjusted_rand(a, a) == pytest.approx(1, abs=1e-9)
    assert 0 <= information <= min(entropy(complete(r).mean(0)) for r in (a, b)) + 1e-12
    assert information == pytest.approx(metrics.soft_mutual_information(b, a), abs=1e-12)


def exact_adjusted_rand(a, b):
    """Compute the index by its definition, from matrices (n, n) of exact fractions."""
    n = len(a)

    def pairs(resp):
        rows = [[Fraction(float(value)) for value in row] for row in resp]
        rows = [[*row, max(Fraction(0), 1 - sum(row))] for row in rows]
        return np.array([[sum(map(operator.mul, row, other)) for other in rows] for row in rows], dtype=object)

    first, second, ones = pairs(a), pairs(b), np.full((n, n), Fraction(1), dtype=object)
    means = first.sum() / second.sum()
    maximum = (means * (second * second).sum() + (first * first).sum() / means) / 2
    diagonal, off_diagonal = (
        [matrix[mask].sum() for matrix in (first, second, ones)]
        for mask in (np.eye(n, dtype=bool), ~np.eye(n, dtype=bool))
    )
    chance = sum(in_a * in_b / count for in_a, in_b, count in (diagonal, off_diagonal))
    return float(((first * second).sum() - chance) / (maximum - chance))


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4, 1e-5])
@pytest.mark.parametrize("seed", range(5))
def test_nearly_equal_memberships_keep_their_digits(seed, spread):
    """Memberships of all rows near their mean: agreement and chance differ by little more than rounding."""
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.full(k, 3.0)) * (1 + spread * rng.uniform(-0.9, 0.9, (5, k))) for k in (2, 3))
    a, b = (resp / resp.sum(1, keepdims=True) for resp in (a, b))
    index = metrics.soft_adjusted_rand(a, b)
    assert index == pytest.approx(exact_adjusted_rand(a, b), abs=1e-9)
    assert index == pytest.approx(metrics.soft_adjusted_rand(b, a), rel=1e-12)


def test_agreement_of_a_soft_clustering_with_itself():
    a = problem(7, n=20, noise=True).a
    assert metrics.soft_adjusted_rand(a, a[:, ::-1]) == pytest.approx(1, abs=1e-12)
    assert metrics.soft_mutual_information(a, a[:, ::-1], average_method="max") < 0.9


def test_unrelated_clusterings_have_an_index_of_about_zero():
    rng = np.random.default_rng(8)
    found = [
        metrics.soft_adjusted_rand(rng.dirichlet([0.3, 0.3, 0.3], 50), rng.dirichlet([0.5, 1.0], 50))
        for _ in range(400)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20


@pytest.mark.slow
def test_nearly_uniform_memberships_in_many_clusters_are_distinguished():
    a, b = np.random.default_rng(9).dirichlet(np.full(2000, 100.0), (2, 30))
    assert metrics.soft_adjusted_rand(a, a) == pytest.approx(1, abs=1e-5)
    assert abs(metrics.soft_adjusted_rand(a, b)) < 0.2


def test_xie_beni_of_coinciding_centers_is_infinite():
    p = problem(9)
    assert metrics.xie_beni(p.x, p.a, p.c[[0, 1, 0]]) == math.inf


def test_a_row_alone_in_its_cluster_has_the_silhouette_width_zero():
    """Check that the index does not grow until each row is a cluster of its own."""
    x = np.random.default_rng(1).normal(size=(30, 2))
    labels = [0, 0, 1, 1, 1, 2]
    for variant in separation.VARIANTS:
        assert metrics.silhouette_samples(x[:6], crisp(labels, 3), variant=variant)[-1] == 0
        assert metrics.fuzzy_silhouette(x, np.eye(30), variant=variant) == 0
        alone_of_two = metrics.silhouette_samples(x[:6], crisp(labels, 3), variant=variant, sample_weight=[1] * 5 + [2])
        assert alone_of_two[-1] > 0  # a weight of 2 is a repeated row


@pytest.mark.parametrize("variant", separation.VARIANTS)
def test_undefined_silhouette_widths_are_zero(variant):
    lone = metrics.fuzzy_silhouette([[0.0], [1.0]], np.eye(2), variant=variant)
    together = metrics.fuzzy_silhouette([[0.0], [1.0]], [[1, 0], [1, 0]], variant=variant)
    coinciding = metrics.fuzzy_silhouette([[3.0]] * 4, np.eye(2)[[0, 0, 1, 1]], variant=variant)
    assert lone == together == coinciding == 0


def test_an_empty_cluster_is_never_the_nearest():
    x, labels = [[0.0], [1.0], [5.0], [6.0]], [0, 0, 2, 2]
    for variant in separation.VARIANTS:
        with_empty, without = crisp(labels, 3), crisp(labels, 3)[:, [0, 2]]
        assert metrics.fuzzy_silhouette(x, with_empty, variant=variant) == pytest.approx(
            metrics.fuzzy_silhouette(x, without, variant=variant), rel=1e-14
        )


# Uncertainty per row, and orders of clusters.


@pytest.mark.parametrize(
    ("resp", "expected"),
    [
        ([1.0, 0.0], (0, 0, 0)),
        ([0.5, 0.5], (0.5, 1, 1)),
        ([0.6, 0.3, 0.1], (0.4, 0.7, entropy([0.6, 0.3, 0.1]) / math.log(3))),
        ([0.0, 0.0], (0, 0, 0)),  # certainly noise
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


def test_uncertainty_counts_noise_in_k_for_all_rows_or_none():
    found = metrics.uncertainty([[0.5, 0.5], [0.4, 0.3]], kind="entropy")
    assert found == pytest.approx([math.log(2) / math.log(3), entropy([0.4, 0.3, 0.3]) / math.log(3)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_uncertainty_returns_a_tensor_of_the_same_dtype(dtype):
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
def test_align_returns_the_nearest_order(seed, noise):
    p = problem(seed, n=15, noise=noise)
    padded = np.column_stack([p.a, np.zeros(15)])  # a cluster without a partner is compared with zeros
    weight = np.random.default_rng(seed).uniform(0, 2, 15)
    order = metrics.align(p.a, p.b, sample_weight=weight)

    def squared_distance(order):
        return (weight[:, None] * (padded - p.b[:, list(order)]) ** 2).sum()

    assert squared_distance(order) == pytest.approx(
        min(map(squared_distance, itertools.permutations(range(4)))), rel=1e-12
    )


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
    with pytest.raises(InputError, match="resp_a has 4 clusters, expected at most the 2 of resp_b: swap the two"):
        metrics.align(b, b[:, :2])
