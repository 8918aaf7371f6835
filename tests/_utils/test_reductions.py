"""Sums are bitwise identical for any number of threads, and correct."""

import numpy as np
import pytest
import torch

from softkmeans._utils.reductions import dot, largest_of_rows, pairwise_distances, total


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(300_000,), (100_000, 3), (5_000, 7, 5)])
def test_sums_do_not_depend_on_the_number_of_threads(shape, threads):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    results = []
    for n in (1, 2, 4):
        threads(n)
        results.append((total(x), dot(x.flatten(), x.flatten())))
    first_sums, first_product = results[0]
    assert all(torch.equal(sums, first_sums) and torch.equal(product, first_product) for sums, product in results)


def test_sums_agree_with_exact_sums():
    x = np.random.default_rng(0).integers(-9, 9, (1000, 4)).astype(float)
    assert total(torch.from_numpy(x)).tolist() == x.sum(0).tolist()
    assert float(dot(torch.from_numpy(x[:, 0]), torch.from_numpy(x[:, 1]))) == float(x[:, 0] @ x[:, 1])


@pytest.mark.parametrize("k", [1, 5, 300])
def test_distances_between_centers(k):
    c = torch.from_numpy(np.random.default_rng(0).normal(size=(k, 3)))
    expected = np.linalg.norm(c.numpy()[:, None] - c[:4].numpy(), axis=2)
    np.testing.assert_allclose(pairwise_distances(c, c[:4]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [1, 20_000])
def test_largest_of_rows(n):
    x = np.random.default_rng(0).normal(size=(n, 3))
    largest, position = largest_of_rows(torch.from_numpy(x))
    np.testing.assert_array_equal(largest, x.max(1))
    np.testing.assert_array_equal(position, x.argmax(1))
