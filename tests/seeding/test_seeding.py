"""Initialization of the centers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from typing_extensions import override

from helpers.fuzzing import examples
from softkmeans import fit
from softkmeans.data.convert import as_source
from softkmeans.data.ordering import count_distinct, draw, sorted_rows
from softkmeans.data.scaling import Scaling
from softkmeans.data.source import ScaledSource
from softkmeans.distances import as_distance
from softkmeans.seeding import SEEDINGS

pytestmark = pytest.mark.usefixtures("backend")

DISTANCE = as_distance("sqeuclidean")


def seed(name, x, k, w=None, random_state=0):
    """Return the initial centers by a method with a name."""
    source = as_source(x, w)
    (centers,) = SEEDINGS[name].centers(source, k, 1, DISTANCE, np.random.default_rng(random_state))
    return centers.numpy()


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_rows_are_sorted_as_by_numpy(rows):
    x = np.array(rows, dtype=float)
    unique, count = np.unique(x, axis=0, return_counts=True)
    result = sorted_rows(as_source(x))
    np.testing.assert_array_equal(x[result.order.numpy()], np.repeat(unique, count, axis=0))
    np.testing.assert_array_equal(result.begins.nonzero()[:, 0].numpy(), count.cumsum() - count)
    assert count_distinct(x) == len(unique)


def test_later_columns_sort_rows_that_are_tied_in_earlier_ones():
    x = np.random.default_rng(0).integers(0, 2, (300, 9)).astype(float)
    x[:, :5] = 1.0
    result = sorted_rows(as_source(x))
    np.testing.assert_array_equal(x[result.order.numpy()], x[np.lexsort(x.T[::-1])])
    assert result.n_distinct == len(np.unique(x, axis=0)) == 16


def test_rows_of_weight_zero_do_not_count():
    result = sorted_rows(as_source([[1.0], [2.0], [1.0]], [0.0, 3.0, 0.0]))
    assert result.n_distinct == 1
    assert result.sampling_weights().tolist() == [0.0, 0.0, 3.0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDINGS)
@pytest.mark.parametrize("random_state", range(4))
def test_integer_weights_equal_repeated_rows_in_any_order(name, random_state):
    rng = np.random.default_rng(random_state)
    x, w = rng.normal(size=(50, 3)).round(1), rng.integers(0, 4, 50)
    start = seed(name, x, 6, w.astype(float), random_state)
    repeated = np.repeat(x, w, axis=0)
    rounding = 1e-9 if name == "annealing" else 0.0  # its centers are means, not rows
    for rows in (repeated, rng.permutation(repeated)):
        np.testing.assert_allclose(seed(name, rows, 6, None, random_state), start, rtol=0, atol=rounding)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDINGS)
def test_starts_are_distinct_rows_of_the_data(name):
    n_values = 2 if name == "annealing" else 3  # annealing compiles a kernel for each number of clusters up to 2 k
    x = np.random.default_rng(0).integers(0, n_values, (60, 2)).astype(float)
    start = seed(name, x, n_values**2).round(12)  # annealing ends with means, in which other rows count by 1e-253
    assert len(np.unique(start, axis=0)) == n_values**2
    assert {tuple(row) for row in start} == {tuple(row) for row in x}


def test_draws_are_proportional_to_the_weights():
    weights = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0], dtype=torch.float64)
    drawn = draw(weights, 20_000, np.random.default_rng(0))
    assert set(drawn.tolist()) == {1, 3}
    assert (drawn == 3).double().mean().item() == pytest.approx(0.75, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["k-means++", "k-means||"])
def test_well_separated_clusters_are_found(name):
    means = np.array([[i * 100.0, j * 100.0] for i in range(5) for j in range(5)])
    x = np.concatenate([np.random.default_rng(0).normal(m, 1.0, (20, 2)) for m in means])
    n_complete = sum(len(np.unique((seed(name, x, 25, None, s) / 100).round(), axis=0)) == 25 for s in range(10))
    assert n_complete == 10


class _CountingView(ScaledSource):
    """A source that counts the passes over its rows."""

    passes = 0

    @override
    def blocks(self):
        self.passes += 1
        return super().blocks()


@pytest.mark.parametrize("k", [5, 50])
def test_kmeans_parallel_needs_few_passes_for_any_k_and_all_restarts(k):
    source = as_source(np.random.default_rng(0).normal(size=(3000, 2)))
    counted, rows = _CountingView(source, Scaling.of(source, DISTANCE)), sorted_rows(source)
    before = counted.passes
    starts = list(SEEDINGS["k-means||"].in_memory(counted, rows, k, 4, DISTANCE, np.random.default_rng(0)))
    assert counted.passes - before == 4  # one for the first row, and three rounds
    assert len(starts) == 4
    assert all(start.shape == (k, 2) for start in starts)
    assert len(np.unique(np.concatenate([start.numpy() for start in starts]), axis=0)) > k  # the sets differ


@pytest.mark.slow
def test_kmeans_parallel_is_as_good_as_kmeans_plusplus():
    x = np.random.default_rng(1).normal(size=(5000, 4))

    def mean_inertia(name):
        initial_centers = [seed(name, x, 40, None, s) for s in range(5)]
        return np.mean([((x[:, None] - c) ** 2).sum(2).min(1).sum() for c in initial_centers])

    assert mean_inertia("k-means||") < 1.05 * mean_inertia("k-means++")


def test_kmeans_plusplus_draws_by_distance():
    x = np.array([[0.0]] * 50 + [[10.0]] * 50 + [[10.1]])
    assert all(np.ptp(seed("k-means++", x, 2, None, s)) > 9 for s in range(20))


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDINGS)
def test_fewer_distinct_rows_than_clusters(name):
    with pytest.warns(ConvergenceWarning, match="2 distinct rows, fewer than n_clusters=4"):
        result = fit(np.array([[1.0, 2.0]] * 5 + [[3.0, 4.0]] * 5), 4, init=name, random_state=0)
    assert {tuple(row) for row in result.centers.numpy()} == {(1.0, 2.0), (3.0, 4.0)}


def test_many_tied_columns():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.zeros((300, 40)), rng.integers(0, 2, (300, 12))], axis=1)
    assert count_distinct(x) == len(np.unique(x, axis=0))
