"""The members of the family: kernels for each distance and assignment rule are compared with the reference kernels."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.fuzzing import examples
from helpers.kernel_cases import CASES, DISTANCE_CASES, RULE_CASES, SUMS, fuzzy_case
from softkmeans import kernels
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES, Distance, as_distance
from softkmeans.kernels import operators, reference
from softkmeans.kernels.cpu import api, members, prepare, served
from softkmeans.model.assignment import ASSIGNMENTS, Fuzzy, Softmax

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
ROUNDING = {np.float32: 2e-4, np.float64: 1e-9}  # distances of the reference have half of the digits

# Rows, features, clusters: small, primes, and around registers, panels, tiles, chunks. Few features are 2 or 5, as each
# number takes another kernel, whose compilation takes longer than a test; `test_kernels` has all numbers.
SIZES = [
    (1, 2, 1), (2, 2, 2), (3, 5, 3), (47, 5, 5), (48, 9, 4), (49, 17, 7), (97, 31, 11), (383, 5, 13), (385, 40, 3),
    (769, 16, 64), (3073, 2, 6), (3200, 12, 9), (60, 300, 10),
]  # fmt: skip


def test_the_cases_cover_all_members():
    distances = {type(make()) for make in DISTANCE_CASES.values()}
    rules = {type(make(3, 1.0, np.random.default_rng(0))[2]) for make in RULE_CASES.values()}
    assert distances >= set(prepare.COMPILED_DISTANCES) == {type(DISTANCES[name]) for name in DISTANCES}
    assert rules == set(prepare.COMPILED_RULES) == {type(ASSIGNMENTS[name]) for name in ASSIGNMENTS}


def draw(size, distance, rule, dtype, weighted, seed=0, on_centers=0):
    """Return a block of rows, some of which are centers, and the arguments of the kernels."""
    n, d, k = size
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) * 2 + rng.integers(0, 2, (n, 1)) * 6 + 5).astype(dtype)
    c = (x[rng.integers(n, size=k)] + rng.normal(size=(k, d)) * 0.3).astype(dtype)
    x[:on_centers] = c[rng.integers(k, size=min(n, on_centers))]
    source = as_source(x, rng.uniform(0.1, 3, n) if weighted else None)
    scaling = Scaling.of(source, DISTANCE_CASES[distance]())
    (block,) = scaling.view(source).blocks()
    centers = scaling.transform(torch.tensor(c.astype(float)))
    mean = float(reference.distances(block, centers, scaling.distance).mean())
    beta, b, rule = RULE_CASES[rule](k, max(mean, 1e-3), rng)
    return block, centers, torch.tensor(beta), torch.tensor(b), scaling.distance, rule


def both(function, *arguments, **options):
    """Return the results of the compiled kernels and of the reference."""
    results = []
    for large in (0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", large)
            results.append(getattr(kernels, function)(*arguments, **options))
    return results


def assert_close(found, expected, tolerance, what="", scale=0.0):
    scale = max(scale, float(expected.abs().max()) if expected.numel() else 0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale + 1e-300, err_msg=what)


def assert_same_stats(arguments, tolerance):
    found, expected = both("accumulate", *arguments)
    for name in SUMS:
        scale = float(expected.irls_weight.max()) if name == "weighted_sum" else 0.0  # rows are about 1 in size
        assert_close(getattr(found, name), getattr(expected, name), tolerance, name, scale)


@pytest.fixture(autouse=True)
def kernels_are_used(monkeypatch):
    """Make a fallback to the reference an error: the comparisons would say nothing."""
    monkeypatch.setattr(kernels.dispatch, "FALLS_BACK", False)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_sums(distance, rule, dtype):
    for i, size in enumerate(SIZES):
        arguments = draw(size, distance, rule, dtype, weighted=i % 2 == 0, seed=i)
        assert_same_stats(arguments, ROUNDING[dtype] * (10 if "far apart" in rule or "1.1" in rule else 1))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.thorough)])
@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_memberships_log_normalizers_and_distances(distance, rule, dtype):
    for i, size in enumerate(SIZES):
        block, c, beta, b, kind, rule_object = draw(size, distance, rule, dtype, weighted=False, seed=i)
        tolerance = ROUNDING[dtype] * 100
        found, expected = both("assign", block, c, beta, b, kind, rule_object)
        assert_close(found.double(), expected.double(), tolerance)
        found, expected = both("lognorm", block, c, beta, b, kind, rule_object)
        assert_close(found, expected, tolerance)
        assert_close(*both("distances", block, c, kind), tolerance)
        (label, near), (expected_label, expected_near) = both("nearest", block, c, kind)
        assert_close(near, expected_near, tolerance)
        assert (label == expected_label).double().mean() > 0.98
        closest = expected_near * 1.1
        for found, expected in zip(*both("min_distances", block, c, closest, kind), strict=True):
            assert_close(found.double(), expected.double(), tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_rows_on_centers(distance, rule, dtype, d):
    """Distances of 0: kinks of the Euclidean distance, and memberships of 1 in fuzzy c-means."""
    arguments = draw((300, d, 5), distance, rule, dtype, weighted=True, on_centers=40)
    found, expected = both("accumulate", *arguments)
    tolerance = 1e-3 if dtype == np.float32 else 1e-7
    for name in SUMS:
        if dtype == np.float32 and distance == "euclidean" and name in ("irls_weight", "weighted_sum"):
            assert bool(getattr(found, name).isfinite().all())
            continue  # in the reference, a row of rounding errors may be at any tiny distance
        assert_close(getattr(found, name), getattr(expected, name), tolerance, name)


@pytest.mark.slow
@examples(150)
@given(
    n=st.integers(1, 130), d=st.sampled_from([2, 5, *range(9, 31)]), k=st.integers(1, 20), seed=st.integers(0, 10**6),
    case=st.sampled_from(CASES), weighted=st.booleans(),
)  # fmt: skip
def test_sums_of_random_data(n, d, k, seed, case, weighted):
    assert_same_stats(draw((n, d, k), *case, np.float64, weighted, seed=seed), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch, distance, rule):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    arguments = draw((20_000, 12, 7), distance, rule, np.float32, weighted=True)
    before, results = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 3, 4):
            torch.set_num_threads(n_threads)
            stats = kernels.accumulate(*arguments)
            results.append([getattr(stats, name) for name in ("weight", "weighted_sum", "objective", "distortion")])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.parametrize("fuzzifier", [50.0, 90.0])
def test_powers_that_float32_can_not_hold(fuzzifier, monkeypatch):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    bits, plain = [], api.prepare_pass
    monkeypatch.setattr(api, "prepare_pass", lambda *args, **options: bits.append(args[5]) or plain(*args, **options))
    monkeypatch.setitem(RULE_CASES, "large", fuzzy_case(fuzzifier))
    assert_same_stats(draw((200, 12, 9), "sqeuclidean", "large", np.float32, weighted=False), 1e-8)
    assert bits == [32, 64]


def test_every_member_is_a_pair_of_parts():
    pairs = [parts for parts in members.MEMBERS.values() if parts]
    assert len(set(pairs)) == len(pairs)
    distances = {known.part for known in prepare.COMPILED_DISTANCES.values()}
    assert {distance for distance, _ in pairs} == distances


# Slopes: sums for the distortion and the entropy, and gradients of rows


MIXTURE_CASES = [(d, r) for d, r in CASES if not r.startswith("m =")]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.thorough), np.float64])
@pytest.mark.parametrize(("distance", "rule"), MIXTURE_CASES)
def test_slopes(distance, rule, dtype):
    for i, size in enumerate(SIZES):
        block, c, beta, b, kind, rule_object = draw(size, distance, rule, dtype, weighted=i % 2 == 0, seed=i)
        noise_distance = -rule_object.noise_logit / float(beta.max()) if rule_object.has_noise else 0.0
        logits = kernels.Logits(c, beta, b, kind, rule_object, noise_distance)
        found, expected = both("accumulate_distortion", block, logits)
        tolerance = ROUNDING[dtype] * (10 if "far apart" in rule else 1)
        for name in (*SUMS, "slope", "slope_distortion"):
            scale = float(expected.weight.max())
            scale = scale * float(beta.max() / beta.min()) if name in ("irls_weight", "weighted_sum") else scale
            assert_close(getattr(found, name), getattr(expected, name), tolerance, name, scale)
        if rule in ("softmax", "noise"):
            noise = noise_distance * float(beta[0])
            shared = beta.mean().expand(len(beta))
            arguments = block, c, shared, b, kind, rule_object, noise
            n = float(expected.n)
            assert_close(*both("entropy_slope", *arguments), tolerance, "entropy", n)
        if kind.translates:
            for of_distortion in (False, True):
                found, expected = both("row_gradient", block, logits, of_distortion=of_distortion)
                assert_close(found.double(), expected.double(), tolerance * 10, "rows", 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [name for name in DISTANCES if DISTANCES[name].constant_slope is not None])
@pytest.mark.parametrize("size", [(300, 3, 5), (385, 17, 11)], ids=str)
def test_products_with_the_hessian(monkeypatch, size, distance, dtype):
    """Check temperatures per cluster, by which the logits change differently along a direction."""
    n, d, k = size
    rng = np.random.default_rng(0)
    x, c, of_c = (torch.tensor(rng.normal(size=(m, d))).to(dtype) for m in (n, k, k))
    if distance == "cosine":
        x, c = (part / part.norm(dim=1, keepdim=True) for part in (x, c))
    beta, b, of_beta, of_b = (torch.tensor(rng.uniform(0.2, 2, k)).to(dtype) for _ in range(4))
    results = []
    for large in (0, math.inf):
        monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", large)
        products = operators.hessian_product(
            x, c, beta, b, None, None, distance, False, False, False, None, of_c, of_beta, of_b, None
        )
        results.append(products[1:4])
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 3e-4 if dtype == torch.float32 else 1e-10, "product", float(n) / k)


# What is served


def test_the_table_of_the_page_agrees_with_the_code():
    assert served.served_table() in PAGE.read_text()


@pytest.mark.parametrize("function", served.FUNCTIONS)
def test_every_served_function_has_a_name_and_a_kernel(function):
    distance = as_distance("sqeuclidean")
    assert served.serves(function, distance, [1.0, 1.0], Softmax())
    assert not served.serves(function, Unknown(), [1.0, 1.0], Softmax())


class Unknown(Distance):
    name, power = "unknown", None

    def of_squared(self, squared):
        return torch.log1p(squared)


@pytest.mark.parametrize("fuzzifier", [1.5, 5.5, 9.0])
@pytest.mark.parametrize("noise", [None, 1e20, 1e31])
def test_memberships_do_not_depend_on_the_scale(fuzzifier, noise, monkeypatch):
    """Without a noise cluster, memberships sum to 1, even if distances come close to the largest number of float32."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    x = 1e12 * np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    (block,), c = as_source(x).blocks(), torch.from_numpy(x[:3].astype(float) * 1.1)
    rule = Fuzzy(fuzzifier) if noise is None else Fuzzy(fuzzifier).with_noise(-noise)
    arguments = c, torch.ones(3).double(), torch.zeros(3).double(), DISTANCES["sqeuclidean"], rule
    found, expected = kernels.assign(block, *arguments), reference.assign(block, *arguments)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    if noise is None:
        np.testing.assert_allclose(found.sum(1), 1.0, atol=2e-6)


def test_infinite_inverse_temperatures_give_no_warning_of_numpy(monkeypatch):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    monkeypatch.setattr(kernels.dispatch, "FALLS_BACK", True)  # they are out of the range of the compiled kernels
    (block,) = as_source(np.zeros((9, 3))).blocks()
    c, b = torch.zeros(2, 3).double(), torch.zeros(2).double()
    beta = torch.full((2,), torch.inf).double()
    assert float(kernels.accumulate(block, c, beta, b, DISTANCES["sqeuclidean"]).n) == 9
