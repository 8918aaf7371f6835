"""Scans return the written rows in every format, for any window size and any division into shares."""

import functools
import gzip
import itertools
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from helpers.fuzzing import examples
from softkmeans.data import as_source, scan, write_table
from softkmeans.data.files.formats.lookup import suffixes

X = np.random.default_rng(0).normal(size=(100, 3))
W = np.random.default_rng(1).uniform(0, 2, size=100)
NAMES = ("a", "b", "c")
PARTS = [slice(0, 7), slice(7, 60), slice(60, 100)]


def frame(rows=slice(None)):
    text = [f"text {i}" for i in range(100)][rows]
    return {"kind": text, **dict(zip(NAMES, X[rows].T, strict=True)), "weight": W[rows]}


def npy(path, x):
    np.save(path, x)
    return path


def table(path, rows=slice(None), group=30):
    columns = frame(rows)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path, row_group_size=group)
    elif path.name.endswith((".txt", ".txt.gz")):
        pd.DataFrame(columns).to_csv(path, sep="\t", index=False)
    elif "json" in path.name:
        rows = zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
        lines = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    else:
        write_table(path, columns)
    return path


def folder(path, suffix):
    """Write three files in subfolders, beside other files that tools write there."""
    for i, rows in enumerate(PARTS):
        (path / f"day={i}").mkdir()
        table(path / f"day={i}" / f"part{suffix}", rows)
    (path / "_SUCCESS").touch()
    (path / f".part{suffix}.crc").touch()
    (path / "_temporary").mkdir()
    (path / "_temporary" / f"part{suffix}").touch()
    (path / "README.md").touch()
    return path


class Stream(IterableDataset):
    def __iter__(self):
        return (torch.tensor(X[rows]) for rows in PARTS)


def batches():
    return pa.RecordBatchReader.from_batches(
        pa.table(frame()).schema, [batch for rows in PARTS for batch in pa.table(frame(rows)).to_batches()]
    )


# Data with the rows X, without names and weights ...
BARE = {
    "npy": lambda path: npy(path / "x.npy", X),
    "npy, by columns": lambda path: npy(path / "x.npy", np.asfortranarray(X)),
    "npy, the other endian": lambda path: npy(path / "x.npy", X.astype(">f8")),
    "npy, long doubles": lambda path: npy(path / "x.npy", X.astype(np.longdouble)),
    "npy, several": lambda path: [npy(path / f"{i}.npy", X[rows]) for i, rows in enumerate(PARTS)],
    "npy, a text path": lambda path: str(npy(path / "x.npy", X)),
    "loader": lambda path: DataLoader(torch.tensor(X), batch_size=9),
    "loader of pairs": lambda path: DataLoader(TensorDataset(torch.tensor(X), torch.arange(100)), batch_size=9),
    "loader with workers": lambda path: DataLoader(torch.tensor(X), batch_size=50, num_workers=1),
    "stream of tensors": lambda path: Stream(),
    "list of arrays": lambda path: [X[rows] for rows in PARTS],
    "arrays of no rows among them": lambda path: [X[:0], X[:50], X[:0], X[50:], X[:0]],
    "function": lambda path: lambda: (X[rows] for rows in PARTS),
    "one buffer, refilled": lambda path: functools.partial(refilled, np.empty((10, 3))),
    "function, sparse": lambda path: lambda: iter([sp.csr_array(X)]),
    "function, lists": lambda path: lambda: [X.tolist()],
    "frame without names": lambda path: lambda: iter([pd.DataFrame(X)]),
}
# ... and with them
NAMED = {
    "csv": lambda path: table(path / "x.csv"),
    "csv.gz": lambda path: table(path / "x.csv.gz"),
    "tsv": lambda path: table(path / "x.tsv"),
    "tsv.gz": lambda path: table(path / "x.tsv.gz"),
    **{
        suffix.lstrip("."): lambda path, suffix=suffix: table(path / f"x{suffix}")
        for suffix in (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
    },
    "parquet": lambda path: table(path / "x.parquet"),
    "arrow": lambda path: table(path / "x.arrow"),
    "feather": lambda path: table(path / "x.feather"),
    "parquet, one row group": lambda path: table(path / "x.parquet", group=100),
    "folder of csv": lambda path: folder(path, ".csv"),
    "folder of parquet": lambda path: folder(path, ".parquet"),
    "glob of parquet": lambda path: folder(path, ".parquet") / "day=*" / "*.parquet",
    "glob of folders": lambda path: str(folder(path, ".tsv.gz") / "day=*"),
    "several csv": lambda path: [table(path / f"{i}.csv", rows) for i, rows in enumerate(PARTS)],
    "record batches": lambda path: batches,
    "pandas": lambda path: lambda: (pd.DataFrame(frame(rows)) for rows in PARTS),
    "polars": lambda path: lambda: [pl.DataFrame(frame(rows)) for rows in PARTS],
    "list of arrow tables": lambda path: [pa.table(frame(rows)) for rows in PARTS],
}
ALL = {**BARE, **NAMED}


def refilled(buffer):
    for start in range(0, 100, 10):
        buffer[:] = X[start : start + 10]
        yield buffer


def opened(name, path, **arguments):
    weight = {"weight_column": "weight"} if name in NAMED else {}
    return scan(ALL[name](path), **weight, **arguments)


def rows_of(source):
    """Return all rows and weights, in the order of their numbers."""
    blocks = sorted(source.blocks(), key=lambda block: block.start)
    return torch.cat([b.x for b in blocks]).numpy(), torch.cat([b.w for b in blocks]).numpy()


def test_there_is_a_case_for_every_format():
    assert {suffix.lstrip(".") for suffix in suffixes("scan")} <= set(ALL)


@pytest.mark.process
@pytest.mark.parametrize("rows_per_block", [None, 8])
@pytest.mark.parametrize("name", ALL)
def test_windows_together_hold_all_rows(tmp_path, name, rows_per_block):
    source = opened(name, tmp_path, rows_per_block=rows_per_block)
    for _ in range(2):
        x, w = rows_of(source)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(w, W if name in NAMED else np.ones(100))
    assert (source.n_rows, source.n_features, source.in_memory) == (100, 3, False)
    assert source.columns == (NAMES if name in NAMED else None)
    assert source.ignored == (("kind",) if name in NAMED else ())


@pytest.mark.process
@pytest.mark.parametrize("name", ALL)
def test_shares_together_hold_each_row_once(tmp_path, name):
    source = opened(name, tmp_path, rows_per_block=6)
    for size in (1, 2, 3, 4):
        shares = [source.share(rank, size) for rank in range(size)]
        blocks = [list(each.blocks()) for each in shares]
        assert [each.n_rows for each in shares] == [sum(map(len, own)) for own in blocks]
        numbers = [block.start + np.arange(len(block)) for own in blocks for block in own]
        np.testing.assert_array_equal(np.sort(np.concatenate(numbers)), np.arange(100))
        rows = torch.cat([block.x for own in blocks for block in own]).numpy()
        np.testing.assert_array_equal(rows, X[np.concatenate(numbers)])
        if name != "parquet, one row group":
            assert sum(map(bool, blocks)) == size


@pytest.mark.slow
@examples(10)
@given(rows_per_block=st.integers(1, 130), rank=st.integers(0, 6))
def test_sums_do_not_depend_on_the_windows(tmp_path_factory, rows_per_block, rank):
    path = tmp_path_factory.mktemp("scan")
    for name in ("npy", "csv", "folder of parquet", "function"):
        (path / name).mkdir()
        source = opened(name, path / name, rows_per_block=rows_per_block)
        weights = W if name in NAMED else np.ones(100)
        np.testing.assert_allclose(source.sum(lambda b: b.w @ b.x).numpy(), weights @ X, rtol=1e-12)
        blocks = list(source.share(rank, 7).blocks())
        assert all(len(block) <= rows_per_block for block in blocks)


def test_columns_are_chosen_as_in_read_table(tmp_path):
    for name in NAMED:
        (tmp_path / name).mkdir()
        source = scan(NAMED[name](tmp_path / name), columns=["c", "a"])
        assert (source.columns, source.n_features, source.ignored) == (("c", "a"), 2, ()), name
        np.testing.assert_array_equal(rows_of(source)[0], X[:, [2, 0]])


TYPES = {  # types of two columns, and the type that they are read as
    "float32": (np.float32, np.float32, np.float32),
    "float16": (np.float16, np.float32, np.float32),
    "mixed": (np.float32, np.float64, np.float64),
    "whole": (np.int64, np.int64, np.float64),
    "float32 and whole": (np.float32, np.int64, np.float64),
    "true and false": (np.bool_, np.uint8, np.float64),
}


@pytest.mark.parametrize("kinds", TYPES)
def test_types(tmp_path, kinds):
    a, b, expected = TYPES[kinds]
    columns = {"a": np.arange(2).astype(a), "b": np.arange(2).astype(b)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    for data in (tmp_path / "t.parquet", [pa.table(columns)]):
        (block,) = scan(data).blocks()
        assert block.rows.dtype == expected
        assert block.rows.flags.c_contiguous
        assert block.x.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.uint8, np.int64, np.bool_])
def test_npy_keeps_its_type_and_is_mapped(tmp_path, kind):
    (block,) = scan(npy(tmp_path / "x.npy", np.eye(3, dtype=kind))).blocks()
    assert block.rows.dtype == kind
    assert not block.rows.flags.owndata
    assert block.x.tolist() == np.eye(3).tolist()


def test_tensors_of_bfloat16_are_read():
    source = scan([torch.eye(3, dtype=torch.bfloat16)])
    assert rows_of(source)[0].tolist() == np.eye(3).tolist()


def test_decimals_below_whole_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(" a ,b\n" + "1,true\n" * 300_000 + "2.5,false\n")
    source = scan(path)
    assert source.columns == ("a", "b")
    assert source.sum(lambda b: b.x.sum(0)).tolist() == [300_002.5, 300_000]


def test_row_names_and_columns_without_a_value_are_left_out(tmp_path):
    (tmp_path / "t.csv").write_text(",a,empty\n1,2,\n2,3,\n")
    source = scan(tmp_path / "t.csv")
    assert (source.columns, source.ignored) == (("a",), ("", "empty"))
    assert rows_of(source)[0].tolist() == [[2], [3]]


def test_files_of_a_header_alone_and_columns_in_another_order(tmp_path):
    for name, text in {"1.csv": "a,b\n", "2.csv": "b,a\n1,2\n", "3.csv": "a,b\n", "4.csv": '"a",b\n3,4'}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "5.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfa,b\n5,6\n"))
    assert rows_of(scan(tmp_path, columns=["a", "b"]))[0].tolist() == [[2, 1], [3, 4], [5, 6]]


def test_a_file_that_is_named_like_a_pattern(tmp_path):
    assert scan(npy(tmp_path / "x[1].npy", X)).n_rows == 100


def test_shares_of_many_row_groups_are_about_equal(tmp_path):
    sizes = [1, 50, 3, 200, 7, 7, 90, 40, 2, 100]
    with pq.ParquetWriter(tmp_path / "t.parquet", pa.schema({"a": pa.float64()})) as writer:
        for size in sizes:
            writer.write_table(pa.table({"a": np.ones(size)}))
    counts = [scan(tmp_path / "t.parquet").share(rank, 4).n_rows for rank in range(4)]
    assert sum(counts) == 500
    assert max(counts) <= 500 / 4 + 200


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_longest_share_of_row_groups_is_as_short_as_possible(tmp_path, size):
    """Compare with all divisions of the row groups of three files into runs."""
    sizes = [[3, 1, 4], [1, 5], [2, 6, 5]]
    for i, groups in enumerate(sizes):
        with pq.ParquetWriter(tmp_path / f"{i}.parquet", pa.schema({"a": pa.float64()})) as writer:
            for n_rows in groups:
                writer.write_table(pa.table({"a": np.ones(n_rows)}))
    ends = np.cumsum([0, *itertools.chain(*sizes)])
    divisions = itertools.combinations_with_replacement(ends, size - 1)
    shortest = min(np.diff([0, *division, ends[-1]]).max() for division in divisions)
    shares = [scan(tmp_path).share(rank, size) for rank in range(size)]
    assert max(share.n_rows for share in shares) == shortest
    starts = [block.start for share in shares for block in share.blocks()]
    assert set(starts) <= set(ends.tolist())


@pytest.mark.parametrize("name", ["loader", "stream of tensors", "function", "record batches"])
def test_as_source_scans_streams_of_tables(tmp_path, name):
    source = as_source(ALL[name](tmp_path))
    assert not source.in_memory
    np.testing.assert_array_equal(rows_of(source)[0][:, :3], X)


def test_the_device_is_where_blocks_are(tmp_path):
    source = scan(npy(tmp_path / "x.npy", X), device="meta")
    assert source.device.type == "meta"
    assert all(block.x.device.type == "meta" for block in source.blocks())


def test_csv_of_other_programs(tmp_path):
    pc.write_csv(pa.table(frame()), tmp_path / "quoted.csv", pc.WriteOptions(quoting_style="all_valid"))
    pd.DataFrame(frame()).to_csv(tmp_path / "spaced.csv", lineterminator="\r\n\r\n")
    for name in ("quoted.csv", "spaced.csv"):
        np.testing.assert_array_equal(rows_of(scan(tmp_path / name, columns=NAMES))[0], X)
