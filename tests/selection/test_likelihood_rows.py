"""Test which rows likelihoods are computed on: redundant features, categories, counts and rounded values."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from helpers.fuzzing import examples
from softkmeans import SoftKMeans, select_n_clusters
from softkmeans.data import as_source
from softkmeans.selection.likelihood_rows import independent_features, likelihood_rows, resolution

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(200, 3)) @ np.array([[3, 0, 0], [2.5, 1, 0], [1, 2, 0.7]]).T
BLOBS = RNG.normal(size=(180, 2)) + 8 * np.eye(3, 2)[np.repeat([0, 1, 2], 60)]
PERCENTAGES = RNG.dirichlet([20, 20, 20], 200) * 100


def rows_for(x, n_clusters=6, template=None):
    return likelihood_rows(x, as_source(x), template or SoftKMeans(), n_clusters, np.random.default_rng(0))


def choose(x, k_range=range(1, 7), **given):
    return select_n_clusters(x, k_range, cv=0, path=False, random_state=0, estimator=SoftKMeans(), **given)


def choose_quietly(x, k_range=range(1, 7), **given):
    """Return the selection and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = choose(x, k_range, **given)
    assert [str(warning.message) for warning in said] == list(found.warnings)
    return found, " ".join(found.warnings)


REDUNDANT = {
    "constant": lambda x: np.full(len(x), 7.0),
    "repeated": lambda x: x[:, 0],
    "in other units": lambda x: 1e6 - 1e-3 * x[:, 1],
    "sum": lambda x: x.sum(1),
    "one-hot": lambda x: np.eye(3)[np.random.default_rng(1).integers(3, size=len(x))],
}


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("name", REDUNDANT)
def test_redundant_features_and_categories_are_left_out(name, offset):
    x = CLOUD + offset
    rows = rows_for(np.column_stack([x, REDUNDANT[name](x)]))
    assert rows.are_changed
    assert rows.features.tolist() == [0, 1, 2]
    assert rows.categories == (["3", "4"] if name == "one-hot" else [])
    np.testing.assert_array_equal(rows.rows, x)


def test_rows_without_redundancy_are_the_users_own():
    assert rows_for(CLOUD).rows is CLOUD
    assert rows_for(CLOUD.astype(np.float32)).features.tolist() == [0, 1, 2]
    few = CLOUD[:3]  # any three rows lie in a plane, which says nothing about the features
    assert rows_for(few).rows is few
    sparse = csr_array(np.column_stack([CLOUD, CLOUD]))
    assert rows_for(sparse).rows is sparse
    twice = np.column_stack([CLOUD, CLOUD])
    for template in (SoftKMeans(distance="cosine"), SoftKMeans(noise_distance=30.0)):  # whose densities are others
        assert rows_for(twice, template=template).rows is twice


@examples(20)
@given(d=st.integers(1, 6), n_more=st.integers(0, 4), seed=st.integers(0, 2**32 - 1))
def test_the_number_of_independent_features_is_the_rank(d, n_more, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(50, d))
    x = np.column_stack([x, x @ rng.normal(size=(d, n_more))])
    kept = independent_features(np.corrcoef(x.T).reshape(d + n_more, d + n_more))
    assert kept.tolist() == list(range(d))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.tile([1.0, 2, 3, 4, 5], 10), 1.0),
        (np.tile([0.5, 1.0, 1.5, 9.0], 10), 0.5),  # a gap is not the resolution
        (np.tile([0.1 + 0.2, 0.3, 0.6, 0.9, 1.2], 10), 0.3),  # values that differ by rounding only are one
        (RNG.normal(size=50), 0.0),
        (np.arange(50.0), 0.0),
        (np.tile(np.arange(19.0), 3), 0.0),  # more values than 18, three for each of 6 clusters
        (np.ones(50), 0.0),
    ],
)
def test_resolution(values, expected):
    assert resolution(torch.from_numpy(values), 18) == pytest.approx(expected)


def test_counts_are_spread_out_by_triangular_noise():
    x = np.column_stack([RNG.integers(0, 5, 5000), RNG.normal(size=5000)]).astype(float)
    noise = rows_for(x).rows - x
    assert np.abs(noise[:, 0]).max() < 1
    assert noise[:, 0].var() == pytest.approx(1 / 6, rel=0.05)
    assert not noise[:, 1].any()


# The number of clusters.

WINE = StandardScaler().fit_transform(load_wine().data)
SETS = {"percentages": (PERCENTAGES[:, :2], 1), "wine": (WINE, 3)}


@pytest.mark.slow
@pytest.mark.parametrize("name", REDUNDANT)
@pytest.mark.parametrize("data", ["percentages", "wine"])
def test_redundant_features_do_not_change_the_number_of_clusters(data, name):
    x, k = SETS[data]
    found, said = choose_quietly(np.column_stack([x, REDUNDANT[name](x)]))
    assert found.n_clusters == k
    assert ("features " in said and "have only two values; such" in said) == (name == "one-hot")


def test_percentages_that_sum_to_100_are_one_cluster():
    assert choose(PERCENTAGES).n_clusters == 1


@pytest.mark.parametrize(
    ("x", "k"),
    [
        (RNG.integers(0, 2, (300, 4)), 1),
        (np.clip(np.round(RNG.normal(3, 1, (300, 2))), 1, 5), 1),
        (RNG.poisson(1, (300, 2)), 1),
        (RNG.poisson(30, (300, 2)), 1),
        (RNG.integers(1, 7, (300, 1)), 1),
        (np.round(RNG.normal(40, 12, (300, 1))), 1),
        (np.round(BLOBS), 3),
        (np.round(2 * BLOBS) / 2, 3),
        (np.repeat(np.eye(3), 50, 0), 3),
        (np.concatenate([RNG.random((150, 6)) < 0.9, RNG.random((150, 6)) < 0.1]), 2),
    ],
)
def test_discrete_data_give_the_right_number_or_a_warning(x, k):
    n_distinct = len(np.unique(x, axis=0))
    found, said = choose_quietly(x.astype(float), range(1, min(7, n_distinct + 1)))
    assert found.n_clusters == k or "distinct values" in said


def test_coarse_features_are_named():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"stars": RNG.integers(1, 6, 300), "price": RNG.normal(size=300)})
    _, said = choose_quietly(frame, [1, 2])
    assert "feature stars has few distinct values, about as far apart as clusters are wide" in said


def test_tight_clusters_have_the_density_of_rounding():
    """Clusters that are points, or nearly so, are found; more of them gain nothing."""
    points = np.repeat(np.eye(3) * 10, 50, 0)
    assert choose_quietly(points, [1, 2, 3])[0].n_clusters == 3
    tight = points + 1e-9 * np.random.default_rng(0).normal(size=points.shape)
    assert choose_quietly(tight, range(1, 6))[0].n_clusters == 3


@pytest.mark.parametrize(("transform", "is_said"), [(np.exp, True), (lambda x: x, False)])
def test_skewed_features_are_named(transform, is_said):
    x = np.column_stack([RNG.normal(size=400), transform(RNG.normal(size=400))])
    _, said = choose_quietly(x, [1, 2])
    assert ("feature 1 has a skewed or heavy-tailed distribution" in said) == is_said
