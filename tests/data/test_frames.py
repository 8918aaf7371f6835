"""Every kind of table gives the results of the float64 array of its numbers, and is not modified."""

import functools

import array_api_strict as xp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from helpers.tables import FOREIGN, FRAMES, KINDS, NAMES, X
from softkmeans import InputError, SoftKMeans, accumulate, fit
from softkmeans.data import as_source, block, ordering
from softkmeans.data.frames import as_rows
from softkmeans.data.scaling import Scaling
from softkmeans.distances import as_distance


def model(**arguments):
    return SoftKMeans(**{"n_clusters": 3, "random_state": 0, "dtype": "float64", **arguments})


def numbers(x):
    """Return the rows that a source reads from a table, as a NumPy array."""
    return as_source(x).map(lambda block: block.x).numpy()


def array(result):
    """Convert a result of any array library to a NumPy array."""
    return torch.from_dlpack(result).numpy()


@functools.cache
def fitted_by(backend):
    return model().fit(X)


@pytest.fixture
def of_array(backend):
    return fitted_by(backend)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_results_of_the_array(kind, backend, of_array):
    x = KINDS[kind](X)
    np.testing.assert_array_equal(numbers(x), X)
    fitted = model().fit(x)
    np.testing.assert_array_equal(array(fitted.labels_), of_array.labels_)
    np.testing.assert_array_equal(array(fitted.predict(x)), of_array.labels_)
    close = {"rtol": 1e-4, "atol": 1e-5}  # float32 kernels process some kinds
    for method in ("predict_proba", "transform", "score_samples"):
        np.testing.assert_allclose(array(getattr(fitted, method)(x)), getattr(of_array, method)(X), **close)
    assert fitted.score(x) == pytest.approx(of_array.score(X), rel=1e-5)
    assert fitted.bic(x) == pytest.approx(of_array.bic(X), rel=1e-5)
    np.testing.assert_allclose(accumulate(x, X[:2], 9.0).weight, accumulate(X, X[:2], 9.0).weight, rtol=1e-5)
    np.testing.assert_array_equal(numbers(x), X)  # not modified


def test_memory_mapped_files_are_supported(tmp_path, of_array):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(model().fit(x).labels_, of_array.labels_)
    assert np.shares_memory(as_rows(x), x)


@pytest.mark.slow
@pytest.mark.parametrize("convert", [np.array, pd.DataFrame, sp.csr_array, torch.tensor, lambda x: x.tolist()])
@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]", "uint8"])
def test_booleans_are_converted_to_1_and_0(convert, dtype):
    booleans = X > 0
    x = pd.DataFrame(booleans).astype(dtype) if convert is pd.DataFrame else convert(booleans)
    np.testing.assert_array_equal(numbers(x), booleans.astype(float))
    np.testing.assert_array_equal(model().fit(x).labels_, model().fit(booleans.astype(float)).labels_)


INITIALIZATIONS = {
    "k-means++": {},
    "k-means||": {"init": "k-means||"},
    "random": {"init": "random"},
    "growing sample": {"growing_sample": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_sparse_fits_equal_dense_fits(initialization, distance, backend):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((1500, 7)) < 0.2, rng.uniform(1, 4, (1500, 7)), 0)  # rounding decides between equal rows
    x[:, 0] += 1
    w = rng.integers(0, 3, 1500)
    settings = {
        **INITIALIZATIONS[initialization],
        "distance": distance,
        "sample_weight": w,
        "random_state": 0,
        "tol": 1e-3,
    }
    sparse, dense = (fit(convert(x), 3, **settings) for convert in (sp.csr_matrix, np.array))
    np.testing.assert_allclose(sparse.centers, dense.centers, rtol=1e-7, atol=1e-9)
    assert sparse.n_iter == dense.n_iter


@pytest.mark.slow
@pytest.mark.parametrize("distance", [None, "sqeuclidean", "cosine"])
@pytest.mark.parametrize("max_entries", [1, 30, 2**24])
@pytest.mark.parametrize("seed", range(4))
def test_rows_are_sorted_as_by_numpy(seed, max_entries, distance, monkeypatch):
    monkeypatch.setattr(ordering, "MAX_KEY_ENTRIES", max_entries)
    monkeypatch.setattr(block, "BLOCK", 40)
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (50, 8)) * (rng.random((50, 8)) < rng.choice([0.05, 0.3, 0.9]))
    x = x + (distance == "cosine") * (np.arange(8) == 7) * 4.0  # cosine does not support rows of zeros
    for source in (as_source(sp.csr_array(x)), as_source(x)):
        if distance is not None:
            shift = torch.tensor(rng.normal(size=8)) * (distance != "cosine")
            source = Scaling(as_distance(distance), shift, 0.5).view(source)
        rows = ordering.sorted_rows(source)
        z = source.map(lambda block: block.x, width=8).numpy()[rows.order]
        np.testing.assert_array_equal(z, z[np.lexsort(z.T[::-1])])
        np.testing.assert_array_equal(rows.begins, [True, *(z[1:] != z[:-1]).any(1)])


# Names


@pytest.mark.slow
@pytest.mark.parametrize("kind", FRAMES)
def test_names_of_columns_are_kept_and_compared(kind):
    x = FRAMES[kind](X)
    fitted = model().fit(x)
    assert fitted.feature_names_in_.tolist() == NAMES
    assert fitted.get_feature_names_out().tolist() == ["softkmeans0", "softkmeans1", "softkmeans2"]
    for other in ("pandas", "polars", "pyarrow, record batch"):
        fitted.predict(FRAMES[other](X))  # only names are compared, not the library
    with pytest.raises(ValueError, match=r"feature names should match(.|\n)*same order"):
        fitted.predict(pd.DataFrame(X, columns=NAMES[::-1]))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        fitted.predict(X)
    assert not hasattr(fitted.fit(X), "feature_names_in_")


@pytest.mark.parametrize("names", [[1, 2, 3], pd.MultiIndex.from_product([["a"], [1, 2, 3]])])
def test_names_that_are_not_strings_are_not_kept(names):
    fitted = model().fit(pd.DataFrame(X, columns=names))
    assert not hasattr(fitted, "feature_names_in_")
    np.testing.assert_array_equal(fitted.labels_, model().fit(X).labels_)


def test_only_scikit_learn_rejects_names_that_are_partly_strings():
    x = pd.DataFrame(X, columns=["a", 1, 2])
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        model().fit(x)
    np.testing.assert_array_equal(numbers(x), X)


@pytest.mark.parametrize("build", [lambda: pd.DataFrame(X, columns=[*"aab"]), lambda: pa.table([*X.T], names=[*"aab"])])
@pytest.mark.parametrize("take", [as_source, model().fit])
def test_duplicate_column_names_are_rejected(build, take):
    with pytest.raises(InputError, match=r"the data has duplicate column names: rename them .*'a' 2 times"):
        take(build())


# Weights

WEIGHTS = {
    "array": np.copy, "list": np.ndarray.tolist, "objects": lambda w: w.astype(object), "int": lambda w: w.astype(int),
    "series": lambda w: pd.Series(w, index=range(len(w), 0, -1)), "nullable": lambda w: pd.Series(w).astype("Int64"),
    "Arrow series": lambda w: pd.Series(w).astype("float[pyarrow]"), "polars": pl.Series, "pyarrow": pa.array,
    "chunks": lambda w: pa.chunked_array([w[:30], w[30:]]), "tensor": torch.tensor, "array API": xp.asarray,
    "decimals": lambda w: pa.array(w.astype(int)).cast(pa.decimal128(20, 1)), "float16": lambda w: w.astype("f2"),
    "long": lambda w: w.astype(np.longdouble), "backward": lambda w: w[::-1].copy()[::-1],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("rows", ["array", "polars", "csr array"])
def test_every_kind_of_weights(kind, rows):
    w = np.arange(90.0) % 5
    x, given = KINDS[rows](X), WEIGHTS[kind](w)
    expected = model().fit(X, sample_weight=w)
    fitted = model().fit(x, sample_weight=given)
    np.testing.assert_allclose(fitted.cluster_centers_, expected.cluster_centers_, rtol=1e-12)
    assert fitted.score(x, sample_weight=given) == pytest.approx(expected.score(X, sample_weight=w))


# Results


@pytest.mark.parametrize("kind", FOREIGN)
def test_results_for_arrays_of_other_libraries_are_such_arrays(kind):
    x = FOREIGN[kind](X)
    fitted = SoftKMeans(3, random_state=0).fit(x)
    floating = xp.float32 if "float32" in kind else xp.float64
    results = [
        fitted.labels_,
        fitted.cluster_centers_,
        *(getattr(fitted, m)(x) for m in ("predict", "predict_proba", "transform")),
    ]
    for result in results:
        assert type(result) is type(x)
        assert result.device == x.device
    assert [result.dtype for result in results] == [xp.int64, floating, xp.int64, floating, floating]
    rows, labels = fitted.sample(2, random_state=0)
    assert type(rows) is type(labels) is type(x)
    assert fitted.to_layer().centroids.shape == (3, 3)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "lists", "csr array", "csc matrix"])
def test_results_for_all_other_tables_are_numpy_arrays(kind):
    x = KINDS[kind](X)
    fitted = model().fit(x)
    for result in (fitted.labels_, fitted.cluster_centers_, fitted.predict(x), fitted.predict_proba(x)):
        assert type(result) is np.ndarray
