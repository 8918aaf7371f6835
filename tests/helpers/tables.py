"""The same rows as every supported kind of table."""

import decimal

import array_api_strict as xp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch

NAMES = ["a", "b", "c"]


RNG = np.random.default_rng(0)


# Integers below 128, which every type represents exactly; many are 0.
X = np.repeat([[0, 9, 0], [60, 0, 0], [0, -70, 90]], [40, 30, 20], axis=0) + RNG.integers(-6, 7, (90, 3))


X = np.where(np.abs(X) < 3, 0, X)[RNG.permutation(90)].astype(float)


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
    "sparse, entries to be added": lambda x: sp.csr_array((np.r_[x.ravel() - 1, np.ones(x.size)], twice(x)), x.shape),
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


def twice(x):
    rows, columns = np.indices(x.shape).reshape(2, -1)
    return np.tile(rows, 2), np.tile(columns, 2)


def disordered(x):
    for start, stop in zip(x.indptr, x.indptr[1:], strict=False):
        x.indices[start:stop], x.data[start:stop] = x.indices[start:stop][::-1].copy(), x.data[start:stop][::-1].copy()
    x.has_sorted_indices = False
    return x
