"""make_blobs returns scikit-learn's samples as tensors, and rejects invalid arguments."""

import numpy as np
import pytest
import torch
from sklearn import datasets

from softkmeans.data import make_blobs
from softkmeans.errors import InputError


def test_the_samples_equal_those_of_scikit_learn():
    x, y = make_blobs(50, 3, 4, [0.1, 0.2, 0.3, 0.4], center_box=(0, 1), random_state=7, dtype=torch.float64)
    expected_x, expected_y = datasets.make_blobs(
        50, 3, centers=4, cluster_std=[0.1, 0.2, 0.3, 0.4], center_box=(0, 1), random_state=7
    )
    np.testing.assert_array_equal(x.numpy(), expected_x)
    np.testing.assert_array_equal(y.numpy(), expected_y)


def test_the_defaults():
    x, y = make_blobs()
    assert (x.shape, x.dtype) == ((300, 2), torch.float32)
    assert (y.shape, y.dtype) == ((300,), torch.int64)
    assert torch.bincount(y).tolist() == [100, 100, 100]


def test_the_standard_deviation_is_cluster_std():
    x, y = make_blobs(20_000, n_clusters=2, cluster_std=(0.5, 2.0), random_state=0)
    assert [x[y == k].std(0).mean().item() for k in (0, 1)] == pytest.approx([0.5, 2.0], rel=0.02)


def test_seeds_determine_samples_and_keep_global_generators():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, again, other = (make_blobs(random_state=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 0}, "n_clusters must be an int of at least 1, got 0"),
        ({"n_clusters": 2.0}, "n_clusters"),
        ({"n_clusters": True}, "n_clusters"),
        ({"n_features": 0}, "n_features"),
        ({"n_samples": 2}, r"n_samples must be an int of at least 3 \(n_clusters\), got 2"),
        ({"n_samples": [1, 2, 3]}, "n_samples"),
        ({"cluster_std": -1.0}, "cluster_std must be finite and not negative"),
        ({"cluster_std": float("nan")}, "cluster_std"),
        ({"cluster_std": "wide"}, "cluster_std"),
        ({"cluster_std": [1.0, 2.0]}, r"one per cluster \(3\)"),
        ({"center_box": (1.0, -1.0)}, "center_box"),
        ({"center_box": (0.0, float("inf"))}, "center_box"),
        ({"center_box": 3.0}, "center_box"),
        ({"random_state": "seed"}, "random_state"),
        ({"random_state": -1}, "random_state"),
        ({"dtype": torch.int64}, "dtype"),
        ({"dtype": "float32"}, "dtype"),
    ],
    ids=str,
)
def test_errors_name_invalid_arguments(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        make_blobs(**arguments)
    assert "\n" not in str(caught.value)
