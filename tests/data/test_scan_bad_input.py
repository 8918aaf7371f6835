"""Errors in scanned data name the file, the row and the cause in one line."""

import gzip
import io
import os
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from helpers.permissions import as_nobody
from softkmeans import InputError
from softkmeans.data import as_source, scan

X = np.arange(30.0).reshape(10, 3)
NAN = np.where(X == 25, np.nan, X)
CSV = "a,b\n1,2\n3,4\n"
TEXT = "a,b\n" + "1,2\n" * 400_000 + "3,ä lot\n"
OBJECTS = np.array([[1, None]], dtype=object)


def npy(x):
    file = io.BytesIO()
    np.save(file, x, allow_pickle=True)
    return file.getvalue()


def parquet(columns, **arguments):
    file = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), file, **arguments)
    return file.getvalue()


AB = {"a": [1, 2], "b": [3.0, 4.0]}
DAMAGED = bytearray(parquet({"a": np.random.default_rng(0).normal(size=1000)}))
DAMAGED[4:200] = b"\xff" * 196

FILES = {
    # name: (files, path to scan, arguments, parts of the message)
    "no such file": ({}, "none.npy", {}, ["none.npy: there is no such file"]),
    "no such file, read only whole": ({}, "none.xlsx", {}, ["none.xlsx: there is no such file"]),
    "no such file, unknown": ({}, "none.sav", {}, ["none.sav: there is no such file"]),
    "another spreadsheet": ({"a.ods": b"a"}, "a.ods", {}, ["'.ods'", "save it as .csv"]),
    "empty folder": ({}, "", {}, ["this folder has no file", ".parquet", ".csv"]),
    "folder of other files": ({"a.xlsx": b"a", "a.txt": b"a", "_b.csv": b"a"}, "", {}, ["this folder has no file"]),
    "glob of nothing": ({"a.csv": CSV}, "*.parquet", {}, ["*.parquet: no file matches this pattern"]),
    "unknown format": ({"a.sav": b"a"}, "a.sav", {}, ["'.sav'", ".csv.gz, .tsv, .tsv.gz, ", ".parquet, ", ".npy"]),
    "read only whole": (
        {"a.npz": b"a"},
        "a.npz",
        {},
        ["'.npz' can't be read in blocks", ".tsv.gz, ", ".npy"],
    ),
    "glob of unknown format": ({"a.sav": b"a"}, "a.*", {}, ["a.sav", "'.sav'"]),
    "two formats": ({"a.csv": CSV, "b.npy": npy(X)}, "", {}, ["several formats, .csv, .npy"]),
    "empty file": ({"a.csv": CSV, "b.csv": b""}, "", {}, ["b.csv: the file is empty"]),
    "no rows in npy": ({"a.npy": npy(X[:0])}, "", {}, ["a.npy", "no rows"]),
    "no rows in parquet": ({"a.parquet": parquet({"a": pa.array([], pa.int64())})}, "", {}, ["a.parquet", "no rows"]),
    "no rows in csv": ({"a.csv": "a,b\n", "b.csv": "a,b"}, "", {}, ["a.csv", "no rows"]),
    "blank lines": ({"a.csv": "\n\n"}, "", {}, ["a.csv", "no rows"]),
    "a quote without end": ({"a.csv": 'a,"b\n1,2\n'}, "", {}, ["a.csv", "no rows"]),
    "npy cut off": ({"a.npy": npy(X)[:-8]}, "", {}, ["a.npy", "360", "368", "complete"]),
    "npy of columns cut off": ({"a.npy": npy(np.asfortranarray(X))[:-8]}, "", {}, ["360", "368", "complete"]),
    "npy cut in its header": ({"a.npy": npy(X)[:9]}, "", {}, ["a.npy", "can't be read"]),
    "objects in npy": ({"a.npy": npy(OBJECTS)}, "", {}, ["a.npy", "never unpickled"]),
    "text in npy": ({"a.npy": npy(np.array([["a"]]))}, "", {}, ["<U1", "numbers"]),
    "one dimension": ({"a.npy": npy(X[0])}, "", {}, ["(3,)", "two dimensions"]),
    "no columns in npy": ({"a.npy": npy(X[:, :0])}, "", {}, ["(10, 0)", "at least one column"]),
    "fields in npy": ({"a.npy": b"\x93NUMPY\x03\x00" + bytes(99)}, "", {}, ["a.npy", "a plain array"]),
    "columns of npy": ({"a.npy": npy(X)}, "", {"columns": ["a"]}, ["without column names", "'a'"]),
    "weights of npy": ({"a.npy": npy(X)}, "", {"weight_column": "w"}, ["without column names", "'w'"]),
    "other npy": ({"a.npy": npy(X), "b.npy": npy(X[:, :2])}, "", {}, ["b.npy", "2 columns, expected 3 as in", "a.npy"]),
    "missing in the last": ({"a.npy": npy(X), "b.npy": npy(NAN)}, "", {}, ["b.npy: 1 missing", "row 9", "column 2"]),
    "not parquet": ({"a.parquet": CSV}, "", {}, ["a.parquet", "can't be read", "complete"]),
    "parquet cut off": ({"a.parquet": parquet(AB)[:-30]}, "", {}, ["a.parquet", "can't be read", "complete"]),
    "damaged parquet": ({"a.parquet": bytes(DAMAGED)}, "", {}, ["a.parquet", "can't be read"]),
    "missing in the last parquet": (
        {
            "a.parquet": parquet(AB),
            "b.parquet": parquet({"a": [1.0] * 9, "b": [1.0] * 7 + [None] * 2}, row_group_size=4),
        },
        "",
        {"rows_per_block": 2},
        [
            "b.parquet: 1 missing or infinite values in these rows, the first in row 8 of the data, column 'b'",
            "fill in",
        ],
    ),
    "a column is missing": (
        {"a.parquet": parquet(AB), "b.parquet": parquet({"a": [1], "c": [2]})},
        "",
        {},
        ["b.parquet", "differ from those of", "a.parquet", "missing 'b'", "unexpected 'c'"],
    ),
    "text in the last parquet": (
        {"a.parquet": parquet(AB), "b.parquet": parquet({"a": [1], "b": ["x"]})},
        "",
        {},
        ["b.parquet", "not numeric 'b'"],
    ),
    "no numbers": ({"a.parquet": parquet({"a": ["x"]})}, "", {}, ["a.parquet", "holds numbers"]),
    "text chosen in parquet": ({"a.parquet": parquet({"a": ["x"]})}, "", {"columns": ["a"]}, ["row 1", "'x'"]),
    "unknown column": ({"a.parquet": parquet({"alcohol": [1]})}, "", {"columns": ["alchol"]}, ["mean 'alcohol'"]),
    "column twice": ({"a.csv": CSV}, "", {"columns": ["a"], "weight_column": "a"}, ["'a' is chosen twice"]),
    "names twice": ({"a.csv": "a, a\n1,2\n"}, "", {}, ["a.csv", "several columns are named 'a'"]),
    "a column is missing in csv": (
        {"a.csv": CSV, "b.csv": "a,c\n1,2\n"},
        "",
        {},
        ["b.csv", "missing 'b'", "unexpected 'c'"],
    ),
    "text below": ({"a.csv": TEXT}, "", {}, ["a.csv: column 'b' is not", "row 400001", "'ä lot'", "from 1"]),
    "text in the last csv": ({"a.csv": CSV, "b.csv": "b,a\n,1\n1,y\n"}, "", {}, ["b.csv: column 'a'", "row 2", "'y'"]),
    "text in the last csv.gz": (
        {"a.csv": CSV, "b.csv.gz": gzip.compress(b"a,b\n1,2\n1, x y\n")},
        "",
        {},
        ["b.csv.gz: column 'b'", "row 2", "' x y'"],
    ),
    "numbers below truths": (
        {"a.csv": "a,b\n1,true\n", "b.csv": "a,b\n1,7\n"},
        "",
        {},
        ["b.csv", "'b'", "row 1", "'7'"],
    ),
    "missing in the last csv": (
        {"a.csv": CSV, "b.csv": "a,b\n1,2\n3,\n"},
        "",
        {},
        ["b.csv: 1 missing", "row 2", "'b'"],
    ),
    "long row in csv": ({"a.csv": TEXT.replace("ä", "2,")}, "", {}, ["a.csv", "row 400001 ", "3 cells, expected 2"]),
    "bytes": ({"a.csv": bytes(range(256))}, "", {}, ["a.csv", "not text"]),
    "cut gzip": ({"a.csv.gz": gzip.compress(TEXT.encode())[:-20]}, "", {}, ["a.csv.gz", "can't be read"]),
    "negative weight": (
        {"a.csv": CSV, "b.csv": "a,b\n1,2\n3,-1\n"},
        "",
        {"weight_column": "b"},
        ["b.csv", "weight column 'b'", "row 2", "-1.0"],
    ),
    "missing weight": ({"a.csv": "a,w\n1,\n2,3\n"}, "", {"weight_column": "w"}, ["'w'", "finite", "row 1", "nan"]),
    "zero weights": ({"a.csv": "a,w\n1,0\n2,0\n"}, "", {"weight_column": "w"}, ["'w'", "zero in every row"]),
    "dates chosen": (
        {"a.csv": "a,b\n2020-01-01,1\n"},
        "",
        {"columns": ["a"]},
        ["holds 2020-01-01; turn dates into numbers of days as in docs/recipes.md"],
    ),
    "missing, all columns": ({"a.csv": "a,b\n1,\n2,3\n"}, "", {}, ["remove the rows, or use exclude='b'"]),
    "missing, columns chosen": (
        {"a.csv": "a,b\n1,\n2,3\n"},
        "",
        {"columns": ["b"]},
        ["fill in such values as in docs/recipes.md, or remove the rows"],
    ),
    "text weights": ({"a.csv": "a,w\n1,x\n"}, "", {"weight_column": "w"}, ["'w' is not numeric", "row 1", "'x'"]),
    "rows per block": ({"a.csv": CSV}, "", {"rows_per_block": 0}, ["rows_per_block=0", "1 or more"]),
    "device": ({"a.csv": CSV}, "", {"device": "moon"}, ["device='moon'"]),
}


def refused(data, words, **arguments):
    """Check that scanning the data to its end raises an InputError of one line with these words."""
    with pytest.raises(InputError) as caught:
        scan(data, **arguments).sum(lambda block: len(block))
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message.splitlines()) == 1
    assert len(message) < 700


@pytest.mark.slow
@pytest.mark.parametrize("case", FILES)
def test_files(tmp_path, case):
    files, name, arguments, words = FILES[case]
    for each, content in files.items():
        (tmp_path / each).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(tmp_path / name if name else tmp_path, words, **arguments)


def generator():
    yield X


def reader():
    return pa.RecordBatchReader.from_batches(pa.table(AB).schema, pa.table(AB).to_batches())


def shortened(passes=iter(range(9))):  # noqa: B008
    return [X, X[: 5 - next(passes)]]


RUNNING = iter([X, X + 1, X + 2])

STREAMS = {
    "generator": (generator(), {}, ["a generator yields its rows only once", "scan(lambda: ...)"]),
    "record batches": (reader(), {}, ["a RecordBatchReader yields its rows only once", "scan(lambda: ...)"]),
    "array": (X, {}, ["a ndarray is in memory"]),
    "frame": (pa.table(AB), {}, ["a Table is in memory"]),
    "rows one by one": (TensorDataset(torch.tensor(X)), {}, ["TensorDataset", "DataLoader"]),
    "number": (3, {}, ["data is a int, expected files"]),
    "list of nothing": ([], {}, ["no tables"]),
    "function of a number": (lambda: 3, {}, ["the function returned a int"]),
    "function of an array": (lambda: X, {}, ["the function returned a ndarray"]),
    "dicts": (DataLoader([{"x": torch.ones(3)}] * 4, batch_size=2), {}, ["table 1", "a dict", "collate_fn"]),
    "rows": (list(X), {}, ["table 1", "shape (3,)", "several rows at a time"]),
    "text": (["a.csv", X], {}, ["table 1"]),
    "complex": ([X * 1j], {}, ["table 1", "complex128", "real numbers"]),
    "no columns": ([X[:, :0]], {}, ["0 columns"]),
    "other columns": (
        [X, X[:, :2]],
        {},
        ["table 2 (counted from 1): it has 2 columns, expected 3 as in the first table"],
    ),
    "other names": ([pa.table(AB), pa.table({"a": [1]})], {}, ["table 2", "missing 'b'"]),
    "text in a later frame": ([pa.table(AB), pa.table({"a": ["x"], "b": [1]})], {}, ["table 2", "not numeric 'a'"]),
    "text chosen": ([pa.table({"a": ["x"]})], {"columns": ["a"]}, ["'a' is not numeric", "row 1", "'x'"]),
    "columns without names": ([X], {"columns": ["a"]}, ["without column names"]),
    "weights without names": ([X], {"weight_column": "w"}, ["without column names"]),
    "dates chosen": (
        [pa.table({"a": [date(2020, 1, 1)]})],
        {"columns": ["a"]},
        ["holds 2020-01-01; turn dates into numbers of days as in docs/recipes.md"],
    ),
    "missing in a frame": ([pa.table({"a": [1, None]})], {}, ["row 2 of the data, column 'a'", "or use exclude='a'"]),
    "missing in a chosen column": (
        [pa.table({"a": [1, None]})],
        {"columns": ["a"]},
        ["fill in such values as in docs/recipes.md, or remove the rows"],
    ),
    "missing": ([X, NAN], {}, ["the data: 1 missing", "row 19 of the data, column 2"]),
    "zero weights": ([pa.table({"a": [1], "w": [0]})], {"weight_column": "w"}, ["'w'", "zero in every row"]),
    "no rows": (lambda: [X[:0]], {}, ["no rows"]),
    "shuffled": (DataLoader(torch.tensor(X), batch_size=1, sampler=[0, 1]), {}, None),
    "the same iterator": (lambda: RUNNING, {}, ["first row differs from that", "fresh iterator", "shuffle"]),
}


@pytest.mark.parametrize("case", STREAMS)
def test_streams(case):
    data, arguments, words = STREAMS[case]
    if words is None:
        assert scan(data, **arguments).n_rows == 2
    else:
        refused(data, words, **arguments)


@pytest.mark.parametrize("data", [generator(), reader()], ids=["generator", "record batches"])
def test_as_source_refuses_iterators(data):
    with pytest.raises(InputError, match="yields its rows only once"):
        as_source(data)


def test_as_source_has_no_weights_for_loaders():
    with pytest.raises(InputError, match="weight_column"):
        as_source(DataLoader(torch.tensor(X)), np.ones(10))


def test_fewer_rows_on_the_second_pass():
    source = scan(shortened)
    assert sum(map(len, source.blocks())) == source.n_rows
    with pytest.raises(
        InputError, match=r"this pass read 13 rows, and the previous pass 14: every pass needs the same"
    ):
        list(source.blocks())


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.parquet"])
def test_a_file_that_changes_between_passes(tmp_path, name):
    contents = {"a.npy": npy, "a.csv": lambda x: "a\n" + "1\n" * len(x), "a.parquet": lambda x: parquet({"a": x[:, 0]})}
    for x in (X, X[:5]):
        content = contents[name](x)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if x is X:
            source = scan(tmp_path / name)
            list(source.blocks())
    with pytest.raises(InputError, match=rf"{name}: the file changed since"):
        list(source.blocks())
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: the file no longer exists"):
        list(source.blocks())


def test_rows_that_the_first_pass_did_not_reach_are_checked_later(tmp_path):
    np.save(tmp_path / "x.npy", NAN)
    source = scan(tmp_path / "x.npy", rows_per_block=2)
    assert len(next(source.blocks())) == 2
    for _ in range(2):
        with pytest.raises(InputError, match="row 9 of the data"):
            list(source.blocks())


def test_errors_of_the_users_function_are_raised_unchanged():
    def failing():
        yield X
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(scan(failing).blocks())


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.parquet"])
def test_a_file_that_may_not_be_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / name).chmod(0)
    folder = os.open(tmp_path, os.O_RDONLY)  # nobody may not enter its parent folders
    before = os.open(".", os.O_RDONLY)
    try:
        os.fchdir(folder)
        tmp_path.chmod(0o755)
        with as_nobody():
            refused(name, [name, "permission denied"])
        tmp_path.chmod(0o600)
        with as_nobody():
            refused(name, [name, "permission denied"])
    finally:
        os.fchdir(before)
        os.close(folder)
        os.close(before)


def test_a_share_of_a_share_and_a_rank_too_high():
    source = scan([X])
    with pytest.raises(InputError, match="already a share: call share on the whole scan"):
        source.share(0, 2).share(0, 2)
    with pytest.raises(InputError, match="rank=2 of size=2: expected 0 <= rank < size"):
        source.share(2, 2)


def test_a_share_may_have_zero_weight():
    rows = pa.table({"a": np.arange(4), "w": [0, 0, 1, 1]})
    source = scan([rows], weight_column="w", rows_per_block=2)
    assert [sum(float(b.w.sum()) for b in source.share(rank, 3).blocks()) for rank in range(3)] == [0, 2, 0]


def test_rows_by_their_numbers_are_refused():
    with pytest.raises(InputError, match="read them into memory"):
        scan([X]).take(torch.tensor([0]))
