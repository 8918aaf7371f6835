"""Every registered format: what is written is read back, whole and in blocks; damaged files are refused in one line."""

import gzip
import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from helpers.permissions import as_nobody
from softkmeans import InputError, MissingExtraError
from softkmeans.data import FORMATS, read_table, scan, table_writer, write_table
from softkmeans.data.files.formats.lookup import suffixes

N = 5000
X = np.random.default_rng(0).normal(size=(N, 3))
TABLE = {
    "text": np.array([f'a "b", {i % 7}' for i in range(N)]),
    "x": X[:, 0],
    "whole": np.arange(N),
    "flag": np.arange(N) % 3 == 0,
    "z": X[:, 2].astype(np.float32),
}
NUMBERS = np.column_stack([TABLE[name] for name in ("x", "whole", "flag", "z")])
# Formats that only hold arrays, and others that are not written by the library.
ARRAYS = {
    ".npy": lambda path, x: np.save(path, x),
    ".npz": lambda path, x: np.savez(path, x=x),
}


def write_json_lines(path, columns):
    rows = [
        dict(zip(columns, map(np.ndarray.item, map(np.asarray, row)), strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


OTHERS = {
    ".txt": lambda path, columns: pd.DataFrame(columns).to_csv(path, sep="\t", index=False),
    ".txt.gz": lambda path, columns: pd.DataFrame(columns).to_csv(path, sep="\t", index=False),
    ".jsonl": write_json_lines,
    ".jsonl.gz": write_json_lines,
    ".ndjson": write_json_lines,
    ".ndjson.gz": write_json_lines,
    ".xlsx": lambda path, columns: pd.DataFrame(columns).to_excel(path, index=False),
}
LINES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")  # formats of files that may end after any line
READ, SCANNED, WRITTEN = (suffixes(action) for action in ("read", "scan", "write"))


def made(folder, suffix, n_rows=N):
    """Write the rows in any format, and return the path."""
    path = folder / f"t{suffix}"
    if suffix in WRITTEN:
        write_table(path, {name: values[:n_rows] for name, values in TABLE.items()})
    elif suffix in OTHERS:
        OTHERS[suffix](path, {name: values[:n_rows] for name, values in TABLE.items()})
    else:
        ARRAYS[suffix](path, NUMBERS[:n_rows])
    return path


def rows_of(source):
    return torch.cat([block.x for block in source.blocks()]).numpy()


def refused(call, path, *words):
    """Check that a call raises an InputError of one line, which names the file."""
    with pytest.raises(InputError) as caught:
        call(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    assert [word for word in words if word not in message] == [], message


def read_all(path):
    return read_table(path).x


def scan_all(path):
    return rows_of(scan(path))


def calls_for(suffix):
    return [read_all, scan_all] if suffix in SCANNED else [read_all]


def test_there_is_a_case_for_every_suffix():
    assert set(READ) == {*WRITTEN, *ARRAYS, *OTHERS}
    assert set(SCANNED) <= set(READ)
    assert len(READ) == sum(len(known.suffixes) for known in FORMATS.values())


@pytest.mark.parametrize("suffix", READ)
def test_what_is_written_is_read_back(tmp_path, suffix):
    path = made(tmp_path, suffix)
    table = read_table(path)
    np.testing.assert_array_equal(table.x.astype(np.float32), NUMBERS.astype(np.float32))
    rounding = 1e-15 if suffix == ".xlsx" else 0  # openpyxl writes 16 digits
    np.testing.assert_allclose(table.x[:, :3], NUMBERS[:, :3], rtol=rounding)
    if suffix not in ARRAYS:
        assert (table.columns, table.ignored) == (("x", "whole", "flag", "z"), ("text",))
        labeled = read_table(path, columns=["z", "x"], label_column="text", weight_column="whole")
        assert labeled.labels.tolist() == TABLE["text"].tolist()
        assert labeled.weights.tolist() == list(range(N))
        np.testing.assert_allclose(labeled.x[:, 1], TABLE["x"], rtol=rounding)


@pytest.mark.parametrize("rows_per_block", [None, 700])
@pytest.mark.parametrize("suffix", SCANNED)
def test_rows_in_blocks_are_those_of_the_whole_file(tmp_path, suffix, rows_per_block):
    path = made(tmp_path, suffix)
    table, source = read_table(path), scan(path, rows_per_block=rows_per_block)
    for _ in range(2):
        np.testing.assert_array_equal(rows_of(source), table.x)
    assert (source.n_rows, source.columns, source.ignored) == (N, table.columns, table.ignored)
    assert all(len(block) <= (rows_per_block or N) for block in source.blocks())
    shares = [source.share(rank, 3) for rank in range(3)]
    starts = [block.start + np.arange(len(block)) for share in shares for block in share.blocks()]
    np.testing.assert_array_equal(np.sort(np.concatenate(starts)), np.arange(N))


@pytest.mark.parametrize("suffix", WRITTEN)
def test_pieces_are_written_as_one_table(tmp_path, suffix):
    with table_writer(tmp_path / f"pieces{suffix}") as write:
        for start, stop in itertools.pairwise((0, 1, 1, 2000, N)):
            write({name: values[start:stop] for name, values in TABLE.items()})
    np.testing.assert_array_equal(read_table(tmp_path / f"pieces{suffix}").x, read_table(made(tmp_path, suffix)).x)


@pytest.mark.parametrize("suffix", READ)
def test_files_with_unusual_names(tmp_path, suffix):
    written = made(tmp_path, suffix, 20)
    for stem in ("_x", ".x", "a:b", "s3:x", "a%20b", "x[1]", "x*", "with space", "čau", "x#y?z", "x.y.z", "X"):
        path = tmp_path / f"{stem}{suffix.upper() if stem == 'X' else suffix}"
        path.write_bytes(written.read_bytes())
        for call in calls_for(suffix):
            assert len(call(path)) == 20, path


@pytest.mark.parametrize("suffix", READ)
def test_files_that_are_none(tmp_path, suffix):
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"empty{suffix}").touch()
    os.mkfifo(tmp_path / f"pipe{suffix}")
    for call in calls_for(suffix):
        refused(call, tmp_path / f"none{suffix}", "there is no such file")
        refused(call, tmp_path / f"empty{suffix}", "the file is empty")
        refused(call, tmp_path / f"pipe{suffix}", "not a plain file")
        refused(call, tmp_path / f"folder{suffix}", "folder")


@pytest.mark.parametrize("suffix", WRITTEN)
def test_files_without_rows(tmp_path, suffix):
    write_table(tmp_path / f"t{suffix}", {"a": np.empty(0), "b": np.empty(0)})
    for call in calls_for(suffix):
        refused(call, tmp_path / f"t{suffix}", "no rows of data")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", READ)
def test_truncated_and_foreign_files(tmp_path, suffix):
    """Cut a file at many places; no call may raise another error, or return more or other rows."""
    content, path = made(tmp_path, suffix).read_bytes(), tmp_path / f"cut{suffix}"
    whole = read_table(tmp_path / f"t{suffix}").x
    messages = []
    for n_bytes in sorted({1, 2, 5, 9, len(content) - 1, *np.linspace(1, len(content) - 2, 25).astype(int).tolist()}):
        path.write_bytes(content[:n_bytes])
        for call in calls_for(suffix):
            try:
                rows = call(path)
            except InputError as error:
                messages.append(str(error))
            else:  # a text file may end anywhere
                assert suffix in LINES
                assert len(rows) <= len(whole)
    assert len(messages) >= (6 if suffix in LINES else 26)
    assert all(message.startswith(f"{path}: ") and len(message.splitlines()) == 1 for message in messages)
    for magic in (b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"PAR1", b"ARROW1", b"\x93NUMPY"):
        path.write_bytes(magic + bytes(range(256)) * 20 + magic)
        for call in calls_for(suffix):
            refused(call, path)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", READ)
def test_damaged_files(tmp_path, suffix, capfd):
    """Change bytes of a file, most often near its beginning or end, where its structure is; then read it."""
    content, path, rng = (
        made(tmp_path, suffix, 300).read_bytes(),
        tmp_path / f"damaged{suffix}",
        np.random.default_rng(0),
    )
    messages = []
    for i in range(80):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(min(len(content), (200, len(content))[i % 2])))
            damaged[at if i % 4 else len(content) - 1 - at] = rng.integers(256)
        path.write_bytes(damaged)
        for call in calls_for(suffix):
            try:
                call(path)
            except InputError as error:
                messages.append(str(error))
    assert len(messages) > 20
    assert all(message.startswith(f"{path}: ") and len(message.splitlines()) == 1 for message in messages)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", READ)
def test_files_that_may_not_be_read(tmp_path, suffix, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    path = made(Path(), suffix)
    path.chmod(0)
    with as_nobody():
        for call in calls_for(suffix):
            refused(call, path, "permission denied; change its permissions")


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_package_is_named(tmp_path, monkeypatch, name):
    known = FORMATS[name]
    path = made(tmp_path, known.suffixes[0])
    for module in [module for module in sys.modules if module.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, module, None)
    if known.needs is None:
        assert len(read_table(path).x) == N
        return
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    calls = [read_table]
    calls += [scan] if known.scan else []
    calls += [lambda path: write_table(path, {"a": [1]})] if known.write else []
    for call in calls:
        expected = rf"\{known.suffixes[0]}.* needs {known.needs}: pip install 'softkmeans\[(files|excel)\]'"
        with pytest.raises(MissingExtraError, match=expected):
            call(path)


def test_a_missing_package_of_a_format_of_the_users(tmp_path):
    (tmp_path / "t.mine").write_text("1")
    FORMATS.register("mine", type(FORMATS["csv"])((".mine",), print, needs="not_installed"))
    try:
        with pytest.raises(MissingExtraError, match=r"\.mine files needs not_installed: pip install not_installed$"):
            read_table(tmp_path / "t.mine")
    finally:
        FORMATS.unregister("mine")


# --- What functions of a format of the user's may return --------------------------------------------------------------


@pytest.fixture
def register():
    """Return a function that registers a format with the suffix .mine."""
    yield lambda *functions: FORMATS.register("mine", type(FORMATS["csv"])((".mine",), *functions))
    FORMATS.unregister("mine")


KINDS = {
    "pyarrow": lambda x: pa.table({"a": x[:, 0], "b": x[:, 1]}),
    "record batch": lambda x: pa.record_batch({"a": x[:, 0], "b": x[:, 1]}),
    "pandas": lambda x: pytest.importorskip("pandas").DataFrame(x, columns=["a", "b"]),
    "polars": lambda x: pytest.importorskip("polars").DataFrame(x, schema=["a", "b"]),
    "array": lambda x: x,
    "tensor": torch.tensor,
    "lists": np.ndarray.tolist,
}


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_a_users_format(tmp_path, register, kind):
    x, path = X[:100, :2], tmp_path / "t.mine"
    path.write_text("rows")
    register(lambda path: KINDS[kind](x), lambda path: (KINDS[kind](x[i : i + 30]) for i in range(0, 100, 30)))
    names = None if kind in ("array", "tensor", "lists") else ("a", "b")
    table, source = read_table(path), scan(path, rows_per_block=40)
    assert table.columns == source.columns == names
    np.testing.assert_array_equal(table.x, x)
    np.testing.assert_array_equal(rows_of(source), x)
    assert source.n_rows == 100
    if names:
        np.testing.assert_array_equal(rows_of(scan(path, columns=["b"])), x[:, 1:])


def once():
    """Return a scan function that returns the same iterator at every call."""
    pieces = iter([np.ones((4, 2)), np.ones((3, 2))])
    return lambda path: pieces


def one_table(path):
    return pa.table({"a": [1]})


WRONG = {
    "no table": (lambda path: {"a": [1]}, None, "it is a dict|is a dict"),
    "no rows": (lambda path: pa.table({"a": pa.array([], "f8")}), None, "no rows of data"),
    "text": (lambda path: pa.table({"a": ["x"]}), None, "no feature column holds numbers"),
    "a vector": (lambda path: np.ones(3), None, r"shape \(3,\), expected \(m, d\)"),
    "a key error": (lambda path: {}["a"], None, r"can't be read: KeyError 'a'"),
    "a used-up iterator": (one_table, once(), "returned the same iterator twice: return a new one at every"),
    "an error": (lambda path: int("x"), None, "can't be read: invalid literal"),
    "a table for an iterator": (one_table, one_table, "its scan function returned a Table, expected an iterator"),
    "None for an iterator": (one_table, lambda path: None, "its scan function returned a NoneType, expected an iter"),
    "no tables": (one_table, lambda path: [], "no rows of data"),
    "other columns": (
        one_table,
        lambda path: [pa.table({"a": [1]}), pa.table({"b": [1]})],
        "differ from those of the first table of the file: missing 'a', unexpected 'b'",
    ),
    "other widths": (
        one_table,
        lambda path: [np.ones((2, 3)), np.ones((2, 2))],
        "has 2 columns, expected 3 as in",
    ),
    "missing values": (one_table, lambda path: [np.array([[1.0]]), np.array([[np.nan]])], "1 missing .* row 2 "),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_results_of_a_users_functions(tmp_path, register, case):
    read, scan_function, words = WRONG[case]
    path = tmp_path / "t.mine"
    path.write_text("rows")
    register(read, scan_function)
    with pytest.raises(InputError, match=words) as caught:
        (read_table if scan_function is None else scan_all)(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


class HalfWriter:
    def __init__(self, file, schema):
        self.file = file

    def write_table(self, table):
        self.file.write(b"rows")


WRONG_WRITERS = {
    "a HalfWriter, expected a writer, with the method close": HalfWriter,
    "a NoneType, expected a writer, with the method write_table": lambda file, schema: None,
}


@pytest.mark.parametrize("message", WRONG_WRITERS)
def test_wrong_writers_of_a_users_format(tmp_path, register, message):
    register(one_table, None, WRONG_WRITERS[message])
    with pytest.raises(InputError, match=f"the write function of the file's format returned {message}"):
        write_table(tmp_path / "t.mine", {"a": [1]})
    assert not list(tmp_path.iterdir())
