"""The kernels for few rows are compared with the reference kernels, for all members of the family."""

import math

import numpy as np
import pytest
import torch
from test_kernels_of_members import CASES, DISTANCE_CASES, RULE_CASES, SUMS, assert_close, draw

from softkmeans import kernels
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES, Distance
from softkmeans.kernels import reference, small
from softkmeans.model.assignment import ASSIGNMENTS

SIZES = [(1, 2, 1), (2, 2, 2), (1, 7, 5), (47, 5, 1), (49, 4, 7), (97, 31, 11), (60, 300, 10), (500, 3, 40)]


def test_all_members_are_served():
    assert set(small.ARRAY_DISTANCES) == {type(DISTANCES[name]) for name in DISTANCES}
    assert set(small.ARRAY_RULES) == {type(ASSIGNMENTS[name]) for name in ASSIGNMENTS}


@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_sums_and_rows(distance, rule):
    for i, size in enumerate(SIZES):
        arguments = draw(size, distance, rule, np.float64, weighted=i % 2 == 0, seed=i, on_centers=i % 3)
        block, c, *_, kind, rule_object = arguments
        assert small.serves(block, c, kind, rule_object)
        found, expected = small.accumulate(*arguments), reference.accumulate(*arguments)
        for name in SUMS:
            scale = float(expected.irls_weight.max()) if name == "weighted_sum" else 0.0
            assert_close(getattr(found, name), getattr(expected, name), 1e-9, name, scale)
        if rule_object.uses_temperature:
            noise = 0.7 if rule_object.has_noise else 0.0
            slopes = [module.entropy_slope(*arguments, noise) for module in (small, reference)]
            assert_close(*slopes, 1e-9, "entropy slope", float(found.n))
        for function in ("assign", "lognorm"):
            assert_close(getattr(small, function)(*arguments), getattr(reference, function)(*arguments), 1e-8)


@pytest.mark.parametrize("rule", RULE_CASES)
def test_memberships_at_logits(rule):
    *_, rule_object = draw((47, 5, 1), "sqeuclidean", rule, np.float64, weighted=False)
    logits = -torch.rand(5, 47, dtype=torch.float64)
    before = logits.clone()
    assert_close(small.memberships(logits, rule_object), rule_object(before, 0).resp, 1e-12)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("distance", DISTANCE_CASES)
def test_distances(distance):
    for i, size in enumerate(SIZES):
        block, c, *_, kind, _ = draw(size, distance, "softmax", np.float64, weighted=True, seed=i)
        assert_close(small.distances(block, c, kind), reference.distances(block, c, kind), 1e-9)
        (label, near), (expected_label, expected_near) = (f.nearest(block, c, kind) for f in (small, reference))
        assert_close(near, expected_near, 1e-9)
        assert torch.equal(label, expected_label)
        candidates = [f.min_distances(block, c, expected_near * 1.1, kind) for f in (small, reference)]
        for found, expected in zip(*candidates, strict=True):
            assert_close(found, expected, 1e-9)


@pytest.mark.parametrize("rule", ["softmax", "m = 2"])
@pytest.mark.parametrize("d", [2, 9])
def test_far_rows_keep_their_memberships(rule, d):
    """The distances of a row that is far from all centers differ by less than their rounding."""
    block, c, beta, b, kind, rule_object = draw((20, d, 4), "sqeuclidean", rule, np.float64, weighted=False)
    far = as_source(block.x + 1e9)
    (block,) = far.blocks()
    step = (c - c[0]).numpy()
    exact = (step * (c + c[0]).numpy()).sum(1) - 2 * block.x.numpy() @ step.T  # less the distance to the first center
    assert torch.equal(small.nearest(block, c, kind)[0], torch.from_numpy(exact.argmin(1)))
    if rule_object.uses_temperature:
        expected = rule_object(b - beta * torch.from_numpy(exact)).resp
        assert_close(small.assign(block, c, beta, b, kind, rule_object), expected, 1e-9)


def test_rows_close_to_centers_far_from_the_origin_keep_half_of_the_digits():
    rng = np.random.default_rng(0)
    x = 1e6 + rng.normal(size=(50, 8)) * 1e-3
    (block,) = as_source(x).blocks()
    c = torch.from_numpy(x[:3].copy())
    exact = ((x[:, None] - x[None, :3]) ** 2).sum(2)
    assert_close(small.distances(block, c, DISTANCES["sqeuclidean"]), torch.from_numpy(exact), 1e-12)


class Cubed(Distance):
    name, power = "cubed", 6

    def of_squared(self, squared):
        return squared**3


def test_what_is_not_served_goes_to_the_reference():
    block, c, beta, b, kind, rule = draw((30, 3, 4), "sqeuclidean", "softmax", np.float64, weighted=False)
    assert small.serves(block, c, kind, rule)
    assert not small.serves(block, c, Cubed(), rule)
    assert not small.serves(block, c.float(), kind, rule)
    (large,) = as_source(np.zeros((int(small.MAX_WORK) // (4 * 11) + 1, 3))).blocks()
    assert not small.serves(large, c, kind, rule)
    found = kernels.accumulate(block, c, beta, b, Cubed(), rule)
    assert_close(found.weight, reference.accumulate(block, c, beta, b, Cubed(), rule).weight, 0.0)


@pytest.mark.parametrize("distance", DISTANCES)
def test_numbers_that_overflow_raise_no_warning(distance):
    x = np.array([[1e200, 1.0], [-1e200, 2.0], [0.0, 1.0]])
    (block,) = as_source(x).blocks()
    c = torch.tensor([[0.0, 1.0], [1e200, 1.0]], dtype=torch.float64)
    _, _, rule = RULE_CASES["softmax"](2, 1.0, np.random.default_rng(0))
    small.accumulate(block, c, torch.ones(2).double(), torch.zeros(2).double(), DISTANCES[distance], rule)


def test_threads_do_not_change_the_bits():
    """The products are the largest that are served, and products with one row or center, for which BLAS has others."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    rng = np.random.default_rng(0)
    for n, d, k in [(3000, 2, 8), (500, 64, 8), (200, 1200, 1), (1, 1000, 200), (20000, 5, 1)]:
        assert n * k * d <= small.MAX_PRODUCT
        source = as_source(rng.normal(size=(n, d)))
        scaling = Scaling(DISTANCES["sqeuclidean"], torch.zeros(d).double(), 1.0)
        (block,) = scaling.view(source).blocks()
        c = torch.from_numpy(rng.normal(size=(k, d)))
        arguments = block, c, torch.ones(k).double(), torch.zeros(k).double(), scaling.distance, reference.SOFTMAX
        results = []
        for n_threads in (1, 2, 8):
            with threadpoolctl.threadpool_limits(n_threads):
                stats = small.accumulate(*arguments)
                rows = small.assign(*arguments), small.distances(block, c, scaling.distance)
            results.append([getattr(stats, name) for name in SUMS] + list(rows))
        for other in results[1:]:
            assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))
    assert math.isfinite(float(results[0][0].sum()))
