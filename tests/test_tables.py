"""Every kind of table gives what the float64 array of its numbers gives, and is left as it is."""

import decimal
import functools

import array_api_strict as xp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from softkmeans import InputError, SoftKMeans, accumulate, fit
from softkmeans.data import as_source, block, ordering
from softkmeans.data.frames import as_rows
from softkmeans.data.scaling import Space
from softkmeans.distances import as_distance

NAMES = ["a", "b", "c"]
RNG = np.random.default_rng(0)
# Whole numbers below 128, which every type holds exactly; many are 0.
X = np.repeat([[0, 9, 0], [60, 0, 0], [0, -70, 90]], [40, 30, 20], axis=0) + RNG.integers(-6, 7, (90, 3))
X = np.where(np.abs(X) < 3, 0, X)[RNG.permutation(90)].astype(float)


def model(**arguments):
    return SoftKMeans(**{"n_clusters": 3, "random_state": 0, "dtype": "float64", **arguments})


def frozen(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def records(x, *types):
    return np.array([*map(tuple, x)], dtype=[*zip(NAMES, types, strict=True)])


def chunked(x):
    parts = np.array_split(x, 4)
    return pa.concat_tables([pa.table(dict(zip(NAMES, part.T, strict=True))) for part in parts])


def decimals(x):
    columns = [pa.array(map(int, column)).cast(pa.decimal128(21, 2)) for column in x.T]
    return pa.table(columns, names=NAMES)


ARRAYS = {
    "array": np.copy,
    "fortran order": np.asfortranarray,
    "negative strides": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "some of more": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "read-only": frozen,
    "big-endian": lambda x: x.astype(">f8"),
    "masked, nowhere": np.ma.array,
    **{kind: lambda x, kind=kind: x.astype(kind) for kind in ("int8", "int64", "float16", "float32")},
}
COPIED = {
    "longdouble": lambda x: x.astype(np.longdouble),
    "objects": lambda x: x.astype(int).astype(object),
    "decimals": lambda x: np.array([[decimal.Decimal(int(v)) for v in row] for row in x]),
    "records": lambda x: records(x, "f8", "f8", "f8"),
    "records of several types": lambda x: records(x, "i2", "f4", "f8"),
    "lists": np.ndarray.tolist,
    "list of arrays": list,
}
FRAMES = {
    "pandas": lambda x: pd.DataFrame(x, columns=NAMES),
    "pandas, columns": lambda x: pd.DataFrame(dict(zip(NAMES, x.T, strict=True))),
    "pandas, float32": lambda x: pd.DataFrame(x.astype("f4"), columns=NAMES),
    "pandas, other index": lambda x: pd.DataFrame(x, columns=NAMES, index=[f"row {i % 7}" for i in range(len(x))]),
    "pandas, several types": lambda x: pd.DataFrame(x, columns=NAMES).astype({"a": "int16", "b": "float16"}),
    "pandas, long doubles": lambda x: pd.DataFrame(x, columns=NAMES).astype(np.longdouble),
    "pandas, nullable": lambda x: pd.DataFrame(x, columns=NAMES).astype({"a": "Int64", "b": "Float32", "c": "Int8"}),
    "pandas, nullable of one type": lambda x: pd.DataFrame(x, columns=NAMES).astype("Int64"),
    "pandas, Arrow": lambda x: pd.DataFrame(x, columns=NAMES).astype("int32[pyarrow]"),
    "pandas, Arrow decimals": lambda x: decimals(x).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas, objects": lambda x: pd.DataFrame(x, columns=NAMES).astype(object),
    "pandas, sparse": lambda x: pd.DataFrame(x, columns=NAMES).astype(pd.SparseDtype("float64", 0)),
    "pandas, sparse about 9": lambda x: pd.DataFrame(x, columns=NAMES).astype(pd.SparseDtype("float64", 9)),
    "polars": lambda x: pl.DataFrame(x, schema=NAMES),
    "polars, float32": lambda x: pl.DataFrame(x.astype("f4"), schema=NAMES),
    "polars, several types": lambda x: pl.DataFrame(x, schema=NAMES).cast({"a": pl.Int8, "b": pl.Float32}),
    "polars, decimals": lambda x: pl.DataFrame(x, schema=NAMES).cast(pl.Decimal(12, 2)),
    "polars, huge integers": lambda x: pl.DataFrame(x, schema=NAMES).cast(pl.Int128),
    "polars, chunks": lambda x: pl.concat(
        [pl.DataFrame(part, schema=NAMES) for part in np.array_split(x, 4)], rechunk=False
    ),
    "pyarrow": lambda x: pa.table(dict(zip(NAMES, x.T, strict=True))),
    "pyarrow, chunks": chunked,
    "pyarrow, several types": lambda x: chunked(x).cast(
        pa.schema({"a": pa.int8(), "b": pa.float32(), "c": pa.float16()})
    ),
    "pyarrow, decimals": decimals,
    "pyarrow, record batch": lambda x: pa.record_batch(dict(zip(NAMES, x.T, strict=True))),
}
SPARSE = {
    f"{kind} {shape}": lambda x, kind=kind, shape=shape: getattr(sp, f"{kind}_{shape}")(x)
    for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
    for shape in ("matrix", "array")
} | {
    "sparse float32": lambda x: sp.csr_array(x.astype("f4")),
    "sparse int8": lambda x: sp.csr_array(x.astype("i1")),
    "sparse long doubles": lambda x: sp.csr_array(x.astype(np.longdouble)),
    "sparse, columns in disorder": lambda x: disordered(sp.csr_array(x)),
    "sparse, entries to be added": lambda x: sp.csr_array((np.r_[x.ravel() - 1, np.ones(x.size)], places(x)), x.shape),
}
TENSORS = {
    **{
        kind: lambda x, kind=kind: torch.tensor(x, dtype=getattr(torch, kind))
        for kind in ("float64", "float32", "int16")
    },
    "half tensor": lambda x: torch.tensor(x).half(),
    "bfloat16": lambda x: torch.tensor(x).bfloat16(),
    "transposed tensor": lambda x: torch.tensor(x.T.copy()).T,
    "tensor with gradient": lambda x: torch.tensor(x, requires_grad=True),
    "negated tensor": lambda x: torch.complex(torch.zeros(x.shape).double(), torch.tensor(-x)).conj().imag,
    "parameter": lambda x: torch.nn.Parameter(torch.tensor(x)),
}
FOREIGN = {
    "array API": xp.asarray,
    "array API, float32": lambda x: xp.asarray(x, dtype=xp.float32),
    "array API, another device": lambda x: xp.asarray(x, device=xp.Device("device1")),
    "array API, integers": lambda x: xp.asarray(x.astype("i4")),
}
KINDS = {**ARRAYS, **COPIED, **FRAMES, **SPARSE, **{f"tensor {k}": m for k, m in TENSORS.items()}, **FOREIGN}


def places(x):
    rows, columns = np.indices(x.shape).reshape(2, -1)
    return np.tile(rows, 2), np.tile(columns, 2)


def disordered(x):
    for start, stop in zip(x.indptr, x.indptr[1:], strict=False):
        x.indices[start:stop], x.data[start:stop] = x.indices[start:stop][::-1].copy(), x.data[start:stop][::-1].copy()
    x.has_sorted_indices = False
    return x


def numbers(x):
    """The rows of a table by the library's own source, in NumPy."""
    return as_source(x).map(lambda block: block.x).numpy()


def array(answer):
    """An answer in NumPy."""
    return torch.from_dlpack(answer).numpy()


@functools.cache
def fitted_by(backend):
    return model().fit(X)


@pytest.fixture
def of_array(backend):
    return fitted_by(backend)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_what_the_array_does(kind, backend, of_array):
    x = KINDS[kind](X)
    np.testing.assert_array_equal(numbers(x), X)
    fitted = model().fit(x)
    np.testing.assert_array_equal(array(fitted.labels_), of_array.labels_)
    np.testing.assert_array_equal(array(fitted.predict(x)), of_array.labels_)
    close = {"rtol": 1e-4, "atol": 1e-5}  # some are worked on in float32
    for method in ("predict_proba", "transform", "score_samples"):
        np.testing.assert_allclose(array(getattr(fitted, method)(x)), getattr(of_array, method)(X), **close)
    assert fitted.score(x) == pytest.approx(of_array.score(X), rel=1e-5)
    assert fitted.bic(x) == pytest.approx(of_array.bic(X), rel=1e-5)
    np.testing.assert_allclose(accumulate(x, X[:2], 9.0).weight, accumulate(X, X[:2], 9.0).weight, rtol=1e-5)
    np.testing.assert_array_equal(numbers(x), X)  # as it was


def test_a_file_mapped_to_memory_is_taken_too(tmp_path, of_array):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(model().fit(x).labels_, of_array.labels_)
    assert np.shares_memory(as_rows(x), x)


@pytest.mark.parametrize("convert", [np.array, pd.DataFrame, sp.csr_array, torch.tensor, lambda x: x.tolist()])
@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]", "uint8"])
def test_yes_and_no_are_1_and_0(convert, dtype):
    yes = X > 0
    x = pd.DataFrame(yes).astype(dtype) if convert is pd.DataFrame else convert(yes)
    np.testing.assert_array_equal(numbers(x), yes.astype(float))
    np.testing.assert_array_equal(model().fit(x).labels_, model().fit(yes.astype(float)).labels_)


STARTS = {
    "k-means++": {},
    "k-means||": {"init": "k-means||"},
    "random": {"init": "random"},
    "growing sample": {"growing_sample": True},
}


@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("start", STARTS)
def test_sparse_fits_are_those_of_the_dense(start, distance, backend):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((1500, 7)) < 0.2, rng.integers(1, 4, (1500, 7)), 0).astype(float)
    x[:, 0] += 1
    w = rng.integers(0, 3, 1500)
    settings = {**STARTS[start], "distance": distance, "sample_weight": w, "random_state": 0, "tol": 1e-3}
    found, expected = (fit(kind(x), 3, **settings) for kind in (sp.csr_matrix, np.array))
    np.testing.assert_allclose(found.centers, expected.centers, rtol=1e-7, atol=1e-9)
    assert found.n_iter == expected.n_iter


@pytest.mark.parametrize("distance", [None, "sqeuclidean", "cosine"])
@pytest.mark.parametrize("keys", [1, 30, 2**24])
@pytest.mark.parametrize("seed", range(4))
def test_sparse_rows_are_sorted_as_by_numpy(seed, keys, distance, monkeypatch):
    monkeypatch.setattr(ordering, "KEYS", keys)
    monkeypatch.setattr(block, "BLOCK", 40)
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (50, 8)) * (rng.random((50, 8)) < rng.choice([0.05, 0.3, 0.9]))
    x = x + (distance == "cosine") * (np.arange(8) == 7) * 4.0  # it has no rows of zeros
    for source in (as_source(sp.csr_array(x)), as_source(x)):
        if distance is not None:
            shift = torch.tensor(rng.normal(size=8)) * (distance != "cosine")
            source = Space(as_distance(distance), shift, 0.5).view(source)
        rows = ordering.sorted_rows(source)
        z = source.map(lambda block: block.x, width=8).numpy()[rows.order]
        np.testing.assert_array_equal(z, z[np.lexsort(z.T[::-1])])
        np.testing.assert_array_equal(rows.begins, [True, *(z[1:] != z[:-1]).any(1)])


# Names


@pytest.mark.parametrize("kind", FRAMES)
def test_names_of_columns_are_kept_and_compared(kind):
    x = FRAMES[kind](X)
    fitted = model().fit(x)
    assert fitted.feature_names_in_.tolist() == NAMES
    assert fitted.get_feature_names_out().tolist() == ["softkmeans0", "softkmeans1", "softkmeans2"]
    for other in ("pandas", "polars", "pyarrow, record batch"):
        fitted.predict(FRAMES[other](X))  # names count, not the library
    with pytest.raises(ValueError, match=r"feature names should match(.|\n)*same order"):
        fitted.predict(pd.DataFrame(X, columns=NAMES[::-1]))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        fitted.predict(X)
    assert not hasattr(fitted.fit(X), "feature_names_in_")


@pytest.mark.parametrize("names", [[1, 2, 3], pd.MultiIndex.from_product([["a"], [1, 2, 3]])])
def test_names_that_are_no_text_are_not_kept(names):
    fitted = model().fit(pd.DataFrame(X, columns=names))
    assert not hasattr(fitted, "feature_names_in_")
    np.testing.assert_array_equal(fitted.labels_, model().fit(X).labels_)


def test_names_some_of_which_are_text_are_refused_by_scikit_learn_alone():
    x = pd.DataFrame(X, columns=["a", 1, 2])
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        model().fit(x)
    np.testing.assert_array_equal(numbers(x), X)


@pytest.mark.parametrize("make", [lambda: pd.DataFrame(X, columns=[*"aab"]), lambda: pa.table([*X.T], names=[*"aab"])])
@pytest.mark.parametrize("take", [as_source, model().fit])
def test_columns_of_one_name_are_refused(make, take):
    with pytest.raises(InputError, match=r"columns of the same name: rename them .*'a' 2 times"):
        take(make())


# Weights

WEIGHTS = {
    "array": np.copy, "list": np.ndarray.tolist, "objects": lambda w: w.astype(object), "int": lambda w: w.astype(int),
    "series": lambda w: pd.Series(w, index=range(len(w), 0, -1)), "nullable": lambda w: pd.Series(w).astype("Int64"),
    "Arrow series": lambda w: pd.Series(w).astype("float[pyarrow]"), "polars": pl.Series, "pyarrow": pa.array,
    "chunks": lambda w: pa.chunked_array([w[:30], w[30:]]), "tensor": torch.tensor, "array API": xp.asarray,
    "decimals": lambda w: pa.array(w.astype(int)).cast(pa.decimal128(20, 1)), "float16": lambda w: w.astype("f2"),
    "long": lambda w: w.astype(np.longdouble), "backwards": lambda w: w[::-1].copy()[::-1],
}  # fmt: skip


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("rows", ["array", "polars", "csr array"])
def test_every_kind_of_weights(kind, rows):
    w = np.arange(90.0) % 5
    x, given = KINDS[rows](X), WEIGHTS[kind](w)
    expected = model().fit(X, sample_weight=w)
    fitted = model().fit(x, sample_weight=given)
    np.testing.assert_allclose(fitted.cluster_centers_, expected.cluster_centers_, rtol=1e-12)
    assert fitted.score(x, sample_weight=given) == pytest.approx(expected.score(X, sample_weight=w))


# What comes out


@pytest.mark.parametrize("kind", FOREIGN)
def test_arrays_of_other_libraries_come_back_as_they_came(kind):
    x = FOREIGN[kind](X)
    fitted = SoftKMeans(3, random_state=0).fit(x)
    floating = xp.float32 if "float32" in kind else xp.float64
    answers = [
        fitted.labels_,
        fitted.cluster_centers_,
        *(getattr(fitted, m)(x) for m in ("predict", "predict_proba", "transform")),
    ]
    for answer in answers:
        assert type(answer) is type(x)
        assert answer.device == x.device
    assert [answer.dtype for answer in answers] == [xp.int64, floating, xp.int64, floating, floating]
    rows, labels = fitted.sample(2, random_state=0)
    assert type(rows) is type(labels) is type(x)
    assert fitted.to_layer().centroids.shape == (3, 3)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "lists", "csr array", "csc matrix"])
def test_all_other_tables_are_answered_by_arrays(kind):
    x = KINDS[kind](X)
    fitted = model().fit(x)
    for answer in (fitted.labels_, fitted.cluster_centers_, fitted.predict(x), fitted.predict_proba(x)):
        assert type(answer) is np.ndarray
