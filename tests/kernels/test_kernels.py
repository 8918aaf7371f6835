"""Kernels: every backend is compared with NumPy in float64, on one table of sizes."""

import math
import multiprocessing
import os
import threading
from fractions import Fraction

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp, softmax

from helpers import reference as ref
from helpers.fuzzing import examples
from helpers.waiting import HANG_SECONDS
from softkmeans import InputError, SoftKMeans, accumulate, kernels
from softkmeans.data import as_source
from softkmeans.data.block import Block
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES, as_distance
from softkmeans.kernels.cpu import api, prepare, threads

FUSED = ["sqeuclidean", "cosine"]
ROUNDING = {np.float32: 3e-6, np.float64: 1e-13}

# Rows, features, clusters: below and above each multiple of registers, panels, tiles, strips and chunks.
SIZES = [
    (1, 1, 1), (7, 2, 1), (24, 3, 5), (25, 8, 4), (47, 9, 3), (100, 16, 64), (385, 5, 7), (400, 17, 10), (800, 41, 9),
    (500, 130, 33), (3100, 2, 50), (6500, 24, 6), (3073, 12, 13),
]  # fmt: skip


def make_data(n, d, k, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) * 2 + rng.integers(0, 2, (n, 1)) * 6 + 5).astype(dtype)
    c = (x[rng.integers(n, size=k)] + rng.normal(size=(k, d)) * 0.3).astype(float)
    return x, c, rng.uniform(0, 3, n)


def make_block(x, w=None, distance="sqeuclidean"):
    """Return rows as one scaled block, as fits use it, and the scaling, which transforms centers."""
    source = as_source(x, w)
    scaling = Scaling.of(source, as_distance(distance))
    (block,) = scaling.view(source).blocks()
    return block, scaling


def expected_stats(x, c, t, w, distance, b=0.0):
    d = ref.distances(x, c, distance)
    logits = b - d / t
    total = logsumexp(logits, axis=1)
    r = softmax(logits, axis=1) * (np.ones(len(x)) if w is None else w)[:, None]
    return {"resp": r, "weight": r.sum(0), "distortion": (r * d).sum(0), "objective": logits, "lognorm": total}


def compute_stats(x, c, t, w=None, distance="sqeuclidean", b=None):
    """Return the Stats of the kernels, in the units of the data."""
    block, scaling = make_block(x, w, distance)
    k, unit = len(c), scaling.unit
    beta = torch.full((k,), unit / t, dtype=torch.float64)
    b = torch.zeros(k, dtype=torch.float64) if b is None else torch.tensor(b)
    stats = kernels.accumulate(block, scaling.transform(torch.tensor(c)), beta, b, scaling.distance)
    return scaling.inverse_transform_stats(stats)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distance", FUSED)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sums(backend, size, distance, dtype, weighted):
    if distance == "cosine" and size[1] == 1:
        return
    x, c, w = make_data(*size, dtype)
    w = w if weighted else None
    spread = ref.distances(x.astype(float), c, distance).mean()
    # The NumPy reference subtracts cosines from 1, which is too imprecise for tiny temperatures.
    for t in (*[1e-9 * spread] * (distance != "cosine"), 0.01 * spread, 0.3 * spread, 10 * spread):
        stats = compute_stats(x, c, t, w, distance)
        expected = expected_stats(x.astype(float), c, t, w, distance)
        n, resp = (w.sum() if weighted else len(x)), expected["resp"]
        # Rounding changes a logit, and so a membership, in proportion to the logits.
        atol = ROUNDING[dtype] * n * (1 + (0 if dtype == np.float64 else spread / t * 1e-2))
        if t < 1e-8 * spread and dtype == np.float32:
            atol = n  # a row between two centers may belong to either
        np.testing.assert_allclose(stats.weight, expected["weight"], atol=atol)
        assert float(stats.weight.sum()) == pytest.approx(n, rel=1e-6 if dtype == np.float32 else 1e-13)
        assert float(stats.n) == pytest.approx(n, rel=1e-6 if dtype == np.float32 else 1e-13)
        e, f = expected["distortion"].sum(), ref.free_energy(x.astype(float), c, t, w, distance)
        scale = spread * n
        assert float(stats.distortion.sum()) == pytest.approx(e, abs=10 * ROUNDING[dtype] * scale)
        assert -t * float(stats.objective) == pytest.approx(f, abs=10 * ROUNDING[dtype] * (scale + abs(f)))
        z = x / np.linalg.norm(x, axis=1, keepdims=True) if distance == "cosine" else x
        slope = 0.5 if distance == "cosine" else 1.0
        if atol < n:
            np.testing.assert_allclose(
                stats.weighted_sum, slope * resp.T @ z.astype(float), atol=atol * np.abs(z).max() * 3
            )
            np.testing.assert_allclose(stats.irls_weight, slope * stats.weight)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distance", FUSED)
@pytest.mark.parametrize("size", [s for s in SIZES if s[1] > 1], ids=str)
def test_nearest_distances_memberships_and_log_normalizers(backend, size, distance, dtype):
    x, c, _ = make_data(*size, dtype)
    block, scaling = make_block(x, None, distance)
    centers, k = scaling.transform(torch.tensor(c)), len(c)
    d = ref.distances(x.astype(float), c, distance)
    label, near = kernels.nearest(block, centers, scaling.distance)
    assert label.dtype == torch.int64
    chosen = np.take_along_axis(d, label.numpy()[:, None], 1)[:, 0]
    np.testing.assert_allclose(chosen, d.min(1), atol=ROUNDING[dtype] * d.mean())
    np.testing.assert_allclose(near * scaling.unit, d.min(1), atol=10 * ROUNDING[dtype] * d.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        kernels.distances(block, centers, scaling.distance) * scaling.unit, d, atol=10 * ROUNDING[dtype] * d.mean()
    )
    for t in (0.05 * d.mean(), d.mean()):
        expected = expected_stats(x.astype(float), c, t, None, distance)
        beta, b = torch.full((k,), scaling.unit / t, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
        resp = kernels.assign(block, centers, beta, b, scaling.distance)
        np.testing.assert_allclose(resp, expected["resp"], atol=100 * ROUNDING[dtype])
        np.testing.assert_allclose(resp.sum(1), 1, atol=4 * ROUNDING[dtype])
        lognorm = kernels.lognorm(block, centers, beta, b, scaling.distance)
        np.testing.assert_allclose(lognorm, expected["lognorm"], atol=100 * ROUNDING[dtype] * (1 + d.mean() / t))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_log_prior_shifts_logits(backend, distance):
    x, c, w = make_data(700, 12, 6)
    b = np.random.default_rng(1).normal(size=6)
    t = ref.distances(x, c, distance).mean()
    stats, expected = compute_stats(x, c, t, w, distance, b), expected_stats(x, c, t, w, distance, b)
    np.testing.assert_allclose(stats.weight, expected["weight"], rtol=1e-11)
    np.testing.assert_allclose(stats.distortion, expected["distortion"], rtol=1e-11)
    assert float(stats.objective) == pytest.approx(w @ expected["lognorm"], rel=1e-11)


def test_a_temperature_per_cluster_uses_the_reference_kernels(backend):
    x, c, _ = make_data(300, 12, 4)
    block, scaling = make_block(x)
    beta = torch.linspace(0.1, 1.0, 4, dtype=torch.float64)
    stats = kernels.accumulate(
        block, scaling.transform(torch.tensor(c)), beta, torch.zeros_like(beta), scaling.distance
    )
    logits = -beta.numpy() * ref.distances(x, c) / scaling.unit
    resp = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(stats.weight, resp.sum(0), rtol=1e-11)


@pytest.mark.slow
@examples(60)
@given(
    n=st.integers(1, 130), d=st.integers(1, 30), k=st.integers(1, 20), seed=st.integers(0, 10**6),
    t=st.floats(1e-4, 1e4), offset=st.sampled_from([0.0, 1e6, -1e3]), weighted=st.booleans(),
)  # fmt: skip
def test_compiled_and_reference_agree(n, d, k, seed, t, offset, weighted):
    x, c, w = make_data(n, d, k, seed=seed)
    results = []
    for large in (0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", large)
            results.append(accumulate(x + offset, c + offset, t, w if weighted else None))
    rounding = 1e-12 + np.finfo(float).eps * abs(offset) * 100 / t
    scale = 1 + np.abs(x).max() ** 2 + abs(offset)
    for name in ("weight", "distortion", "irls_weight", "weighted_sum", "n"):
        compiled, reference = (getattr(stats, name).numpy() for stats in results)
        np.testing.assert_allclose(compiled, reference, atol=rounding * n * 3 * scale, rtol=1e-9)
    assert float(results[0].objective) == pytest.approx(
        float(results[1].objective), rel=1e-9, abs=rounding * n * scale / t
    )


# Public accumulate


@pytest.mark.parametrize("distance", DISTANCES)
def test_accumulate_is_in_the_units_of_the_data(backend, distance):
    x, c, w = make_data(600, 10, 5)
    t = ref.distances(x, c, distance).mean() / 3
    stats, expected = accumulate(x, c, t, w, distance=distance), expected_stats(x, c, t, w, distance)
    np.testing.assert_allclose(stats.weight, expected["weight"], rtol=1e-10)
    np.testing.assert_allclose(stats.distortion, expected["distortion"], rtol=1e-10)
    assert -t * float(stats.objective) == pytest.approx(ref.free_energy(x, c, t, w, distance), rel=1e-10)
    z = x / np.linalg.norm(x, axis=1, keepdims=True) if distance == "cosine" else x
    slope = {"sqeuclidean": 1.0, "cosine": 0.5}.get(distance) or 0.5 / ref.distances(x, c, distance)
    np.testing.assert_allclose(stats.irls_weight, (slope * expected["resp"]).sum(0), rtol=1e-10)
    np.testing.assert_allclose(stats.weighted_sum, (slope * expected["resp"]).T @ z, rtol=1e-10)
    halves = accumulate(x[:200], c, t, w[:200], distance=distance) + accumulate(
        x[200:], c, t, w[200:], distance=distance
    )
    np.testing.assert_allclose(halves.weighted_sum, stats.weighted_sum, rtol=1e-10)


ACCUMULATE_BAD = {
    "NaN": ({"x": [[1.0, np.nan], [0.0, 0.0]]}, "1 of 4 entries, the first in row 0, column 1"),
    "infinity": ({"x": [[1.0, np.inf], [0.0, 0.0]]}, "contains NaN or infinity"),
    "centers of another width": ({"c": [[1.0]]}, r"centers have shape \(1, 1\), expected \(k, 2\)"),
    "centers of another shape": ({"c": [1.0, 2.0]}, r"centers have shape \(2,\)"),
    "centers too far apart": ({"c": [[0.0, 0.0], [1e156, 1e156]]}, "the centers are 1e.156 apart"),
    "complex centers": ({"c": [[1.0, 2j]]}, "the centers holds complex numbers, expected real numbers"),
    "no centers": ({"c": np.empty((0, 2))}, r"the centers have shape \(0, 2\), expected \(k, 2\)"),
    "centers of text": ({"c": [["a", "b"]]}, "the centers.*not numeric"),
    "centers a word": ({"c": "ab"}, "the centers is a str"),
    "centers None": ({"c": None}, "the centers"),
    "NaN center": ({"c": [[1.0, np.nan]]}, "the centers contains NaN"),
    "zero temperature": ({"temperature": 0.0}, "temperature=0.0"),
    "weights": ({"sample_weight": [1.0, -1.0]}, "1 negative values"),
    "distance": ({"distance": "l1"}, "distance='l1'"),
    "no rows": ({"x": np.zeros((0, 2))}, "at least one row"),
}


@pytest.mark.parametrize("case", ACCUMULATE_BAD)
def test_accumulate_names_bad_input(backend, case):
    arguments, message = ACCUMULATE_BAD[case]
    good = {"x": [[0.0, 0.0], [1.0, 1.0]], "c": [[0.0, 0.0]], "temperature": 1.0}
    with pytest.raises(InputError, match=message):
        accumulate(**good | arguments)


def test_nan_in_large_data_is_named():
    x = np.zeros((60_000, 40), np.float32)
    x[1234, 5] = np.nan
    with pytest.raises(InputError, match="1 of 2400000 entries, the first in row 1234, column 5"):
        accumulate(x, x[:3] + np.eye(3, 40), 1.0)


# Skipped memberships, and extreme ranges


@pytest.mark.parametrize("d", [2, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_skipped_memberships_are_below_rounding_of_the_clusters_weight(monkeypatch, dtype, d):
    """This holds for tiny clusters, too, whose weight consists of memberships that others would skip."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    rng = np.random.default_rng(0)
    means = np.zeros((6, d))
    means[:, 0] = [0, 8, 16, 24, 37, 60]  # the last two have no rows of their own
    x = (means[rng.integers(4, size=20_000)] + rng.normal(size=(20_000, d))).astype(dtype)
    t, digits = 2.0, 1e-5 if dtype == np.float32 else 1e-11
    exact = expected_stats(x.astype(float), means, t, None, "sqeuclidean")["resp"]
    stats = compute_stats(x, means, t)
    assert 1e-22 < exact.sum(0)[4] < 1e-9
    alive = exact.sum(0) > (1e-28 if dtype == np.float32 else 1e-250)
    assert alive[:5].all()
    np.testing.assert_allclose(stats.weight[alive], exact.sum(0)[alive], rtol=digits)
    centers = stats.weighted_sum[alive] / stats.weight[alive, None]
    np.testing.assert_allclose(centers, (exact.T @ x)[alive] / exact.sum(0)[alive, None], atol=digits * 30)


@pytest.mark.parametrize("d", [2, 12, 40])
def test_skipping_changes_weights_by_less_than_its_bound(monkeypatch, d):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(30_000, d)) + rng.integers(0, 3, (30_000, 1)) * 5).astype(np.float64)
    c = x[:40] + 0.1
    sparse = compute_stats(x, c, 1.0)
    monkeypatch.setitem(prepare.SKIPPED_FRACTION, 64, 2.0**-200)
    full = compute_stats(x, c, 1.0)
    relative_loss = (full.weight - sparse.weight) / full.weight
    assert (relative_loss.abs() <= 2.0**-52 * 4).all()


def test_low_temperature_is_exact_far_from_the_origin(monkeypatch):
    """Matrix products lose all digits of these distances; differences do not."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 20)) * 1e-4
    x[1500:] += 1e4
    c = np.stack([x[:750].mean(0), x[750:1500].mean(0), x[1500:2250].mean(0), x[2250:].mean(0)])
    t = 1e-9
    np.testing.assert_allclose(
        compute_stats(x, c, t).weight, expected_stats(x, c, t, None, "sqeuclidean")["weight"], rtol=2e-3
    )


RANGES = [(1e-30, np.float32), (1e30, np.float32), (1e-140, np.float64), (1e140, np.float64)]


@pytest.mark.parametrize(("scale", "dtype"), RANGES)
def test_ranges_whose_squares_would_overflow_or_underflow(backend, scale, dtype):
    x, c, _ = make_data(500, 12, 4)
    plain = compute_stats(x, c, 3.0)
    scaled = compute_stats((x * scale).astype(dtype), (c.astype(dtype).astype(float)) * scale, 3.0 * scale**2)
    np.testing.assert_allclose(scaled.weight, plain.weight, rtol=1e-4 if dtype == np.float32 else 1e-9)


def test_a_row_too_far_for_float32_is_computed_in_float64(monkeypatch):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    x, c, _ = make_data(500, 12, 4, np.float32)
    x[77] = 1e25
    block, scaling = make_block(np.zeros((2, 12), np.float32))  # a scaling without the far row
    far = Block(x, None, block.device, block.dtype, Scaling(scaling.distance, scaling.shift, 1.0))
    bits, prepare_pass = [], api.prepare_pass

    def recorded(*args, **settings):
        bits.append(args[5])
        return prepare_pass(*args, **settings)

    monkeypatch.setattr(api, "prepare_pass", recorded)
    label, near = kernels.nearest(far, torch.tensor(c), scaling.distance)
    assert bits == [32, 64]
    d = ref.distances(x.astype(float), c)
    np.testing.assert_array_equal(label[:77], d.argmin(1)[:77])
    assert float(near[77]) == pytest.approx(d[77].min(), rel=1e-6)


@pytest.mark.parametrize("d", [4, 12])
def test_priors_decide_between_equal_centers_at_any_temperature(monkeypatch, d):
    """Check temperatures whose inverse is out of range for float32, for rows on the centers."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    x = np.zeros((50, d), np.float32)
    for t in 10.0 ** np.arange(-40, 5, 5):
        stats = compute_stats(x, np.zeros((2, d)), t, b=np.log([0.2, 0.8]))
        np.testing.assert_allclose(stats.weight, [10, 40], rtol=1e-5)
        assert stats.distortion.min() >= 0


def test_distortions_are_not_negative(monkeypatch):
    """Check priors at a temperature far above all distances, which are 0."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    b = np.log([0.37, 0.22, 0.01, 0.26, 0.14])
    stats = compute_stats(np.ones((118, 3), np.float32), np.ones((5, 3)), 27.4, b=b)
    assert stats.distortion.min() >= 0


@pytest.mark.parametrize("scale", [1e30, 1e-30])
@pytest.mark.parametrize("d", [4, 12])
def test_weights_of_any_size(monkeypatch, scale, d):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    x, c, w = make_data(500, d, 4, np.float32)
    plain, scaled = compute_stats(x, c, 3.0, w), compute_stats(x, c, 3.0, w * scale)
    np.testing.assert_allclose(scaled.weight / scale, plain.weight, rtol=1e-6)


# Containers and types of rows


def _as_field(x):
    """Return rows whose numbers are not aligned to their size."""
    records = np.zeros(len(x), [("kind", "i1"), ("row", x.dtype, x.shape[1:])])
    records["row"] = x
    return records["row"]


CONTAINERS = {
    "array": lambda x: x,
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backward": lambda x: x[::-1].copy()[::-1],
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "tensor": torch.tensor,
    "tensor with gradient": lambda x: torch.tensor(x, requires_grad=True),
    "transposed tensor": lambda x: torch.tensor(x.T.copy()).T,
    "negated tensor": lambda x: torch._neg_view(torch.tensor(-x)),
    "field of a packed record": _as_field,
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", CONTAINERS)
def test_rows_in_any_container(monkeypatch, container, dtype):
    x, c, _ = make_data(4000, 11, 5, dtype)
    for large, rtol in ((0, 0), (np.inf, 1e-12)):  # BLAS sums other layouts in another order
        monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", large)
        plain, held = accumulate(x, c, 9.0), accumulate(CONTAINERS[container](x), c, 9.0)
        np.testing.assert_allclose(held.weighted_sum, plain.weighted_sum, rtol=rtol)


WEIGHTS = {
    "tensor": torch.tensor,
    "tensor with gradient": lambda w: torch.tensor(w, requires_grad=True),
    "negated tensor": lambda w: torch._neg_view(torch.tensor(-w)),
    "bfloat16": lambda w: torch.tensor(w, dtype=torch.bfloat16),
    "list": list,
}


@pytest.mark.slow
@pytest.mark.parametrize("container", WEIGHTS)
def test_weights_in_any_container(backend, container):
    x, c, _ = make_data(4000, 11, 5, np.float32)
    w = np.random.default_rng(0).integers(0, 9, 4000).astype(float)
    plain, held = (accumulate(x, c, 9.0, weights) for weights in (w, WEIGHTS[container](w)))
    assert torch.equal(held.weighted_sum, plain.weighted_sum)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float16, bool, torch.bfloat16])
def test_rows_of_any_type(monkeypatch, dtype):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    x = np.random.default_rng(0).integers(0, 2 if dtype is bool else 50, (2000, 11))
    rows = torch.tensor(x).to(dtype) if isinstance(dtype, torch.dtype) else x.astype(dtype)
    c = x[:5] + 0.25
    np.testing.assert_allclose(accumulate(rows, c, 90.0).weight, accumulate(x * 1.0, c, 90.0).weight, rtol=1e-4)


# Threads, processes


def fitted(x, k=12):
    model = SoftKMeans(k, random_state=0, max_iter=2000, tol=1e-3).fit(x)
    return [model.cluster_centers_, model.labels_, np.array([model.inertia_, model.temperature_, model.free_energy_])]


@pytest.mark.slow
@pytest.mark.parametrize(("d", "dtype"), [(3, np.float64), (20, np.float32)])
def test_results_do_not_depend_on_the_number_of_threads(dtype, d):
    x, _, _ = make_data(40_000, d, 12, dtype)
    before = torch.get_num_threads()
    try:
        results = []
        for n_threads in (1, 2, 3, 8):
            torch.set_num_threads(n_threads)
            results.append(fitted(x))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for result, expected in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(result, expected)


def test_map_in_order_keeps_order_and_raises_exceptions():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        chunks = [(i, i + 1) for i in range(50)]
        assert list(threads.map_in_order(lambda start, stop: (start, stop), chunks)) == chunks
        with pytest.raises(ZeroDivisionError):
            list(threads.map_in_order(lambda start, _: 1 / (start - 30), chunks))
        assert next(threads.map_in_order(lambda start, _: start, chunks)) == 0  # leaving early does not hang
    finally:
        torch.set_num_threads(before)


def test_two_fits_in_two_threads_at_once():
    x, _, _ = make_data(30_000, 20, 12, np.float32)
    expected, results = fitted(x), {}
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        workers = [threading.Thread(target=lambda i=i: results.update({i: fitted(x)})) for i in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        torch.set_num_threads(before)
    for i in range(3):
        np.testing.assert_array_equal(results[i][0], expected[0])


def _send_fit(pipe, x):
    pipe.send(fitted(x))


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_child():
    x, _, _ = make_data(30_000, 20, 12, np.float32)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = fitted(x)  # starts the threads of the parent
        ours, theirs = multiprocessing.get_context("fork").Pipe()
        child = multiprocessing.get_context("fork").Process(target=_send_fit, args=(theirs, x))
        child.start()
        assert ours.poll(HANG_SECONDS), "the child hangs"
        np.testing.assert_array_equal(ours.recv()[0], expected[0])
        child.join(HANG_SECONDS)
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("prefer", ["threads", pytest.param("processes", marks=pytest.mark.process)])
def test_under_joblib(prefer):
    x, _, _ = make_data(30_000, 20, 12, np.float32)
    parallel = joblib.Parallel(n_jobs=2, prefer=prefer, max_nbytes=1000)  # workers receive read-only memory maps
    for result in parallel(joblib.delayed(fitted)(x) for _ in range(3)):
        np.testing.assert_array_equal(result[0], fitted(x)[0])


@pytest.mark.parametrize("n_features", [9, 16, 100])
@pytest.mark.parametrize("separation", [3.0, 100.0, 3000.0])
@pytest.mark.parametrize("softness", [1.0, 0.03, 1e-6])
def test_distortions_of_tight_clusters_far_apart(n_features, separation, softness):
    """Check E and F where the squared norms of rows are far larger than their distances to the centers."""
    rng = np.random.default_rng(0)
    c = (rng.normal(size=(6, n_features)) * separation / n_features**0.5).astype(np.float32)
    x = c[rng.integers(6, size=40_000)] + rng.normal(size=(40_000, n_features)).astype(np.float32)
    t = softness * separation**2 + 1e-3
    distances = ref.distances(x.astype(float), c.astype(float))
    log_resp = log_softmax(-distances / t, axis=1)
    stats = accumulate(x, c, t)
    assert float(stats.distortion.sum()) == pytest.approx((np.exp(log_resp) * distances).sum(), rel=1e-5)
    assert float(stats.objective) == pytest.approx(logsumexp(-distances / t, axis=1).sum(), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [2, 12])
def test_memberships_and_labels_of_far_rows(backend, n_features, dtype):
    """Check rows so far away that rounding of their distances exceeds the differences between the centers."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=(4, n_features)).astype(dtype)
    x = (rng.normal(size=(60, n_features)) * 10.0 ** rng.integers(0, 15, 60)[:, None]).astype(dtype)
    x[:20] -= np.outer(x[:20] @ (c[0] - c[1]) / ((c[0] - c[1]) ** 2).sum(), c[0] - c[1])  # about as far from both
    exact_c, exact_x = ([[Fraction(float(v)) for v in row] for row in rows] for rows in (c, x))
    exact = [[sum((a - b) ** 2 for a, b in zip(row, center, strict=True)) for center in exact_c] for row in exact_x]
    differences = np.array([[float(d - min(row)) for d in row] for row in exact])
    block = Block(x, None, torch.device("cpu"), torch.float64)
    centers, distance, beta = torch.tensor(c).double(), as_distance("sqeuclidean"), torch.full((4,), 0.5).double()
    resp = kernels.assign(block, centers, beta, torch.zeros(4).double(), distance)
    labels, _ = kernels.nearest(block, centers, distance)
    expected = np.exp(log_softmax(-0.5 * differences, axis=1))
    rounding = 1e-14 * np.abs(x.astype(float)).max(1)  # of the difference of two distances
    tolerance = rounding + (1e-3 if dtype == np.float32 else 1e-9)
    assert (np.abs(resp.numpy() - expected).max(1) <= tolerance).all()
    is_clear = np.sort(differences, 1)[:, 1] > np.maximum(10 * rounding, 1e-2)
    assert is_clear.sum() > 40
    np.testing.assert_array_equal(labels[is_clear], differences.argmin(1)[is_clear])


@pytest.mark.parametrize("size", [(40, 1, 5), (40, 3, 4), (40, 12, 200)], ids=str)
def test_centers_are_left_alone(monkeypatch, size):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    n, d, k = size
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(n, d)), rng.normal(size=(k, d))
    before = c.copy()
    accumulate(x, c, 1.0)
    np.testing.assert_array_equal(c, before)
    block, scaling = make_block(x)
    centers = scaling.transform(torch.tensor(c))
    kept = centers.clone()
    kernels.nearest(block, centers, scaling.distance)
    assert torch.equal(centers, kept)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(300, 3, 7), (300, 12, 2), (300, 19, 33)], ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_nearest_centers_that_rounding_of_products_would_swap(monkeypatch, size, offset, dtype):
    """Many rows are almost as near to a second center; some centers are equal, of which the first one counts."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    n, d, k = size
    rng = np.random.default_rng(3)
    c = (rng.normal(size=(k, d)) + offset).astype(dtype)
    c[-1] = c[0]
    x = ((c[rng.integers(k, size=n)] + c[rng.integers(k, size=n)]) / 2 + 1e-4 * rng.normal(size=(n, d))).astype(dtype)
    x[: n // 3] = c[rng.integers(k, size=n // 3)]
    squares = np.square(x.astype(np.longdouble)[:, None] - c.astype(np.longdouble)).sum(2)
    block = Block(x, None, torch.device("cpu"), torch.float64)
    label, near = kernels.nearest(block, torch.tensor(c).double(), as_distance("sqeuclidean"))
    rounding = 1e-5 if dtype == np.float32 else 1e-10
    chosen = np.take_along_axis(squares, label.numpy()[:, None], 1)[:, 0]
    assert (chosen <= squares.min(1) + rounding * np.sqrt(squares.min(1)) + rounding**2).all()
    np.testing.assert_allclose(near, squares.min(1).astype(float), rtol=rounding, atol=rounding**2)
    assert (label[: n // 3].numpy() == squares[: n // 3].argmin(1)).all()
    assert (label < max(k - 1, 1)).all()
