"""The programs in examples/networks, in a short form: `make examples` runs them in full."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "examples" / "networks"))

import compressed_weights
import deep_clustering
import image_patches

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*centers coincide")]


@pytest.fixture(autouse=True)
def _own_random_state():
    with torch.random.fork_rng():
        yield


def test_deep_clustering_is_better_than_kmeans_on_pixels():
    scores = deep_clustering.cluster(0, n_pretrain=20, n_epochs=30)
    assert scores.deep > scores.pixels + 0.05
    assert scores.deep > scores.embedding


def test_the_target_is_the_formula():
    resp = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    first = torch.tensor([0.9**2 / 1.4, 0.1**2 / 0.6])
    torch.testing.assert_close(deep_clustering.target_of(resp)[0], first / first.sum())


def test_weights_of_four_bits_are_as_accurate():
    found = compressed_weights.compress(0, bits=4, n_epochs=10, n_more=3)
    assert found.full > 0.9
    assert found.trained > found.full - 0.015


def test_training_recovers_the_accuracy_of_weights_of_two_bits():
    found = compressed_weights.compress(0, bits=2, n_epochs=10, n_more=3)
    assert found.trained > max(found.clustered, found.full - 0.03)


def test_both_implementations_compute_the_same_memberships():
    weights = torch.linspace(-2, 2, 50)[:, None]
    values = torch.linspace(-2, 2, 8)
    expected = (-((weights - values) ** 2) / 0.01).softmax(1) @ values[:, None]
    torch.testing.assert_close(compressed_weights.by_memberships(weights, 8), expected)
    assert (compressed_weights.by_codebook(weights, 8) - weights).abs().max() < 0.5


@pytest.mark.process
@pytest.mark.thorough  # tests/nn/test_codebook.py counts what is kept for the backward pass
@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory is read from /proc")
def test_a_codebook_keeps_no_memberships():
    n_weights, n_values = 500_000, 32
    memberships = n_weights * n_values * 4 / 2**20  # megabytes
    ours = compressed_weights.in_new_process(compressed_weights.by_codebook, n_weights, n_values)
    plain = compressed_weights.in_new_process(compressed_weights.by_memberships, n_weights, n_values)
    assert plain > 2 * memberships
    assert ours < memberships


def test_a_codebook_of_patches_is_as_good_as_kmeans():
    errors = image_patches.compress(image_patches.read_patches()[::12], 64, seed=0)
    assert errors.codebook < 1.05 * errors.kmeans
    assert errors.used >= 60
