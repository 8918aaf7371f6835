"""Kernels for CSR matrices, compared with the reference kernels on the same rows as dense arrays of float64."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from helpers.kernel_cases import CASES, DISTANCE_CASES, RULE_CASES, SUMS
from softkmeans import kernels
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.kernels import reference
from softkmeans.kernels.cpu import arguments, csr, partition, prepare, strips, tables

# Rows, features, clusters: around registers, panels, tiles and chunks, also of the table of the centers.
SIZES = [(1, 20, 1), (3, 30, 3), (49, 17, 7), (97, 31, 8), (385, 40, 3), (769, 64, 16), (60, 300, 24), (3200, 20, 9)]
TOLERANCE = 1e-10


@pytest.fixture(autouse=True)
def kernels_are_used(monkeypatch):
    """Make a fallback to the reference an error: the comparisons would say nothing."""
    monkeypatch.setattr(kernels.dispatch, "FALLS_BACK", False)


def draw_rows(n, d, dtype=np.float64, seed=0, offset=0.0):
    """Return a CSR matrix, a tenth of whose values are stored, and at least one in each row."""
    rng = np.random.default_rng(seed)
    stored = rng.random((n, d)) < 0.1
    stored[np.arange(n), rng.integers(d, size=n)] = True
    return sp.csr_array(np.where(stored, rng.gamma(2.0, size=(n, d)) + 1.0 + offset, 0.0).astype(dtype))


def draw(size, distance, rule, dtype=np.float64, *, weighted=False, seed=0, offset=0.0):
    """Return the blocks of a CSR matrix and of the same rows as an array, and the other arguments of the kernels."""
    n, d, k = size
    rng = np.random.default_rng(seed)
    x = draw_rows(n, d, dtype, seed, offset)
    weight = rng.uniform(0.1, 3, n) if weighted else None
    scaling = Scaling.of(as_source(x, weight), DISTANCE_CASES[distance]())
    blocks = [next(scaling.view(as_source(rows, weight)).blocks()) for rows in (x, x.toarray().astype(np.float64))]
    assert partition.is_csr(blocks[0])
    c = x[rng.integers(n, size=k)].toarray().astype(np.float64) + 0.1 * rng.normal(size=(k, d))
    centers = scaling.transform(torch.tensor(c))
    mean = float(reference.distances(blocks[1], centers, scaling.distance).mean())
    beta, b, rule = RULE_CASES[rule](k, max(mean, 1e-3), rng)
    return blocks, (centers, torch.tensor(beta), torch.tensor(b), scaling.distance, rule)


def both(function, blocks, *arguments):
    """Return the result of the kernels for a CSR matrix, and that of the reference for dense rows."""
    results = []
    for block, large in zip(blocks, (0, math.inf), strict=True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", large)
            results.append(getattr(kernels, function)(block, *arguments))
    return results


def assert_close(found, expected, what="", scale=1e-6, tolerance=TOLERANCE):
    scale = max(scale, float(expected.abs().max()) if expected.numel() else 0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale, err_msg=what)


def assert_same_stats(found, expected, names=SUMS, scale=0.0):
    for name in names:
        largest = max(scale, float(expected.irls_weight.abs().max())) if name == "weighted_sum" else max(scale, 1e-6)
        assert_close(getattr(found, name), getattr(expected, name), name, largest)


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_sums(distance, rule):
    for i, size in enumerate(SIZES):
        dtype = (np.float64, np.float32, np.int64)[i % 3]
        blocks, arguments = draw(size, distance, rule, dtype, weighted=i % 2 == 0, seed=i, offset=3.0 * (i % 4 == 0))
        assert_same_stats(*both("accumulate", blocks, *arguments))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_prefetched_tables(monkeypatch, dtype):
    sums, sizes = [], [*SIZES, (2, 2 * csr.PREFETCH_DISTANCE, 3)]
    for limit in (0, csr.LARGE_TABLE):  # 0: every table is large
        monkeypatch.setattr(csr, "LARGE_TABLE", limit)
        cases = [draw(size, "sqeuclidean", "softmax", dtype, weighted=True, seed=i) for i, size in enumerate(sizes)]
        sums.append([both("accumulate", blocks, *arguments) for blocks, arguments in cases])
    for (prefetched, expected), (found, _) in zip(*sums, strict=True):
        assert_same_stats(prefetched, expected)
        assert all(torch.equal(getattr(prefetched, name), getattr(found, name)) for name in SUMS)


@pytest.mark.parametrize(
    ("n_entries", "d", "expected"),
    [
        (0, 10**5, 0),
        (csr.PREFETCH_DISTANCE, 10**5, 0),
        (csr.PREFETCH_DISTANCE + 5, 10**5, 5),
        (1000, 100, 0),
        (1000, 10**5, 1000 - csr.PREFETCH_DISTANCE),
    ],
)
def test_only_large_tables_are_prefetched(n_entries, d, expected):
    settings = dict.fromkeys(arguments.PassNumbers._fields, 1)
    for kind in ("n_doubles", "n_singles"):
        counts = {"n_doubles": 0, "n_singles": 0, kind: n_entries}
        numbers = arguments.PassNumbers(**settings | {"d": d, "k": 20, "lanes": 4, "is_csr": True} | counts)
        assert csr.CsrArguments.n_prefetches.value(numbers) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "rule"), CASES)
def test_memberships_log_normalizers_and_distances(distance, rule):
    for i, size in enumerate(SIZES):
        blocks, (c, beta, b, kind, rule_object) = draw(size, distance, rule, weighted=True, seed=i)
        for function in ("assign", "lognorm"):
            assert_close(*both(function, blocks, c, beta, b, kind, rule_object), function)
        assert_close(*both("distances", blocks, c, kind))
        (label, near), (expected_label, expected_near) = both("nearest", blocks, c, kind)
        assert_close(near, expected_near)
        assert (label == expected_label).all()
        for found, expected in zip(*both("min_distances", blocks, c, expected_near * 1.1, kind), strict=True):
            assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "rule"), [(d, r) for d, r in CASES if not r.startswith("m =")])
def test_slopes(distance, rule):
    for i, size in enumerate(SIZES):
        blocks, (c, beta, b, kind, rule_object) = draw(size, distance, rule, weighted=i % 2 == 0, seed=i)
        noise = -rule_object.noise_logit / float(beta.max()) if rule_object.has_noise else 0.0
        found, expected = both("accumulate_distortion", blocks, kernels.Logits(c, beta, b, kind, rule_object, noise))
        scale = float(expected.weight.max()) * float(beta.max() / beta.min())
        assert_same_stats(found, expected, (*SUMS, "slope", "slope_distortion"), scale)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean"])
def test_rows_on_centers_and_far_from_the_origin(distance, offset):
    """Products lose all digits of these distances, so that they are computed from differences."""
    x = draw_rows(300, 40, offset=offset)
    x = sp.vstack([x[150:], x[150:]], format="csr")
    scaling = Scaling.of(as_source(x), DISTANCE_CASES[distance]())
    blocks = [next(scaling.view(as_source(rows)).blocks()) for rows in (x, x.toarray())]
    c = scaling.transform(torch.tensor(x[[3, 170, 200]].toarray()))
    for function in ("distances", "nearest"):
        found, expected = both(function, blocks, c, scaling.distance)
        for one, other in zip(*[(r,) if isinstance(r, torch.Tensor) else r for r in (found, expected)], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    assert (both("nearest", blocks, c, scaling.distance)[0][1] == 0).sum() == 6
    arguments = c, torch.full((3,), 1e9, dtype=torch.float64), torch.zeros(3).double(), scaling.distance
    assert_close(*both("assign", blocks, *arguments), tolerance=1e-6)


@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 9), (8, 16), (9, 17), (20, 100), (33, 70)])
def test_tables_and_sums_are_transposed(k, d):
    rng = np.random.default_rng(k)
    centers, origin, weights = rng.normal(size=(k, d)), rng.normal(size=d), rng.random(k)
    sums = rng.normal(size=(d, strips.table_columns(k, 8)))
    table, squares, products = tables.write_table(centers, origin, sums.shape[1])
    np.testing.assert_array_equal(table[:, :k], -2 * centers.T)
    np.testing.assert_array_equal(table[:, k], 2 * origin)
    assert not table[:, k + 1 :].any()
    np.testing.assert_allclose(squares, (centers**2).sum(1))
    np.testing.assert_allclose(products, centers @ origin, atol=1e-13)
    np.testing.assert_allclose(
        tables.read_sums(sums, 0.5, weights, origin), 0.5 * sums[:, :k].T + weights[:, None] * origin, atol=1e-15
    )


def test_a_row_of_zeros_and_stored_zeros():
    x = draw_rows(50, 20)
    x.data[::7] = 0.0
    x = sp.vstack([x, sp.csr_array((2, 20))], format="csr")
    scaling = Scaling.of(as_source(x), DISTANCE_CASES["sqeuclidean"]())
    blocks = [next(scaling.view(as_source(rows)).blocks()) for rows in (x, x.toarray())]
    c = scaling.transform(torch.tensor(x[[3, 17]].toarray()))
    ones = torch.ones(2, dtype=torch.float64)
    assert_same_stats(*both("accumulate", blocks, c, ones, 0 * ones, scaling.distance))


def test_no_row_is_made_dense(monkeypatch):
    """Squares that overflow are the only reason, and then the reference is used."""
    blocks, arguments = draw((769, 64, 5), "sqeuclidean", "softmax")
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    monkeypatch.setattr(type(blocks[0].rows), "toarray", None)
    kernels.accumulate(blocks[0], *arguments)
    monkeypatch.setattr(kernels.dispatch, "FALLS_BACK", True)
    blocks[0].rows.data[5] = 1e200
    with pytest.raises(TypeError, match="not callable"):
        kernels.accumulate(blocks[0], *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["softmax", "per cluster, noise", "m = 1.7"])
def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch, rule):
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    blocks, arguments = draw((40_000, 30, 7), "sqeuclidean", rule, weighted=True)
    before, results = torch.get_num_threads(), []
    assert prepare.prepare_pass(blocks[0], *arguments[:4], 64, arguments[4], has_csr=True).numbers.chunk_rows < 20_000
    try:
        for n_threads in (1, 2, 3, 4):
            torch.set_num_threads(n_threads)
            stats = kernels.accumulate(blocks[0], *arguments)
            results.append([getattr(stats, name) for name in SUMS])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))
