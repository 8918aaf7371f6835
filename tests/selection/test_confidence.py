"""Test the choice of the number of clusters against chance: sizes, weights, few rows, and the end of the range."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from softkmeans import InputError, SoftKMeans, select_n_clusters
from softkmeans.data import as_source
from softkmeans.data.ordering import sorted_rows
from softkmeans.selection.growth import grow_centers
from softkmeans.selection.information_criteria import Weighting

AT_END = pytest.mark.filterwarnings("ignore:.*are the end of the range")

pytestmark = pytest.mark.filterwarnings("ignore:.*criteria select")


def draw(sizes, d, sep, seed):
    """Draw round clusters of variance 1 and given sizes; the distance of the nearest two means is `sep`."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(len(sizes), d))
    means *= sep / pdist(means).min()
    return np.repeat(means, sizes, 0) + rng.normal(size=(sum(sizes), d))


def choose(x, k_range=range(1, 6), **given):
    given = {"estimator": SoftKMeans()} | given
    return select_n_clusters(x, k_range, cv=0, path=False, random_state=0, **given)


# Clusters of unequal sizes.


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "d"), [((900, 30), 32), ((2000, 20), 2), ((20, 63, 200, 632, 2000), 8)])
def test_round_clusters_of_unequal_sizes(sizes, d):
    found = choose(draw(sizes, d, 8.0, seed=1), range(1, len(sizes) + 2))
    assert (found.n_clusters, found.covariance_type) == (len(sizes), "spherical")
    assert found.confidence > 0.9
    assert not found.warnings


def test_a_small_cluster_beside_a_large_one_is_found():
    """The new center is in the small cluster, though dividing the large one would lower the inertia as much."""
    x = np.random.default_rng(0).normal(size=(2020, 2))
    x[:20] += [8, 0]
    mixture = SoftKMeans(1, priors="learned").fit(x)
    source = as_source(x)
    for seed in range(5):
        _, new = grow_centers(mixture, source, sorted_rows(source), 2, np.random.default_rng(seed))
        assert np.linalg.norm(new - [8, 0]) < 3.5


# Weights.


def test_effective_numbers_of_rows():
    w = np.array([1.0, 1.0, 2.0, 0.0])
    source = as_source(np.arange(8.0).reshape(4, 2), w)
    assert Weighting.of(source, "counts") == (4.0, 1.0)
    n, scale = Weighting.of(source, "relative")
    assert n == pytest.approx(16 / 6)
    assert scale * w.sum() == pytest.approx(n)
    assert Weighting.of(as_source(np.ones((5, 1))), "relative") == (5.0, 1.0)


@pytest.mark.parametrize("factor", [1 / 180, 1e-200])
def test_a_common_factor_of_relative_weights_changes_nothing(factor):
    x, w = draw((60, 60, 60), 3, 8.0, seed=0), np.random.default_rng(0).uniform(0.5, 2, 180)
    plain, scaled = (choose(x, sample_weight=weights) for weights in (w, w * factor))
    assert plain.n_clusters == 3
    assert scaled.choices == plain.choices
    assert scaled.confidence == pytest.approx(plain.confidence)
    for name in ("bic", "icl"):
        np.testing.assert_allclose(scaled.scores[name], plain.scores[name], rtol=1e-6)


def test_equal_relative_weights_are_none():
    x = draw((60, 60, 60), 3, 6.0, seed=0)
    np.testing.assert_allclose(choose(x, sample_weight=np.full(180, 7.0)).scores["bic"], choose(x).scores["bic"])


@pytest.mark.filterwarnings("ignore:clusters .* have lost all their rows")
def test_one_row_with_nearly_all_of_the_weight():
    with pytest.raises(InputError, match=r"rows that count as 1 by their weights can't be divided into 1 clusters"):
        choose(draw((20, 20), 2, 8.0, seed=0), [1, 2], sample_weight=np.r_[1e9, np.ones(39)])


@pytest.mark.parametrize(("weights", "n"), [("relative", 150), ("counts", 450)])
def test_what_weights_mean(weights, n):
    x = np.random.default_rng(0).normal(size=(150, 2))
    own = SoftKMeans(priors="learned")
    found = choose(x, [1, 2], sample_weight=np.full(150, 3.0), weights=weights, estimator=own, criterion="bic")
    density = -0.5 * np.square(x - x.mean(0)).sum(1) / x.var(0).mean() - math.log(2 * math.pi * x.var(0).mean())
    assert found.scores["bic_spherical"][0] == pytest.approx(3 * math.log(n) - 2 * n / 150 * density.sum())


def test_counts_are_repeated_rows():
    x, w = draw((40, 40), 2, 5.0, seed=3), np.random.default_rng(0).integers(0, 4, 80)
    weighted = choose(x, sample_weight=w, weights="counts")
    repeated = choose(np.repeat(x, w, 0))
    assert weighted.choices == repeated.choices
    np.testing.assert_allclose(weighted.scores["bic"], repeated.scores["bic"], rtol=1e-3)


# Few rows.


@pytest.mark.slow
@AT_END
@pytest.mark.parametrize(("n", "d"), [(5, 2), (8, 1), (12, 5), (30, 10)])
def test_noise_is_one_cluster_or_the_choice_is_not_confident(n, d):
    found = choose(np.random.default_rng([0, n, d]).normal(size=(n, d)), range(1, min(10, n) + 1))
    assert found.n_clusters == 1 or found.confidence < 0.9


def test_the_smallest_number_of_a_range_is_tested_against_the_number_below():
    x = draw((60, 60), 2, 8.0, seed=0)
    assert choose(x, [2, 3]).confidence > 0.9
    one = np.random.default_rng(0).normal(size=(100, 2))
    found = choose(one, [2, 3])
    assert found.n_clusters == 2
    assert found.confidence < 0.9


def test_the_former_name_of_the_covariance_type():
    found = choose(draw((60, 60), 2, 8.0, seed=0), [1, 2, 3])
    with pytest.deprecated_call(match="use covariance_type"):
        assert found.shape == found.covariance_type == "spherical"


# The end of the range.


def test_a_choice_at_the_end_of_the_range_is_no_answer():
    x = draw((40, 40, 40, 40), 2, 8.0, seed=0)
    text = "3 clusters are the end of the range, which is no answer, as more may be better: raise the end of k_range"
    with pytest.warns(UserWarning, match=text):
        found = choose(x, [1, 2, 3])
    assert found.at_end
    assert found.confidence == 0
    assert repr(found) == "Selection(n_clusters=3, criterion='bic', confidence=0.00, at_end=True)"
    assert not choose(x).at_end


@pytest.mark.parametrize(("k_range", "tried"), [([1, 2, 3], [1, 2, 3, 4, 5, 6]), ([2], [2, 3, 4, 5])])
def test_the_range_grows_on_request(k_range, tried):
    x, fitted = draw((40, 40, 40, 40), 2, 8.0, seed=0), list[int]()
    found = choose(x, k_range, grow=True, on_fit=fitted.append)
    assert fitted == list(found.models) == found.scores["n_clusters"].tolist()
    assert fitted == tried
    assert found.n_clusters == 4
    assert not found.at_end


@AT_END
def test_a_range_grows_to_four_times_its_end_at_most():
    x = np.random.default_rng(0).uniform(size=(3000, 1))  # a uniform distribution is no mixture of a few normal ones
    found = choose(x, [1, 2], grow=True, criterion="partition_coefficient")
    assert max(found.models) <= 8
    few = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]])
    assert max(choose(few, [1, 2], grow=True).models) <= 6


def test_a_range_does_not_grow_if_the_choice_is_not_at_its_end():
    assert list(choose(draw((40, 40), 2, 8.0, seed=0), [1, 2, 3], grow=True).models) == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"grow": "yes"}, "grow='yes': expected True or False"),
        ({"weights": "frequency"}, "weights='frequency' is not known: choose one of relative, counts"),
    ],
)
def test_errors(given, message):
    with pytest.raises(InputError, match=message):
        choose(np.eye(4), [1, 2], **given)
