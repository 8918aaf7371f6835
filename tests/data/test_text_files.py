"""CSV and TSV files: rows of any length, and the same columns, values and errors when read whole and in blocks."""

import gzip
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from helpers.commands import COMMAND
from helpers.waiting import HANG_SECONDS
from softkmeans import InputError
from softkmeans.data import read_table, scan
from softkmeans.data.files import text_rows

BLOCK = text_rows.BLOCK_SIZE
SHORT = [f"a,{i},{i / 2}" for i in range(60_000)]  # more than a block


def long_row(n_bytes, i=7, text="x"):
    """Return a row whose text fills it up to a number of bytes, with its line end."""
    rest = f'"",{i},{i / 2}\n'
    return f'"{text * (n_bytes - len(rest))}"{rest[2:-1]}'


def whole(path, **arguments):
    table = read_table(path, **arguments)
    return table.columns, table.x.tolist(), table.ignored


def in_blocks(path, **arguments):
    source = scan(path, **arguments)
    rows = torch.cat([block.x for block in source.blocks()])
    return source.columns, rows.tolist(), source.ignored


def write(folder, lines, name="t.csv"):
    content = ("\n".join(lines) + "\n").encode()
    (folder / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return folder / name


HEADER = "note,i,half"
LONG = {
    # rows after the header, of which some don't fit in a block
    "at once": [long_row(BLOCK + 9), "b,8,4"],
    "as long as a block": [long_row(BLOCK), "b,8,4"],
    "a byte less": ["b,8,4", long_row(BLOCK - 1), "b,8,4"],
    "a byte more": ["b,8,4", long_row(BLOCK + 1), "b,8,4"],
    "late": [*SHORT, long_row(2 * BLOCK), "b,8,4"],
    "ever longer": [long_row(BLOCK + 5), *SHORT, long_row(2 * BLOCK), *SHORT, long_row(3 * BLOCK)],
    "the last": [*SHORT, long_row(BLOCK + 1000)],
    "several lines": ["b,8,4", long_row(2 * BLOCK, text="x\n"), "b,9,4.5"],
    "many long ones": ["b,8,4", *[long_row(BLOCK + 100 * i, i) for i in range(20)]],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("case", LONG)
def test_rows_longer_than_a_block(tmp_path, case, name):
    lines = LONG[case]
    numbers = [row.rsplit(",", 2)[1:] for row in lines]
    expected = (("i", "half"), [[float(i), float(half)] for i, half in numbers], ("note",))
    path = write(tmp_path, [HEADER, *lines], name)
    assert whole(path) == expected
    assert in_blocks(path) == expected
    source = scan(path, rows_per_block=1000)
    for _ in range(2):
        assert sum(len(block) for block in source.blocks()) == len(lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t.csv", pytest.param("t.tsv.gz", marks=pytest.mark.thorough)])
def test_a_header_longer_than_a_block(tmp_path, name):
    n = 11_000
    separator = "\t" if "tsv" in name else ","
    rows = [separator.join(["1"] * n), separator.join(["2"] * n)]
    path = write(tmp_path, [separator.join(f"{'column' * 16}{j:06d}" for j in range(n)), *rows], name)
    for columns, x, ignored in (whole(path), in_blocks(path)):
        assert len(columns) == n
        assert np.unique(x, axis=1).tolist() == [[1], [2]]
        assert ignored == ()


LATE = {
    "text": ("b,8,oops", "column 'half' is not numeric: row 60003 of the data holds 'oops'"),
    "a missing value": ("b,8,", "1 missing or infinite values"),
    "a short row": ("b,8", "row 60003 of the data has 2 cells, expected 3"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LATE)
def test_errors_after_a_long_row_name_their_row(tmp_path, case):
    row, message = LATE[case]
    path = write(tmp_path, [HEADER, *SHORT, long_row(2 * BLOCK), "b,8,4", row])
    for read in (whole, in_blocks):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert "row 60003" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


LIMIT = 2 * BLOCK  # in place of MAX_ROW_SIZE

ENDLESS = {
    "a long row": (
        [HEADER, "a,1,2", long_row(3 * LIMIT)],
        "a row has more than 2 MiB of text; save the data as Parquet",
    ),
    "a quote without end": (
        [HEADER, "a,1,2", '"a,1,2', *["a,1,2"] * (LIMIT // 2)],
        "a row has more than 2 MiB of text; .* or correct a quotation mark without an end",
    ),
    "a line without end": (["a" * (LIMIT + 9)], "the file can't be read: its header is invalid"),
    "a header without end": ([",".join(f"name {i}" for i in range(LIMIT // 8)), "1"], "a row has more than 2 MiB"),
    "a quote in a cell, and a bad cell": (
        ["note,x", *['5" pipe,1'] * 3, *["a,2"] * LIMIT, "a,oops"],
        "column 'x' is not numeric: row 2097156 of the data holds 'oops'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ENDLESS)
def test_rows_that_are_too_long_are_refused(tmp_path, case, monkeypatch):
    lines, message = ENDLESS[case]
    monkeypatch.setattr(text_rows, "MAX_ROW_SIZE", LIMIT)
    path = write(tmp_path, lines)
    for read in (whole, in_blocks):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.process
@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
@pytest.mark.parametrize("rows", [["1" + ",2" * 10_999, "3" + ",4" * 10_999], ["1,2"]], ids=["wide", "uneven"])
def test_the_command_line_never_hangs_after_a_long_header(tmp_path, rows, option):
    write(tmp_path, [",".join(f"{'column' * 16}{j:06d}" for j in range(11_000)), *rows])
    command = [COMMAND, "fit", "t.csv", "-k", "2", "--max-iter", "2", option]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    if len(rows) == 2:
        assert "features: 11000" in run.stdout
    else:
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.startswith("error: t.csv: row 1 of the data has 2 cells, expected 11000")


def test_the_longest_row_of_a_file(tmp_path):
    for lines, expected in {
        ("a,b", "1,2", "100,200"): 8,
        ("a,b", '"1\n2",3', "4,5"): 8,
        ("a,b", '"1""\n""2",3', "4,5"): 12,
        ("long header", "1"): 12,
    }.items():
        with write(tmp_path, lines).open("rb") as file:
            assert text_rows.longest_row(file) == expected


# --- Odd files: the same from read_table and scan ---------------------------------------------------------------------

LEVEL_0 = "__index_level_0__"
INDEXED = pd.DataFrame({"x": [1.5, 2.5], "y": [3.0, 4.0]}, index=pd.Index([500, 700], name="customer"))
TWO_INDEXES = INDEXED.set_index(pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=["one", "two"]))

ODD = {
    # name: (file name, content, columns, rows, columns left out)
    "hexadecimal numbers are text": ("t.csv", "device,x\n0x1F,2\n0x2F,4\n", ("x",), [[2], [4]], ("device",)),
    "latin-1 in a column of text": (
        "t.csv",
        "name,x\nMüller,2\nA,4\n".encode("latin-1"),
        ("x",),
        [[2], [4]],
        ("name",),
    ),
    "an empty column": ("t.csv", "x,empty\n1,\n2,\n", ("x",), [[1], [2]], ("empty",)),
    "a column of NaN": ("t.csv", "x,empty\n1,NaN\n2,nan\n", ("x",), [[1], [2]], ("empty",)),
    "an empty column of Parquet": (
        "t.parquet",
        pa.table({"x": [1.0, 2.0], "empty": pa.nulls(2, pa.float64())}),
        ("x",),
        [[1], [2]],
        ("empty",),
    ),
    "NaN alone in Parquet": ("t.parquet", pa.table({"nan": [np.nan] * 2, "x": [1, 2]}), ("x",), [[1], [2]], ("nan",)),
    "a value after many empty cells": (
        "t.parquet",
        pa.table({"late": [None] * 20_000 + [5.0], "x": np.ones(20_001)}),
        None,
        "20000 missing",
        None,
    ),
    "a named index of pandas": ("t.parquet", INDEXED, ("x", "y"), [[1.5, 3], [2.5, 4]], ("customer",)),
    "two named indexes": ("t.parquet", TWO_INDEXES, ("x", "y"), [[1.5, 3], [2.5, 4]], ("one", "two")),
    "no named index": (
        "t.parquet",
        INDEXED.rename_axis(None),
        ("x", "y"),
        [[1.5, 3], [2.5, 4]],
        ("__index_level_0__",),
    ),
    "true, false, one and zero": ("t.csv", "x,y\n1,true\n0,1\n", ("x", "y"), [[1, 1], [0, 1]], ()),
    "capitals": ("t.csv", "x,y\nTRUE,1\nFalse,0\n", ("x", "y"), [[1, 1], [0, 0]], ()),
    "dates": ("t.csv", "when,x\n2020-01-01,1\n2020-01-02,2\n", ("x",), [[1], [2]], ("when",)),
    "times": ("t.csv", "when,x\n12:30,1\n13:30,2\n", ("x",), [[1], [2]], ("when",)),
    "text first, then numbers": ("t.csv", "kind,x\na,1\n2,2\n", ("x",), [[1], [2]], ("kind",)),
    "missing first, then numbers and text": (
        "t.csv",
        "kind,x\n,1\n2,2\n?,3\n",
        None,
        "row 3 of the data holds '?'",
        None,
    ),
    "numbers, then a word": (
        "t.csv",
        "x,y\n" + "1,2\n" * 40 + "1,oops\n",
        None,
        "row 41 of the data holds 'oops'",
        None,
    ),
    "numbers, then a dash": ("t.csv", "x,y\n1,2\n1,-\n", None, "column 'y' is not numeric: row 2 .* holds '-'", None),
    "a word in a later block": ("t.csv", "x,y\n" + "1,2\n" * 400_000 + "1,oops\n", None, "row 400001 .* 'oops'", None),
    "truths, then a number": ("t.csv", "x,y\n" + "1,true\n" * 200_000 + "1,7\n", None, "row 200001 .* holds '7'", None),
    "row names with a word": ("t.csv", ",x\n1,2\nb,3\n", ("x",), [[2], [3]], ("",)),
    "carriage returns alone": ("t.csv", "x,y\r1,2\r3,4\r", ("x", "y"), [[1, 2], [3, 4]], ()),
    "a quotation mark in a cell": ("t.csv", 'size,x\n5" pipe,1\n6" pipe,2\n', ("x",), [[1], [2]], ("size",)),
    "infinity": ("t.csv", "x,y\n1,inf\n2,3\n", None, "1 missing or infinite", None),
    "a null character": ("t.csv", "x,y\0\n1,2\n", None, "the file is not text", None),
    "no names": ("t.csv", ",\n1,2\n", None, "the first row has no names; name the columns", None),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_files_are_read_alike_whole_and_in_blocks(tmp_path, case):
    name, content, columns, rows, ignored = ODD[case]
    path = tmp_path / name
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, pd.DataFrame):
        content.to_parquet(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (whole, in_blocks):
        if columns is None:
            with pytest.raises(InputError, match=rows) as caught:
                read(path)
            assert len(str(caught.value).splitlines()) == 1
        else:
            assert read(path) == (columns, rows, ignored), read


@pytest.mark.parametrize("read", [whole, in_blocks])
def test_an_index_can_be_chosen(tmp_path, read):
    INDEXED.to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", columns=["customer", "y"])[:2] == (("customer", "y"), [[500, 3], [700, 4]])


@pytest.mark.parametrize("read", [whole, in_blocks])
def test_columns_beside_a_mixed_one_can_be_chosen(tmp_path, read):
    path = write(tmp_path, ["x,y", "1,2", "2,oops"])
    assert read(path, columns=["x"])[:2] == (("x",), [[1], [2]])


def test_a_mixed_column_can_hold_labels(tmp_path):
    path = write(tmp_path, ["x,kind", "1,2", "2,b"])
    assert read_table(path, label_column="kind").labels.tolist() == ["2", "b"]


def test_columns_that_are_empty_in_all_files_alone_are_left_out(tmp_path):
    for name, late in {"1.parquet": [None, None], "2.parquet": [None, 3.0]}.items():
        pq.write_table(
            pa.table({"late": pa.array(late, "f8"), "x": [1.0, 2.0], "empty": pa.nulls(2, "f8")}), tmp_path / name
        )
    source = scan(tmp_path)
    assert (source.columns, source.ignored) == (("late", "x"), ("empty",))
