"""Sums are bitwise identical for any number of threads, and correct."""

import numpy as np
import pytest
import torch

from softkmeans._utils.reductions import dot, total


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
