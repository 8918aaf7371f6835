"""Files as people have them are read without options, whole and in blocks, and it is said how."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from helpers.messy import MESSY
from softkmeans import InputError, SoftKMeans
from softkmeans.data import Dialect, as_source, read_table, scan, write_table

SCANNED = [name for name, messy in MESSY.items() if messy.in_blocks]


def made(folder, messy):
    path = folder / messy.name
    path.write_bytes(messy.content)
    return path


def rows_of(source):
    return torch.cat([block.x for block in source.blocks()]).numpy()


@pytest.mark.parametrize("name", MESSY)
def test_messy_files_are_read_whole(tmp_path, name):
    messy = MESSY[name]
    table = read_table(made(tmp_path, messy))
    assert (table.columns, table.ignored) == (messy.columns, messy.ignored)
    np.testing.assert_allclose(table.x, messy.x, rtol=1e-14)
    assert table.notes == ((messy.note,) if messy.note else ())


@pytest.mark.parametrize("name", SCANNED)
def test_messy_files_are_read_in_blocks(tmp_path, name):
    messy = MESSY[name]
    source = scan(made(tmp_path, messy), rows_per_block=7)
    assert (source.columns, source.ignored) == (messy.columns, messy.ignored)
    for _ in range(2):
        np.testing.assert_allclose(rows_of(source), messy.x, rtol=1e-14)
    assert source.notes == ((messy.note,) if messy.note else ())


@pytest.mark.parametrize("name", [name for name, messy in MESSY.items() if messy.id_column])
def test_identifiers_are_carried_and_no_features(tmp_path, name):
    messy = MESSY[name]
    path = made(tmp_path, messy)
    name = messy.id_column
    table = read_table(path, exclude=[name], carry=[name])
    assert messy.id_column not in table.columns + table.ignored
    assert table.carried[messy.id_column].to_pylist() == messy.ids
    if messy.in_blocks:
        source = scan(path, exclude=[name], carry=[name])
        assert [v for piece in source.carried() for v in piece[messy.id_column].to_pylist()] == messy.ids


NUMBERS = {
    # cells of one column in a file separated by semicolons, then what they are
    "decimals of three digits": (["1.234", "0.500"], [1.234, 0.5]),
    "decimals of three digits alone": (["1.234", "2.345"], [1.234, 2.345]),
    "thousands with points, beside hundreds": (["1.234", "500"], [1234, 500]),
    "thousands with two points": (["1.234.567", "2.500"], [1234567, 2500]),
    "decimal commas of three digits": (["1,234", "2,500"], [1.234, 2.5]),
    "thousands with commas, beside hundreds": (["1,234", "500"], [1234, 500]),
    "decimal commas": (["1,5", "1234,25"], [1.5, 1234.25]),
    "points and decimal commas": (["1.234,5", "2.000"], [1234.5, 2000]),
    "commas and decimal points": (["1,234.5", "2,000"], [1234.5, 2000]),
    "spaces": (["1 234,5", "-2 000"], [1234.5, -2000]),
    "no breaking spaces": (["1\u00a0234,5", "12"], [1234.5, 12]),
    "apostrophes": (["1'234.5", "12"], [1234.5, 12]),
    "signs and exponents": (["-1,5e-3", "+2,5E2"], [-0.0015, 250]),
    "spaces around": (["  1,5", "2,5 "], [1.5, 2.5]),
    "a missing value beside": (["1.5", "2.5"], [1.5, 2.5]),
}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_of_all_styles(tmp_path, case, delimiter):
    cells, expected = NUMBERS[case]
    if delimiter != ";" and case == "thousands with points, beside hundreds":
        expected = [1.234, 500]  # only files with semicolons come from places where points separate thousands
    path = tmp_path / "t.csv"
    path.write_text("\n".join([f"name{delimiter}x", *(f"a{delimiter}{cell}" for cell in cells)]), encoding="utf-8")
    np.testing.assert_allclose(read_table(path).x[:, 0], expected)
    np.testing.assert_allclose(rows_of(scan(path))[:, 0], expected)


SAID = {
    "delimiter": ("a|b\n1;2|3\n", {"delimiter": ";"}, ("a|b",), None),
    "space": ("a b\n1  2\n", {"delimiter": "space"}, ("a", "b"), [[1, 2]]),
    "tab": ("a b\tc\n1\t2\n", {"delimiter": "tab"}, ("a b", "c"), [[1, 2]]),
    "decimal": ("a;b\n1,234;5\n", {"decimal": ","}, ("a", "b"), [[1.234, 5]]),
    "thousands": ("a;b\n1,234;5\n", {"thousands": ","}, ("a", "b"), [[1234, 5]]),
    "no thousands": ("a;b\n1.234;500\n", {"thousands": ""}, ("a", "b"), [[1.234, 500]]),
    "no header": ("2019,2020\n1,2\n", {"header": False}, ("column_1", "column_2"), [[2019, 2020], [1, 2]]),
    "header": ("5,7\n1,2\n", {"header": True}, ("5", "7"), [[1, 2]]),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_said_is_not_looked_for(tmp_path, case):
    text, dialect, columns, rows = SAID[case]
    (tmp_path / "t.csv").write_text(text)
    if rows is None:
        with pytest.raises(InputError, match=r"1 of the data has 2 cells, expected 1 .* or give another delimiter=';'"):
            read_table(tmp_path / "t.csv", dialect=Dialect(**dialect))
        return
    table, source = (read(tmp_path / "t.csv", dialect=Dialect(**dialect)) for read in (read_table, scan))
    assert table.columns == source.columns == columns
    assert table.x.tolist() == rows_of(source).tolist() == rows


HEADERS = {
    # the lines of a file, and whether the first one holds names
    "1,2\n3,4": False,
    "1.5\n2.5": False,
    "x\n2.5": True,
    "5.1,setosa\n4.9,setosa": False,
    "name,2019,2020\nA,5,6": True,
    "2019,2020,2021\n5,6,7": True,
    "0,1\n5,6.5": True,
    ",0,1\n0,5,6.5": True,
    "name,0\nA,1.5": True,
    "400.5,401,401.5,402,402.5\n1,3,2,5,4": True,
    "1,2,3,4,5\n2,3,4,5,6": False,
    "a,b\nx,y": True,
    "A1,5,3\nA2,6,4": False,
    "id,x\n1,2": True,
    "1": False,
}


@pytest.mark.parametrize("text", HEADERS)
def test_headers_are_found(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    n_rows = text.count("\n") + (not HEADERS[text])
    if text == "a,b\nx,y":
        with pytest.raises(InputError, match="no feature column holds numbers; the columns are 'a', 'b'"):
            read_table(tmp_path / "t.csv")
    else:
        assert len(read_table(tmp_path / "t.csv").x) == n_rows


REFUSED = {
    # name: (content, arguments, message)
    "one bad cell": (b"x,y\n" + b"1,2\n" * 40 + b"1,oops\n", {}, "'y' .* row 41 .* 'oops'.*exclude='y'"),
    "a bad cell first": (b"x,y\n1,?\n1,2\n1,3\n", {}, "column 'y' is not numeric: row 1 of the data holds '\\?'"),
    "a bad cell beside commas": (b"x;y\n1,5;2\n1,7;2\nx;2\n", {}, "'x' is not numeric: row 3 of the data holds 'x'"),
    "a number in another style": (b"x;y\n1,5;2\n1.5;2\n", {}, "'1.5'|decimal"),
    "decimal commas and points": (b"x;y\n1,5;1.5\n2,5;2.5\n", {}, "'x' has decimal commas, and .* 'y' decimal points"),
    "thousands at another place": (b"x\n1,234\n12,34\n", {"thousands": ","}, "row 2 of the data holds '12,34'"),
    "no name": (b"a,b,,\n" + b"1,2,,\n" * 300_000 + b"1,2,,7\n", {}, "column 4 has no name .* in row 300001"),
    "an uneven row": (b"a;b\n1,5;2\n1,5;2;3\n", {}, "row 2 of the data has 3 cells, expected 2"),
    "bytes": (bytes(range(256)), {}, "the file is not text"),
    "cut UTF-16": ("a,b\n1,2\n".encode("utf-16")[:-1], {}, "can't be read"),
    "another encoding": ("a,b\n1,ü\n".encode("cp1252"), {"encoding": "utf-16"}, "can't be read|not text"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    content, dialect, message = REFUSED[case]
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    for read in (read_table, lambda *args, **kwargs: rows_of(scan(*args, **kwargs))):
        with pytest.raises(InputError, match=message) as caught:
            read(path, dialect=Dialect(**dialect))
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"delimiter": ";;"}, "delimiter=';;': expected one character"),
        ({"delimiter": "a"}, "expected one character that is no letter"),
        ({"delimiter": 3}, "delimiter=3"),
        ({"decimal": ";"}, "decimal=';': expected '.' or ','"),
        ({"thousands": "x"}, "thousands='x': expected a comma"),
        ({"thousands": ",", "decimal": ","}, "thousands=',' is also the decimal character"),
        ({"encoding": "klingon"}, "encoding='klingon': expected the name of an encoding"),
        ({"encoding": "base64"}, "encoding='base64'"),
        ({"header": "yes"}, "header='yes': expected True, False or None"),
    ],
)
def test_wrong_dialects(values, message):
    with pytest.raises(InputError, match=message):
        Dialect(**values)


def test_a_dialect_is_for_text_alone(tmp_path):
    write_table(tmp_path / "t.parquet", {"a": [1, 2]})
    for read in (read_table, scan):
        with pytest.raises(InputError, match=r"decimal=',' is not supported with \.parquet files, which are not text"):
            read(tmp_path / "t.parquet", dialect=Dialect(decimal=","))
    with pytest.raises(InputError, match="header=True is not supported with tables"):
        scan([np.ones((2, 2))], dialect=Dialect(header=True))


def test_no_more_than_a_mebibyte_is_looked_at(tmp_path):
    """What comes later must not change how a file is read."""
    lines = ["x;y"] + ["1;2"] * 300_000
    for end, message in {"1,5;2": "row 300001 of the data holds '1,5'", "ä;2": "row 300001 of the data holds"}.items():
        (tmp_path / "t.csv").write_bytes("\n".join([*lines, end]).encode("cp1252"))
        with pytest.raises(InputError, match=message):
            read_table(tmp_path / "t.csv")


def test_files_of_a_scan_with_own_encodings(tmp_path):
    """Few rows may not show how numbers are written: the first file does."""
    (tmp_path / "1.csv").write_text("a;ü\n1,5;1.000,5\n", encoding="utf-8")
    (tmp_path / "2.csv").write_bytes(gzip.compress("a;ü\n2,000;3\n".encode("cp1252")))
    (tmp_path / "3.csv").write_text("a;ü\n4;5.000\n", encoding="utf-16")
    assert rows_of(scan(tmp_path)).tolist() == [[1.5, 1000.5], [2, 3], [4, 5000]]


# --- Lists of numbers -------------------------------------------------------------------------------------------------

VECTORS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.5]]
FRAMES = {
    "polars lists": pl.DataFrame({"n": [1, 2, 3], "v": VECTORS}),
    "polars arrays": pl.DataFrame({"n": [1, 2, 3], "v": VECTORS}, schema_overrides={"v": pl.Array(pl.Float32, 3)}),
    "pandas objects": pd.DataFrame({"n": [1, 2, 3], "v": VECTORS}),
    "pandas arrays": pd.DataFrame({"n": [1, 2, 3], "v": list(np.array(VECTORS))}),
    "pandas with Arrow": pd.DataFrame({"n": [1, 2, 3], "v": pd.array(VECTORS, pd.ArrowDtype(pa.list_(pa.float64())))}),
    "pyarrow": pa.table({"n": [1, 2, 3], "v": VECTORS}),
    "pyarrow of fixed size": pa.table({"n": [1, 2, 3], "v": pa.array(VECTORS, pa.list_(pa.float64(), 3))}),
}
ELEMENTS = ("n", "v[0]", "v[1]", "v[2]")
STACKED = [[i + 1, *vector] for i, vector in enumerate(VECTORS)]


@pytest.mark.parametrize("case", FRAMES)
def test_lists_in_frames_are_features(case):
    source = as_source(FRAMES[case])
    assert source.columns == ELEMENTS
    assert rows_of(source).tolist() == STACKED
    model = SoftKMeans(2, random_state=0).fit(FRAMES[case])
    assert model.feature_names_in_.tolist() == list(ELEMENTS)
    assert model.predict(FRAMES[case]).tolist() == SoftKMeans(2, random_state=0).fit(STACKED).predict(STACKED).tolist()
    streamed = scan(lambda: [FRAMES[case]])
    assert (streamed.columns, rows_of(streamed).tolist()) == (ELEMENTS, STACKED)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("case", ["polars lists", "polars arrays", "pyarrow", "pyarrow of fixed size"])
def test_lists_in_files_are_features(tmp_path, case, suffix):
    path = tmp_path / f"t{suffix}"
    frame = pl.from_arrow(FRAMES[case]) if isinstance(FRAMES[case], pa.Table) else FRAMES[case]
    frame.write_parquet(path) if suffix == ".parquet" else frame.write_ipc(path)
    table, source = read_table(path), scan(path)
    assert table.columns == source.columns == ELEMENTS
    assert table.x.tolist() == rows_of(source).tolist() == STACKED
    assert read_table(path, columns=["v"]).columns == scan(path, exclude=["n"]).columns == ELEMENTS[1:]
    assert read_table(path, columns=["v[2]", "n"]).x.tolist() == [[row[3], row[0]] for row in STACKED]
    assert read_table(path, exclude=["v"]).columns == ("n",)
    with pytest.raises(InputError, match=r"column 'v' holds lists; choose one of 'v.0.'"):
        read_table(path, weight_column="v")


def test_lists_of_several_lengths(tmp_path):
    ragged = pa.table({"v": [[1.0, 2.0], [3.0]], "x": [1, 2]})
    write = {"t.parquet": lambda path: pl.from_arrow(ragged).write_parquet(path)}
    write["t.jsonl"] = lambda path: path.write_text('{"v": [1, 2], "x": 1}\n{"v": [3], "x": 2}\n')
    for name, writer in write.items():
        writer(tmp_path / name)
        for read in (read_table, lambda path: rows_of(scan(path))):
            with pytest.raises(InputError, match=r"column 'v' has 1 numbers in row 2 \(counted from 1\), expected 2"):
                read(tmp_path / name)
    for frame in (ragged, pl.from_arrow(ragged), ragged.to_pandas()):
        with pytest.raises(InputError, match=r"column 'v' has 1 numbers in row 1 \(counted from 0\), and 2 "):
            as_source(frame)


# --- Cells that spreadsheet programs compute --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_formulas_are_written_as_text(tmp_path, suffix):
    cells = ["=1+1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "-5", "+49", "-1.5e3", "a=b", "é"]
    path = tmp_path / f"t{suffix}"
    write_table(path, {"=name": np.array(cells), "-5": np.arange(len(cells)) - 3})
    back = pd.read_csv(path, sep="," if suffix == ".csv" else "\t", dtype=str)
    assert back.columns.tolist() == ["'=name", "-5"]
    assert back["'=name"].tolist() == [f"'{cell}" for cell in cells[:4]] + cells[4:]
    assert back["-5"].tolist() == [str(i - 3) for i in range(len(cells))]
