"""Tables on disk: written tables are read back in every format, and errors name the file and cause in one line."""

import csv
import gzip
import io
import os
import re
import stat
import sys
import zipfile
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import datasets

from helpers.fuzzing import examples
from softkmeans._utils.atomic import atomic_write
from softkmeans.data import Dialect, read_table, write_table
from softkmeans.errors import InputError, MissingExtraError

TABLES = [".csv", ".csv.gz", ".tsv", ".parquet"]
WRITE = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    ".tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    ".parquet": lambda frame, path: frame.to_parquet(path),
}


def written(folder, name, content):
    """Write a file with this content (text, bytes, an array for NPY, named arrays for NPZ), and return its path."""
    path = folder / name
    if isinstance(content, dict):
        np.savez(path, **content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- Reading files of other programs ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize("load", [datasets.load_wine, datasets.load_digits], ids=["wine", "digits"])
def test_real_data_written_by_pandas(tmp_path, suffix, load):
    data = load(as_frame=True)
    names = np.asarray(data.target_names).astype(str)[data.target]
    path = tmp_path / f"data{suffix}"
    WRITE[suffix](data.data.assign(kind=names, weight=1.5), path)
    table = read_table(path, label_column="kind", weight_column="weight")
    np.testing.assert_array_equal(table.x, data.data.to_numpy())
    assert table.x.dtype == np.float64
    assert table.x.flags.c_contiguous
    assert table.columns == tuple(data.data.columns)
    if suffix == ".parquet" or load is datasets.load_wine:
        assert table.labels.tolist() == names.tolist()
    else:  # CSV has no types: digits are numbers
        assert table.labels.tolist() == data.target.tolist()
    assert (table.weights == 1.5).all()
    assert table.ignored == ()


@pytest.mark.parametrize("suffix", TABLES)
def test_text_with_commas_quotes_and_newlines(tmp_path, suffix):
    text = ["a,b", 'say "x"', "two\nlines", "tab\there", "čau", "plain"]
    frame = pd.DataFrame({"text": text, "one": range(6), "note": text[::-1], "two": np.linspace(0, 1, 6)})
    path = tmp_path / f"text{suffix}"
    WRITE[suffix](frame, path)
    table = read_table(path, label_column="text")
    assert table.labels.tolist() == text
    assert table.labels.dtype.kind == "U"
    assert table.ignored == ("note",)
    np.testing.assert_array_equal(table.x, frame[["one", "two"]])


def test_chosen_columns_keep_the_chosen_order(tmp_path):
    path = written(tmp_path, "t.csv", "a,b,c,d\n1,2,x,3\n4,5,y,6\n")
    table = read_table(path, columns=["d", "a"])
    assert table.columns == ("d", "a")
    assert table.x.tolist() == [[3, 1], [6, 4]]
    assert table.x.flags.c_contiguous
    assert table.ignored == ()  # the caller chose the columns
    assert (table.labels, table.weights) == (None, None)


CSV_CASES = {
    "byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", ("a", "b"), [[1, 2]], ()),
    "windows line ends": (b"a,b\r\n1,2\r\n", ("a", "b"), [[1, 2]], ()),
    "spaces": (b" a, b\n 1, 2\n", ("a", "b"), [[1, 2]], ()),
    "no last line end": (b"a\n1\n2", ("a",), [[1], [2]], ()),
    "blank lines": (b"\na,b\n1,2\n\n3,4\n\n", ("a", "b"), [[1, 2], [3, 4]], ()),
    "true and false": (b"a,b\n1,true\n2,false\n", ("a", "b"), [[1, 1], [2, 0]], ()),
    "dates are not numbers": (b"a,b\n2020-01-01,1\n", ("b",), [[1]], ("a",)),
    "a column without values": (b"a,b\n,1\n,2\n", ("b",), [[1], [2]], ("a",)),
    "a column of NaN": (b"a,b\nNaN,1\nnan,2\n", ("b",), [[1], [2]], ("a",)),
    "row names": (b",b\n7,1\n8,2\n", ("b",), [[1], [2]], ("",)),
    "quoted numbers": (b'"a","b"\n"1","2.5"\n', ("a", "b"), [[1, 2.5]], ()),
    "exponents": (b"a\n1e-3\n-2E+2\n.5\n", ("a",), [[1e-3], [-200], [0.5]], ()),
    "large integers": (b"a\n18446744073709551616\n1\n", ("a",), [[2.0**64], [1]], ()),
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_variants_of_csv(tmp_path, case):
    content, columns, x, ignored = CSV_CASES[case]
    table = read_table(written(tmp_path, "t.csv", content))
    assert (table.columns, table.x.tolist(), table.ignored) == (columns, x, ignored)


def test_types_are_inferred_from_the_whole_of_a_long_file(tmp_path):
    path = tmp_path / "long.csv"
    late = np.where(np.arange(300_000) == 299_999, 0.5, 1)
    pd.DataFrame({"a": np.arange(300_000), "b": late.astype(object)}).to_csv(path, index=False)
    table = read_table(path)
    np.testing.assert_array_equal(table.x, np.column_stack([np.arange(300_000), late]))


def test_pandas_extras_in_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "half": np.array([1, 2], np.float16),
            "single": np.array([0.1, 0.2], np.float32),
            "kind": pd.Categorical(["x", "y"]),
            "blank": np.array([np.nan, np.nan]),
            "when": pd.to_datetime(["2020-01-01", "2020-01-02"]),
        },
        index=["r1", "r2"],
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", label_column="kind")
    assert table.x.dtype == np.float32
    np.testing.assert_array_equal(table.x, frame[["half", "single"]].to_numpy(np.float32))
    assert table.labels.tolist() == ["x", "y"]
    assert table.ignored == ("blank", "when", "__index_level_0__")


def test_other_numbers_in_parquet(tmp_path):
    columns = {"i": pa.array([1, 2], pa.int8()), "f": pa.array([0.5, 1.5], pa.float32()), "t": pa.array([True, False])}
    columns["d"] = pa.array(["1.25", "2.5"]).cast(pa.decimal128(5, 2))
    table = read_table(written(tmp_path, "t.parquet", pa.table(columns)))
    assert table.columns == ("i", "f", "t", "d")
    assert table.x.tolist() == [[1, 0.5, 1, 1.25], [2, 1.5, 0, 2.5]]
    assert table.x.dtype == np.float64


@pytest.mark.parametrize(
    ("source", "kept"), [("f2", "f4"), ("f4", "f4"), (">f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("?", "f8")]
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_keep_single_precision(tmp_path, source, kept, suffix):
    x = np.asfortranarray(np.arange(6).reshape(3, 2).astype(source))
    path = written(tmp_path, f"t{suffix}", x if suffix == ".npy" else {"anything": x})
    table = read_table(path)
    np.testing.assert_array_equal(table.x, x)
    assert table.x.dtype == np.dtype(kept)
    assert table.x.flags.c_contiguous
    assert table._replace(x=None) == (None, None, None, None, (), None, ())


@pytest.mark.parametrize(("name", "label"), [("x", "y"), ("X", "labels"), ("x", None)])
def test_npz_with_rows_and_labels(tmp_path, name, label):
    arrays = {name: np.eye(3), "w": np.arange(3)} | ({label: np.array(["a", "b", "a"])} if label else {})
    table = read_table(written(tmp_path, "t.npz", arrays), weight_column="w")
    np.testing.assert_array_equal(table.x, np.eye(3))
    assert (None if table.labels is None else table.labels.tolist()) == (["a", "b", "a"] if label else None)
    assert table.weights.tolist() == [0, 1, 2]
    assert table.ignored == ()
    assert read_table(tmp_path / "t.npz", label_column="w").ignored == ((label,) if label else ())


def test_npz_with_named_columns(tmp_path):
    path = written(tmp_path, "t.npz", {"x": np.arange(3), "y": np.ones(3), "z": np.array(["a", "b", "c"])})
    table = read_table(path)
    assert (table.columns, table.ignored, table.labels) == (("x", "y"), ("z",), None)
    assert table.x.tolist() == [[0, 1], [1, 1], [2, 1]]
    assert read_table(path, columns=["y"], label_column="z").labels.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", [*TABLES, ".npz"])
def test_the_arrays_are_writable_copies(tmp_path, suffix):
    columns = {"a": np.ones(3), "w": np.ones(3), "n": np.arange(3)}
    path = tmp_path / f"t{suffix}"
    written(tmp_path, path.name, columns) if suffix == ".npz" else write_table(path, columns)
    table = read_table(path, label_column="n", weight_column="w")
    assert [array.flags.writeable for array in (table.x, table.labels, table.weights)] == [True] * 3


@pytest.mark.parametrize("path", [str, os.fspath, lambda path: path])
def test_a_path_or_text_and_any_case(tmp_path, path):
    assert read_table(path(written(tmp_path, "T.CSV", "a\n1\n"))).x.tolist() == [[1]]


# --- Files that can't be read -----------------------------------------------------------------------------------------

DUPLICATE = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
OBJECTS = np.array([[1, "a"]], dtype=object)
NULLS = pa.table({"a": pa.array([1, None, None]), "b": pa.array([1, 2, 3])})
TEXT_NUMBERS = pa.table({"a": ["1", "2"], "b": [1, 2]})
UTF_8 = Dialect(encoding="utf-8")
HEADERLESS = "5.1,3.5\n4.9,3.0\n"
AB = "a,b\n1,x\n2,y\n"
WEIGHTS = "a,w\n1,{}\n2,{}\n"


def npy_with_fields(names, kind, version):
    """Return an NPY file of an array with named fields; NumPy needs version 3 of the format for some names."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(2, [(name, kind) for name in names]), version)
    return file.getvalue()


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


DATES = ["holds 2020-01-01; turn dates into numbers of days as in docs/recipes.md"]
REFUSED = {
    # name: (file name, content, arguments, parts of the message)
    "empty": ("t.csv", "", {}, ["empty"]),
    "empty npy": ("t.npy", b"", {}, ["empty"]),
    "blank lines only": ("t.csv", "\n\n", {}, ["no rows"]),
    "header only": ("t.csv", "a,b\n", {}, ["no rows"]),
    "header only, no line end": ("t.csv", "a,b", {}, ["no rows"]),
    "header only, compressed": ("t.tsv.gz", gzip.compress(b"\na\tb"), {}, ["no rows"]),
    "a quote without end": ("t.csv", 'a,"b\n1,2\n', {}, ["no rows"]),
    "no rows in parquet": ("t.parquet", pa.table({"a": pa.array([], pa.int64())}), {}, ["no rows"]),
    "no rows in npy": ("t.npy", np.empty((0, 3)), {}, ["no rows"]),
    "no columns in npy": ("t.npy", np.empty((3, 0)), {}, ["(3, 0)", "at least one column"]),
    "no numbers": ("t.csv", "a,b\nx,y\n", {}, ["holds numbers", "'a', 'b'"]),
    "no numbers beside the label": ("t.csv", "a,b\nx,1\n", {"label_column": "b"}, ["holds numbers", "'a'"]),
    "only blank columns": ("t.parquet", pa.table({"a": [float("nan")]}), {}, ["holds numbers", "'a'"]),
    "unknown column": ("t.csv", AB, {"columns": ["c"]}, ["no column 'c'", "'a', 'b'"]),
    "close column": ("t.csv", "alcohol,b\n1,2\n", {"columns": ["alchol"]}, ["did you mean 'alcohol'"]),
    "unknown label": ("t.csv", AB, {"label_column": "kind"}, ["no column 'kind'", "'a', 'b'"]),
    "unknown weight": ("t.parquet", NULLS, {"weight_column": "w"}, ["no column 'w'", "'a', 'b'"]),
    "many columns": (
        "t.csv",
        ",".join(f"c{i}" for i in range(90)) + "\n" + ",".join("1" * 90),
        {"columns": ["q"]},
        ["'c19' and 70 more"],
    ),
    "columns is text": ("t.csv", AB, {"columns": "a"}, ["list of names", "'a'"]),
    "columns is empty": ("t.csv", AB, {"columns": []}, ["list of names", "[]"]),
    "column twice": ("t.csv", AB, {"columns": ["a", "a"]}, ["'a' is chosen twice"]),
    "label is a feature": ("t.csv", AB, {"columns": ["a"], "label_column": "a"}, ["'a' is chosen twice"]),
    "label is the weight": ("t.csv", AB, {"label_column": "a", "weight_column": "a"}, ["'a' is chosen twice"]),
    "duplicate names": ("t.csv", "a,b,a\n1,2,3\n", {}, ["several columns are named 'a'"]),
    "duplicate after spaces": ("t.csv", "a, a\n1,2\n", {}, ["several columns are named 'a'"]),
    "duplicate names in parquet": ("t.parquet", DUPLICATE, {}, ["several columns are named 'a'"]),
    "no header, column chosen": ("t.csv", HEADERLESS, {"columns": ["a"]}, ["no column 'a'", "'column_1', 'column_2'"]),
    "long row": ("t.csv", "a,b\n1,2\n\n1,2,3\n", {}, ["row 2 ", "3 cells, expected 2"]),
    "short row": ("t.csv", 'a,b\n1,"2\n2"\n1,2\n1\n', {}, ["row 3 ", "1 cells, expected 2"]),
    "text chosen": ("t.csv", "a,b\n1,2\n?,3\n", {"columns": ["a"]}, ["'a' is not numeric", "row 2", "'?'"]),
    "categories chosen": (
        "t.csv",
        "a,b\npro,2\nfree,3\n",
        {"columns": ["a"]},
        ["holds 'pro'; leave it out, or encode it as in docs/recipes.md"],
    ),
    "text of numbers chosen": (
        "t.parquet",
        TEXT_NUMBERS,
        {"columns": ["a"]},
        ["'a' is not numeric", "row 1", "'1'", "save its texts as numbers"],
    ),
    "dates chosen": ("t.csv", "a,b\n2020-01-01,3\n", {"columns": ["a"]}, DATES),
    "dates chosen in parquet": ("t.parquet", pa.table({"a": [date(2020, 1, 1)]}), {"columns": ["a"]}, DATES),
    "dates with times": (
        "t.parquet",
        pa.table({"a": [datetime(2020, 1, 1, 8)]}),
        {"columns": ["a"]},
        ["holds 2020-01-01 08:00:00; turn dates into numbers"],
    ),
    "lines of text chosen": ("t.csv", 'a,b\n"x\ny",3\n', {"columns": ["a"]}, ["'a' is not numeric", r"x\ny"]),
    "text weights": ("t.csv", AB, {"weight_column": "b"}, ["'b' is not numeric", "row 1", "'x'", "choose another one"]),
    "no values chosen": ("t.csv", "a,b\n,1\n", {"columns": ["a"]}, ["'a' has no values"]),
    "missing value": ("t.csv", "a,b\n1,2\n3,\n,4\n", {}, ["2 missing or infinite", "row 2", "'b'"]),
    "missing value, all columns": (
        "t.csv",
        "a,b\n1,2\n3,\n",
        {},
        ["fill in such values as in docs/recipes.md, remove the rows, or use exclude='b'"],
    ),
    "missing value, columns chosen": (
        "t.csv",
        "a,b\n1,2\n3,\n",
        {"columns": ["b"]},
        ["fill in such values as in docs/recipes.md, or remove the rows"],
    ),
    "infinite value": ("t.csv", "a,b\n1,2\n3,-inf\n", {}, ["1 missing or infinite", "row 2", "'b'"]),
    "missing true": ("t.csv", "a,b\n1,true\n3,\n", {}, ["1 missing or infinite", "row 2", "'b'"]),
    "nulls in parquet": ("t.parquet", NULLS, {}, ["2 missing or infinite", "row 2", "'a'", "from 1"]),
    "missing in npy": ("t.npy", np.array([[1, 2], [3, np.nan]]), {}, ["1 missing", "row 2", "column 2"]),
    "missing in npz": ("t.npz", {"p": np.array([1, np.inf])}, {}, ["1 missing", "row 2", "'p'"]),
    "missing label": ("t.csv", "a,b\n1,x\n2,\n", {"label_column": "b"}, ["label", "'b'", "1 empty", "row 2"]),
    "missing number label": ("t.csv", "a,b\n1,3\n2,\n", {"label_column": "b"}, ["label", "'b'", "1 empty", "row 2"]),
    "latin-1 label, said to be UTF-8": (
        "t.csv",
        "a,b\n1,ä\n".encode("latin-1"),
        {"label_column": "b", "dialect": UTF_8},
        ["'b'", "is not UTF-8 text; save the file as UTF-8, or give its encoding"],
    ),
    "latin-1 header, said to be UTF-8": (
        "t.csv",
        "a,bä\n1,2\n".encode("latin-1"),
        {"dialect": UTF_8},
        ["the header is not"],
    ),
    "bytes": ("t.csv", bytes(range(256)), {}, ["the file is not text"]),
    "negative weight": ("t.csv", WEIGHTS.format(1, -0.5), {"weight_column": "w"}, ["'w'", "row 2", "-0.5"]),
    "zero weights": ("t.csv", WEIGHTS.format(0, 0), {"weight_column": "w"}, ["'w'", "zero in every row"]),
    "missing weight": ("t.csv", WEIGHTS.format(1, ""), {"weight_column": "w"}, ["'w'", "finite", "row 2", "nan"]),
    "infinite weight": ("t.csv", WEIGHTS.format("inf", 1), {"weight_column": "w"}, ["'w'", "finite", "row 1", "inf"]),
    "unknown extension": ("t.sav", "a", {}, ["'.sav'", ".csv", ".parquet", ".npz"]),
    "another spreadsheet": ("t.XLS", "a", {}, ["'.XLS'", "save it as .xlsx"]),
    "no extension": ("table", "a", {}, ["'table'", ".csv", ".parquet"]),
    "cut gzip": ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-20], {}, ["can't be read"]),
    "not parquet": ("t.parquet", "a,b\n1,2\n", {}, ["can't be read", "complete"]),
    "not npy": ("t.npy", "a,b\n1,2\n", {}, ["can't be read", "magic"]),
    "cut npy": ("t.npy", b"\x93NUMPY\x01\x00", {}, ["can't be read"]),
    "not npz": ("t.npz", "a,b\n1,2\n", {}, ["can't be read", "zip"]),
    "objects in npy": ("t.npy", OBJECTS, {}, ["Python objects", "never unpickled"]),
    "objects in npz": ("t.npz", {"x": OBJECTS}, {}, ["Python objects", "never unpickled"]),
    "objects in a later array": ("t.npz", {"x": np.eye(2), "y": OBJECTS[0]}, {}, ["Python objects", "never unpickled"]),
    "objects in fields": ("t.npy", npy_with_fields("aλ", object, (3, 0)), {}, ["Python objects", "never unpickled"]),
    "fields": ("t.npy", npy_with_fields("aλ", float, (3, 0)), {}, ["(2,)", "two dimensions"]),
    "long header": ("t.npy", npy_with_fields(map(str, range(999)), float, (2, 0)), {}, ["can't be read: Header"]),
    "not npy in npz": ("t.npz", zipped("x.npy", b"text"), {}, ["'x'", "()"]),
    "one dimension": ("t.npy", np.arange(3), {}, ["(3,)", "two dimensions"]),
    "three dimensions": ("t.npy", np.ones((2, 2, 2)), {}, ["(2, 2, 2)", "two dimensions"]),
    "complex": ("t.npy", np.ones((2, 2), complex), {}, ["complex128"]),
    "text in npy": ("t.npy", np.array([["a"]]), {}, ["<U1", "numbers"]),
    "columns of npy": ("t.npy", np.eye(2), {"columns": ["a"]}, ["without column names", "'a'"]),
    "label of npy": ("t.npy", np.eye(2), {"label_column": "a"}, ["without column names", "'a'"]),
    "label not in npz": ("t.npz", {"x": np.eye(2), "w": np.ones(2)}, {"label_column": "v"}, ["no column 'v'", "'w'"]),
    "lengths in npz": ("t.npz", {"a": np.ones(2), "b": np.ones(3)}, {}, ["'a'", "(2,)", "(3,)"]),
    "labels too long": ("t.npz", {"x": np.eye(2), "y": np.ones(3)}, {}, ["'y'", "(3,)", "(2,)"]),
    "two arrays in npz": ("t.npz", {"a": np.eye(2), "b": np.eye(2)}, {}, ["'a'", "(2, 2)", "one array x"]),
    "number in npz": ("t.npz", {"a": np.array(1)}, {}, ["'a'", "()"]),
    "nothing in npz": ("t.npz", {}, {}, ["no rows"]),
    "no header, lines in it": ("t.csv", '"a\nb"\nx\n', {}, [r"'a\nb'"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_name_the_file_and_the_cause_in_one_line(tmp_path, case):
    name, content, arguments, words = REFUSED[case]
    path = written(tmp_path, name, content)
    with pytest.raises(InputError) as caught:
        read_table(path, **arguments)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert name in message
    assert len(message.splitlines()) == 1
    assert len(message) < 600


def test_truncated_files_of_every_binary_format(tmp_path):
    for name, content in {"t.parquet": NULLS, "t.npy": np.eye(9), "t.npz": {"x": np.eye(9)}}.items():
        path = written(tmp_path, name, content)
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(InputError, match=r"^.*can't be read: .*$"):
            read_table(path)


def test_a_damaged_page_of_parquet(tmp_path):
    path = written(tmp_path, "t.parquet", pa.table({"a": np.random.default_rng(0).normal(size=1000)}))
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^.*can't be read: .*$"):
        read_table(path)


def test_a_missing_file_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: there is no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="this is a folder"):
        read_table(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="not a plain file"):
        read_table(tmp_path / "pipe.csv")


def test_numbers_as_names_can_be_chosen(tmp_path):
    path = written(tmp_path, "t.csv", "0,1,2\n5,6,7\n")
    assert read_table(path, columns=["2", "0"]).x.tolist() == [[7, 5]]
    assert read_table(path, label_column="1").columns == ("0", "2")


def test_without_pyarrow_only_arrays_are_read(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    for name, content in {"t.npy": np.eye(2), "t.npz": {"a": np.ones(2)}}.items():
        assert read_table(written(tmp_path, name, content)).x.shape[0] == 2
    for name in ("t.csv", "t.tsv", "t.parquet"):
        with pytest.raises(MissingExtraError, match=r"pip install 'softkmeans\[files\]'"):
            read_table(written(tmp_path, name, "a\n1\n"))
    with pytest.raises(MissingExtraError, match="pyarrow"):
        write_table(tmp_path / "out.csv", {"a": [1]})


# --- Writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@examples(60)
@given(
    x=hnp.arrays(
        st.sampled_from([np.float64, np.float32]),
        st.tuples(st.integers(1, 8), st.integers(1, 4)),
        elements={"allow_nan": False, "allow_infinity": False, "allow_subnormal": True},
    ),
    suffix=st.sampled_from([".csv", ".tsv", ".csv.gz", ".parquet"]),
)
def test_numbers_are_read_back_exactly(tmp_path_factory, x, suffix):
    path = tmp_path_factory.mktemp("back") / f"t{suffix}"
    write_table(path, {f"column {j}": x[:, j] for j in range(x.shape[1])})
    table = read_table(path)
    np.testing.assert_array_equal(table.x.astype(x.dtype), x)
    assert table.x.dtype == (x.dtype if suffix == ".parquet" else np.float64)


@pytest.mark.slow
@examples(40)
@given(labels=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_text_is_read_back_exactly(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("back") / "t.csv"
    write_table(path, {"name": ["text", *labels], "a": np.arange(len(labels) + 1)})
    back = read_table(path, label_column="name").labels.tolist()
    # Spreadsheet programs take such texts for formulas.
    is_formula = [label[0] in "=+-@" and not re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", label) for label in labels]
    assert back == [
        "text",
        *(f"'{label}" if formula else label for label, formula in zip(labels, is_formula, strict=True)),
    ]


def test_the_csv_module_reads_written_csv(tmp_path):
    write_table(tmp_path / "t.csv", {"n": np.arange(2), "p": np.array([0.1, 1e-9], np.float32), "s": ["a,b", 'c"d']})
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["n", "p", "s"], ["0", "0.1", "a,b"], ["1", "1e-9", 'c"d']]


def test_pandas_reads_written_tables(tmp_path):
    columns = {"n": np.arange(3), "x": np.array([0.1, 2.0, np.nan]), "s": np.array(["a", "b", "c"])}
    write_table(tmp_path / "t.parquet", columns)
    write_table(tmp_path / "t.tsv.gz", columns)
    for frame in (pd.read_parquet(tmp_path / "t.parquet"), pd.read_csv(tmp_path / "t.tsv.gz", sep="\t")):
        pd.testing.assert_frame_equal(frame, pd.DataFrame(columns), check_dtype=False)
        assert frame["n"].dtype == np.int64


def test_an_open_file_gets_csv_and_stays_open(tmp_path):
    buffer = io.BytesIO()
    write_table(buffer, {"a": [1, 2]})
    buffer.write(b"more")
    assert buffer.getvalue() == b'"a"\n1\n2\nmore'
    with (tmp_path / "t").open("wb") as file:
        write_table(file, {"a": [1, 2]})
        assert not file.closed


@pytest.mark.parametrize("columns", [{}, {"a": [1], "b": [1, 2]}, {"a": [[1]]}, {"a": 1}], ids=str)
def test_columns_of_other_shapes_are_refused(tmp_path, columns):
    with pytest.raises(InputError, match="one-dimensional and of one length"):
        write_table(tmp_path / "t.csv", columns)


def test_unknown_extensions_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'\.npy' can be read but not written; .* \.csv, .*, \.parquet, [^ny]*$"):
        write_table(tmp_path / "t.npy", {"a": [1]})
    with pytest.raises(InputError, match=r"there is no folder .*none; create it"):
        write_table(tmp_path / "none" / "t.csv", {"a": [1]})
    assert list(tmp_path.iterdir()) == []


# --- atomic_write -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_keeps_the_old_file_and_no_temporary_file(tmp_path, error):
    (tmp_path / "t.txt").write_text("old")
    with pytest.raises(error), atomic_write(tmp_path / "t.txt") as temporary:  # noqa: PT012
        temporary.write_text("half of the n")
        raise error
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("t.txt", "old")]


def test_an_interrupted_first_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "t.txt"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_file_is_hidden_beside_the_target_and_alone(tmp_path):
    target = tmp_path / "t.csv.gz"
    with atomic_write(target) as one, atomic_write(str(target)) as two:
        assert one != two
        assert one.parent == tmp_path
        assert one.name.startswith(".")
        assert one.name.endswith(".csv.gz")
        assert not target.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv.gz"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_a_new_file_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        (tmp_path / "plain").write_text("")
        write_table(tmp_path / "t.csv", {"a": [1]})
        write_table(tmp_path / "t.parquet", {"a": [1]})
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o666 & ~umask}


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    (tmp_path / "t.csv").touch(mode=0o600)
    write_table(tmp_path / "t.csv", {"a": [1]})
    assert stat.S_IMODE((tmp_path / "t.csv").stat().st_mode) == 0o600


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "t.csv").symlink_to(tmp_path / "there" / "real.csv")
    write_table(tmp_path / "t.csv", {"a": [1]})
    assert (tmp_path / "t.csv").is_symlink()
    assert read_table(tmp_path / "there" / "real.csv").x.tolist() == [[1]]


def test_targets_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, words in {"none/t": "no folder", "file/t": "is not a folder", ".": "a folder", "pipe": "plain"}.items():
        with pytest.raises(InputError, match=words), atomic_write(tmp_path / path):
            pytest.fail("the block was entered")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match="not writable"), atomic_write(tmp_path / "t"):
        pytest.fail("the block was entered")
    monkeypatch.setattr(os, "access", lambda path, mode: path == tmp_path)
    with pytest.raises(InputError, match="read-only"), atomic_write(tmp_path / "file"):
        pytest.fail("the block was entered")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "pipe"]
