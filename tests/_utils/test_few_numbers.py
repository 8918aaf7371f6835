"""Formulas for a few numbers give the same for arrays and tensors."""

import numpy as np
import pytest
import torch

from softkmeans._utils.few_numbers import (
    are_finite,
    as_array,
    at_least,
    at_most,
    exp,
    filled,
    from_array,
    inner,
    joined,
    log,
    matching,
    positions,
    repeated,
    sum_of,
    where,
)

NUMBERS = np.random.default_rng(0).integers(1, 9, 50).astype(float)


@pytest.mark.parametrize(
    "formula",
    [
        log,
        lambda x: at_least(x, 4.0),
        lambda x: where(x > 4, x, 0.0),
        lambda x: joined([x, x[:3]]),
        lambda x: repeated(x, 3),
        lambda x: filled(x, 3, 2.5),
        lambda x: exp(at_most(x, 4.0)),
        lambda x: positions(x.cumsum(0), x.cumsum(0)[:3], "right"),
        lambda x: matching(np.ones(3), x) * x[:3],
    ],
)
def test_arrays_and_tensors_agree(formula):
    np.testing.assert_allclose(formula(NUMBERS), formula(torch.from_numpy(NUMBERS)), rtol=1e-15)


@pytest.mark.parametrize("n", [50, 20_000])
def test_inner_products(n):
    x = np.resize(NUMBERS, n)
    assert inner(x, x[::-1]) == inner(torch.from_numpy(x), torch.from_numpy(x).flip(0)) == float(x @ x[::-1])


def test_sums():
    assert sum_of(torch.from_numpy(NUMBERS)) == NUMBERS.sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_finite(dtype):
    assert are_finite(torch.ones(2, dtype=dtype))
    assert not any(are_finite(torch.tensor([1.0, value], dtype=dtype)) for value in (torch.nan, torch.inf, -torch.inf))


def test_conversions_share_memory():
    x = torch.zeros(3)
    as_array(x)[0] = 1.0
    from_array(as_array(x))[1] = 2.0
    assert x.tolist() == [1.0, 2.0, 0.0]
    other = torch.zeros(3, device="meta")
    assert from_array(as_array(other)) is other
