"""Errors about invalid tables are one line and name the columns or the entry."""

import array_api_strict as xp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from softkmeans import InputError, SoftKMeans
from softkmeans.data import as_source

X = np.random.default_rng(0).normal(size=(9, 3))


def model():
    return SoftKMeans(2, random_state=0)


# Invalid tables

DAYS = pd.date_range("2024-01-01", periods=3)
WIDE = {f"t{i}": ["x", "y", "z"] for i in range(9)}
BAD = {
    "pandas": (
        pd.DataFrame({"n": [1, 2, 3], "city": ["x", "y", "z"], "when": DAYS, "for": DAYS - DAYS[0]}),
        "columns 'city' (string), 'when' (datetime) and 'for' (duration) are not numeric: leave them out or encode",
    ),
    "category": (pd.DataFrame({"n": pd.Categorical([1, 2, 1])}), "column 'n' (categorical) is not numeric: leave it"),
    "several": (pd.DataFrame({"n": [1, "a", 2.5], 3: [["x"], ["y"], ["z"]]}), "columns 'n' (string) and 3 (list) are"),
    "period": (pd.DataFrame({"n": DAYS.to_period("D")}), "column 'n' (period[D]) is"),
    "complex": (pd.DataFrame({"n": [1j, 2, 3]}), "column 'n' (complex128) is"),
    "Arrow text": (pd.DataFrame({"n": pd.array(["a"], "string[pyarrow]")}), "column 'n' (string) is"),
    "wide": (pd.DataFrame(WIDE), "(string), 't4' (string) and 4 more are not numeric"),
    "polars": (
        pl.DataFrame({"s": ["x"], "d": [0], "l": [["y"]], "c": ["x"]}).cast({"d": pl.Date, "c": pl.Categorical}),
        "columns 's' (string), 'd' (date), 'l' (list) and 'c' (categorical) are not numeric",
    ),
    "polars objects": (pl.DataFrame({"o": [object()]}, schema={"o": pl.Object}), "column 'o' (object) is"),
    "polars struct": (pl.DataFrame({"o": [{"a": 1}]}), "column 'o' (struct) is"),
    "pyarrow": (
        pa.table({"s": ["x"], "b": [b"x"], "t": pa.array([0], pa.timestamp("s")), "f": [1.0]}),
        "columns 's' (string), 'b' (binary) and 't' (datetime) are not numeric",
    ),
    "record batch": (pa.record_batch({"s": ["x"]}), "column 's' (string) is"),
    "records": (
        np.array([("x", 0, 1.0)], dtype=[("a", "U9"), ("b", "M8[s]"), ("c", "f8")]),
        "columns 'a' (string) and 'b' (datetime64[s]) are",
    ),
    "array of objects": (np.array([[1, "a"], [2, "b"]], dtype=object), "column 1 (string) is"),
    "array of text": (np.array([["1", "2"]]), "columns 0 (string) and 1 (string) are"),
    "list with text": ([[1.0, "a"], [2.0, "b"]], "column 1 (string) is"),
    "dicts": (np.array([[1, {}]], dtype=object), "column 1 (dict) is not numeric: leave it out or encode it (float()"),
    "dates": (DAYS.to_numpy()[:, None], "of type datetime64"),
    "sparse complex": (sp.csr_array(X * 1j), "omplex"),
    "sparse vector": (sp.coo_array(X[0]), "the data has shape (3,), expected (n, d)"),
    "sparse tensor": (torch.tensor(X).to_sparse(), "use x.to_dense()"),
    "eight bits": (torch.tensor(X).to(torch.float8_e5m2), "of type torch.float8_e5m2, which PyTorch arithmetic does"),
    "lazy": (pl.LazyFrame({"a": [1]}), "the data is a LazyFrame, whose rows are not in memory yet: use x.collect()"),
    "ragged": ([[1.0, 2.0], [3.0]], "the data's rows differ in length: give each row the same number of"),
    "set": ({1, 2}, "the data is a set, expected a table of numbers (n, d)"),
    "dict": ({"a": [1]}, "the data is a dict, expected a table"),
}  # fmt: skip


@pytest.mark.parametrize("take", [as_source, model().fit], ids=["source", "estimator"])
@pytest.mark.parametrize("case", BAD)
def test_errors_name_the_problem(case, take):
    x, message = BAD[case]
    with pytest.raises(ValueError, match=r".*") as caught:
        take(x)
    assert message in str(caught.value)
    if case != "sparse complex":  # scikit-learn raises this error
        assert isinstance(caught.value, InputError)
        assert "\n" not in str(caught.value)


EMPTY = {
    "pandas": pd.DataFrame(), "no rows": pd.DataFrame({"a": []}), "polars": pl.DataFrame(), "pyarrow": pa.table({}),
    "sparse": sp.csr_array((0, 3)), "array": np.empty((3, 0)), "objects": np.empty((0, 2), object), "list": [],
    "series": pd.Series([1.0, 2.0]), "polars series": pl.Series([1.0]), "number": 3.0, "cube": np.ones((2, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("take", [as_source, model().fit], ids=["source", "estimator"])
@pytest.mark.parametrize("case", EMPTY)
def test_shapes_that_are_not_tables_are_rejected(case, take):
    with pytest.raises(ValueError, match=r"at least one row|minimum of 1 is required|expected|Expected 2D|dim <= 2"):
        take(EMPTY[case])


def with_none(dtype):
    return pd.DataFrame({"a": pd.array([1, None], dtype), "b": pd.array([1, 0], dtype)})


MISSING = {
    **{
        dtype: with_none(dtype)
        for dtype in ("Int64", "Float32", "boolean", "bool[pyarrow]", "float[pyarrow]", "object")
    },
    "several types": with_none("Int64").astype({"b": "boolean"}),
    "array of NA": with_none("Int64").to_numpy(),
    "array of None": np.array([[1, 2], [None, 3]]),
    "list": [[1, 2], [None, 3]],
    "polars": pl.DataFrame({"a": [1, None], "b": [2, 3]}),
    "polars booleans": pl.DataFrame({"a": [True, None], "b": [True, False]}),
    "polars decimals": pl.DataFrame({"a": [1, None], "b": [2, 3]}).cast(pl.Decimal(4, 1)),
    "pyarrow": pa.table({"a": [1, None], "b": [2.0, 3.0]}),
    "pyarrow booleans": pa.record_batch({"a": [True, None], "b": [2.0, 3.0]}),
    "masked": np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [1, 0]]),
    "sparse": sp.csc_array([[0.0, 0.0], [np.nan, 1.0]]),
    "sparse in disorder": sp.csr_array(([1.0, -np.inf], [1, 0], [0, 0, 2]), shape=(2, 2)),
    "tensor": torch.tensor([[1.0, 2.0], [torch.nan, 3.0]]).bfloat16(),
    "long": np.array([[1, 2], [np.inf, 3]], np.longdouble),
    "array API": xp.asarray([[1.0, 2.0], [xp.nan, 3.0]]),
}


@pytest.mark.parametrize("take", [as_source, SoftKMeans(1).fit], ids=["source", "estimator"])
@pytest.mark.parametrize("case", MISSING)
def test_missing_and_infinite_values_are_located(case, take):
    with pytest.raises(InputError, match=r"infinity: 1 of 4 entries, the first in row 1, column (0|'a') \(counted"):
        take(MISSING[case])


def test_all_values_of_a_null_column_are_missing():
    for x in (pl.DataFrame({"a": [None, None]}), pa.table({"a": pa.nulls(2)})):
        with pytest.raises(InputError, match="2 of 2 entries"):
            as_source(x)


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (pd.Series(["a", "b"]), "sample_weight is of type string, expected numbers"),
        (pl.Series(["a", "b"]), "sample_weight is of type string, expected numbers"),
        (pa.array(["a", "b"]), "sample_weight is of type string, expected numbers"),
        (["a", "b"], "sample_weight is of type string, expected numbers"),
        (np.array([1j, 2]), "sample_weight is of type complex128, expected numbers"),
        (torch.tensor([1j, 2]), "sample_weight is of type torch.complex64, expected numbers"),
        (pd.Series(DAYS[:2]), "sample_weight is of type datetime, expected numbers"),
        (pl.Series([1, None]), "sample_weight contains NaN"),
        (pd.array([1, None], "Int64"), "sample_weight contains NaN"),
        (pl.DataFrame({"w": [1, 2]}), r"sample_weight has shape \(2, 1\), expected \(2,\)"),
        (sp.csr_array([[1], [2]]), r"sample_weight has shape \(2, 1\), expected \(2,\)"),
        (True, r"sample_weight has shape \(\), expected \(2,\)"),
    ],
)  # fmt: skip
def test_errors_name_invalid_weights(w, message):
    with pytest.raises(InputError, match=message):
        as_source(X[:2], w)
