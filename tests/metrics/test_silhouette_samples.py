"""Compare the silhouette widths of rows with scikit-learn's, and their mean with the fuzzy silhouette."""

import numpy as np
import pytest
from sklearn import metrics as sk

from softkmeans.metrics import fuzzy_silhouette, silhouette_samples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) + 3 * np.eye(3)[np.arange(60) % 3]
RESP = RNG.dirichlet(np.ones(3), size=60)
LABELS = RESP.argmax(axis=1)


def test_widths_of_crisp_clusters_match_scikit_learn():
    expected = sk.silhouette_samples(X, LABELS)
    np.testing.assert_allclose(silhouette_samples(X, np.eye(3)[LABELS], variant="exact"), expected, atol=1e-12)


def test_weights_are_equivalent_to_repeated_rows():
    repeats = 1 + np.arange(60) % 3
    weighted = silhouette_samples(X, RESP, variant="exact", sample_weight=repeats)
    repeated = silhouette_samples(np.repeat(X, repeats, 0), np.repeat(RESP, repeats, 0), variant="exact")
    np.testing.assert_allclose(np.repeat(weighted, repeats), repeated, atol=1e-12)


def test_distances_to_given_centers():
    centers = RNG.normal(size=(3, 3))
    distances = np.linalg.norm(X[:, None] - centers, axis=-1)
    own = distances[np.arange(60), LABELS]
    distances[np.arange(60), LABELS] = np.inf
    expected = (distances.min(1) - own) / np.maximum(distances.min(1), own)
    np.testing.assert_allclose(silhouette_samples(X, RESP, centers), expected, atol=1e-12)


@pytest.mark.parametrize("variant", ["centers", "exact"])
def test_the_weighted_mean_of_widths_is_the_fuzzy_silhouette(variant):
    second, first = np.sort(RESP, axis=1)[:, -2:].T
    mean = np.average(silhouette_samples(X, RESP, variant=variant), weights=first - second)
    assert fuzzy_silhouette(X, RESP, variant=variant) == pytest.approx(mean, abs=1e-12)
