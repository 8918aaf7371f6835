"""CSR matrices: checks, sums of stored values, the order of rows, and fits that equal those of dense rows."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from softkmeans import FuzzyCMeans, InputError, SoftKMeans
from softkmeans.data import as_source
from softkmeans.data import csr as csr_module
from softkmeans.data.csr import column_sums
from softkmeans.data.ordering import sorted_rows
from softkmeans.data.scaling import Scaling
from softkmeans.distances import as_distance
from softkmeans.kernels import dispatch

RNG = np.random.default_rng(0)
TOPIC = RNG.integers(3, size=240)
DENSE = np.where(RNG.random((240, 40)) < 0.15, RNG.gamma(2.0, size=(240, 40)), 0.0)
DENSE[np.arange(240), 12 * TOPIC + RNG.integers(4, size=240)] += 6.0
W = RNG.uniform(0.2, 2.0, 240)


def invalid(name, at, value):
    rows = sp.csr_array(DENSE)
    getattr(rows, name)[at] = value
    return rows


@pytest.mark.parametrize(
    "rows",
    [invalid("indices", 7, 40), invalid("indices", 3, -1), invalid("indptr", 5, 10**6), invalid("indptr", 0, 2)],
    ids=["column", "negative column", "row", "first row"],
)
def test_indices_outside_of_the_matrix_are_an_error(rows):
    with pytest.raises(InputError, match="indices contradict each other"):
        as_source(rows)


def test_disorder_and_repeated_columns_are_repaired_in_a_copy():
    data, columns, starts = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2, 0, 1, 1, 0]), np.array([0, 2, 2, 5])
    rows = sp.csr_array((data, columns, starts), (3, 3))
    (block,) = as_source(rows).blocks()
    np.testing.assert_array_equal(block.x, [[2, 0, 1], [0, 0, 0], [5, 7, 0]])
    assert rows.indices.tolist() == [2, 0, 1, 1, 0]


def test_parts_share_memory():
    (block,) = as_source(sp.csr_array(DENSE)).blocks()
    part = block.part(20, 220)
    assert np.shares_memory(part.rows.data, block.rows.data)
    for start, stop in ((20, 220), (7, 8), (0, 240)):
        np.testing.assert_array_equal(block.part(start, stop).x, DENSE[start:stop])
    assert len(block.part(240, 250)) == 0


@pytest.mark.parametrize("weights", [None, W, np.where(W > 1, W, 0.0)], ids=["ones", "weights", "zeros"])
def test_sums_over_columns(monkeypatch, weights):
    monkeypatch.setattr(csr_module, "MAX_ENTRIES", 50)
    x, shift = DENSE + np.where(np.arange(40) == 13, 1e9, 0.0), np.arange(40.0)
    found = column_sums(sp.csr_array(x), weights, [lambda x, j: (x - shift[j]) ** 2, lambda x, j: abs(x)])
    w = np.ones(240) if weights is None else weights
    np.testing.assert_allclose(found, [w @ (x - shift) ** 2, w @ abs(x)], rtol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
def test_scaling_is_that_of_dense_rows(offset, weighted, distance):
    x = DENSE.copy()
    x[:, 5] += offset
    found, expected = (
        Scaling.of(as_source(rows, W if weighted else None), as_distance(distance)) for rows in (sp.csr_array(x), x)
    )
    assert found.scale == expected.scale
    np.testing.assert_allclose(found.shift, expected.shift, rtol=1e-13, atol=1e-13)
    assert found.variance == pytest.approx(expected.variance, rel=1e-9)


@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
def test_order_is_that_of_dense_rows(distance):
    x = np.round(DENSE * (RNG.random(DENSE.shape) < 0.5)) - (RNG.random(DENSE.shape) < 0.02)
    x[:, 0] += 0.5
    x[RNG.random(DENSE.shape) < 0.01] = 7.0
    x[120:] = x[:120]
    rows = sp.csr_array(x)
    rows.data[rows.data == 7.0] = 0.0
    scaling = Scaling.of(as_source(rows), as_distance(distance))
    views = [scaling.view(as_source(r)) for r in (rows, rows.toarray())]
    found, expected = (sorted_rows(view) for view in views)
    ordered = [view.take(result.order) for view, result in zip(views, (found, expected), strict=True)]
    assert found.n_distinct == expected.n_distinct <= 120
    if distance == "sqeuclidean":  # lengths of rows are rounded, which may exchange rows
        np.testing.assert_allclose(ordered[0], ordered[1], atol=1e-14)


FITS = {
    "auto": SoftKMeans(3, temperature="auto"),
    "calibrated": SoftKMeans(3, temperature="calibrated"),
    "critical": SoftKMeans(3, temperature="critical:0.3"),
    "perplexity": SoftKMeans(3, temperature="perplexity:1.3"),
    "cosine": SoftKMeans(3, distance="cosine", temperature=0.05),
    "euclidean mixture": SoftKMeans(3, distance="euclidean", temperature="per-cluster", priors="learned"),
    "noise": SoftKMeans(3, temperature=4.0, noise_distance=60.0),
    "lbfgs": SoftKMeans(3, temperature=4.0, solver="lbfgs"),
    "online": SoftKMeans(3, temperature=4.0, solver="online", tol=1e-2),  # a hundred passes take long
    "annealing": SoftKMeans(3, temperature=4.0, init="annealing"),
    "k-means||": SoftKMeans(3, temperature=4.0, init="k-means||"),
    "random": SoftKMeans(3, temperature=4.0, init="random"),
    "local search": SoftKMeans(3, temperature=4.0, local_search=True),
    "fuzzy": FuzzyCMeans(3, fuzzifier=1.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("rows", ["many", "fewer than features"])
@pytest.mark.parametrize("name", FITS)
def test_fits_equal_those_of_dense_rows(monkeypatch, name, rows):
    monkeypatch.setattr(dispatch, "COMPILED_MIN_WORK", 0)
    x, w = (DENSE, W) if rows == "many" else (DENSE[:35], W[:35])
    for dtype in (np.float64, np.float32):
        data = x.astype(dtype)
        estimator = FITS[name].__class__(**(FITS[name].get_params() | {"random_state": 0}))
        dense = estimator.__class__(**estimator.get_params()).fit(data.astype(np.float64), sample_weight=w)
        sparse = estimator.fit(sp.csr_array(data), sample_weight=w)
        tolerance = 1e-5 if dtype == np.float64 else 1e-3
        np.testing.assert_allclose(sparse.cluster_centers_, dense.cluster_centers_, rtol=0, atol=tolerance)
        np.testing.assert_allclose(
            sparse.predict_proba(sp.csr_array(data)), dense.predict_proba(data.astype(np.float64)), atol=tolerance
        )
        np.testing.assert_array_equal(sparse.labels_, dense.labels_)


def test_a_covariance_that_is_not_formed():
    """Calibrated temperatures need it only between centers; critical ones its largest eigenvalue."""
    from softkmeans.temperature import moments

    x = RNG.normal(size=(30, 60)) * np.geomspace(1, 9, 60)
    view = (scaling := Scaling.of(source := as_source(x, W[:30]), as_distance("sqeuclidean"))).view(source)
    full = moments.covariance(view)
    given, wide = moments.Covariance.given(full), moments.Covariance.of(view, scaling)
    assert wide.matrix is None
    assert wide.trace == pytest.approx(given.trace, rel=1e-9)
    centers = torch.from_numpy(RNG.normal(size=(4, 60)))
    products = [c @ matrix @ c.mT for c, matrix in (given.near(centers), wide.near(centers))]
    np.testing.assert_allclose(products[1], products[0], rtol=1e-9, atol=1e-9)
    variance, axis = moments.principal_axis(view)
    assert float(variance) == pytest.approx(float(torch.linalg.eigvalsh(full)[-1]), rel=1e-9)
    np.testing.assert_allclose(full @ axis, variance * axis, atol=1e-9)
    np.testing.assert_allclose(moments.feature_variances(source, scaling), full.diagonal(), rtol=1e-9)
