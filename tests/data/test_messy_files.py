"""Files as people have them are read without options, whole and in blocks, and it is said how."""

import gzip

import numpy as np
import openpyxl
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
            with pytest.raises(InputError, match=r"column 'v' has 1 number in row 2 \(counted from 1\), expected 2"):
                read(tmp_path / name)
    for frame in (ragged, pl.from_arrow(ragged), ragged.to_pandas()):
        with pytest.raises(InputError, match=r"column 'v' has 1 elements in row 1 \(counted from 0\), and 2 "):
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


# --- Faults that were found -------------------------------------------------------------------------------------------

PLAIN = [[1, 2], [3, 4]]
FOUND = {
    # name: (file name, content, columns, rows)
    "a first line of spaces": ("t.csv", " \na,b\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "empty names beyond the rows": ("t.csv", "a,b,,\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "empty cells beyond the names": ("t.csv", "a,b\n1,2,,\n3,4,,\n", ("a", "b"), PLAIN),
    "the same with tabs": ("t.tsv", "a\tb\n1\t2\t\t\n3\t4\t\t\n", ("a", "b"), PLAIN),
    "NumPy's comment, another delimiter": ("t.csv", "# a b\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "NumPy's comment, spaces": ("t.txt", "# a,b\n1 2\n3 4\n", ("a", "b"), PLAIN),
    "NumPy's comment, the same delimiter": ("t.csv", "# a,b\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "a comment that names nothing": ("t.csv", "# made by a program\n1,2\n3,4\n", ("column_1", "column_2"), PLAIN),
    "comments above a header": ("t.csv", "# made\n# by a program\na,b\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "another sep= than the file's": ("t.csv", "sep=;\na,b\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "sep= of a Mac": ("t.csv", "sep=;\ra;b\r1;2\r3;4\r", ("a", "b"), PLAIN),
    "a separator of lines in a name": ("t.csv", "n\u2028m,b\n1,2\n3,4\n", ("n\u2028m", "b"), PLAIN),
    "spaces around a name": ("t.csv", "a , b\n1,2\n3,4\n", ("a", "b"), PLAIN),
    "addresses": ("t.csv", "ip;b\n192.168.100.200;1\n192.168.100.201;2\n", ("b",), [[1], [2]]),
    "telephones": ("t.csv", "phone,b\n030 123 456,1\n040 123 456,2\n", ("b",), [[1], [2]]),
    "later decimals in JSON": ("t.jsonl", '{"a":1,"b":2}\n' * 99_999 + '{"a":1.5,"b":2}\n', ("a", "b"), None),
}


@pytest.mark.parametrize("case", FOUND)
def test_found_faults(tmp_path, case):
    name, text, columns, rows = FOUND[case]
    path = tmp_path / name
    path.write_bytes(text.encode())
    table, source = read_table(path), scan(path)
    assert table.columns == source.columns == columns
    if rows is None:
        assert table.x[[0, -1]].tolist() == rows_of(source)[[0, -1]].tolist() == [[1, 2], [1.5, 2]]
    else:
        assert table.x.tolist() == rows_of(source).tolist() == rows


REFUSED_JSON = {
    "null": ("null\n", "row 1 of the data is 'null', expected an object"),
    "a list": ('{"a": 1}\n[1, 2]\n', r"row 2 of the data is '\[1, 2\]', expected an object"),
    "deep lists": ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n", "nested more than 60 times"),
    "deep objects": ('{"a":' * 100_000 + "1" + "}" * 100_000 + "\n", "nested more than 60 times"),
    "UTF-16": ('{"a": 1}\n'.encode("utf-16"), "line 1 is not UTF-8 text; save the file as UTF-8"),
    "latin-1": ('{"ä": 1}\n{"ä": 2}\n'.encode("latin-1"), "line 1 is not UTF-8 text"),
    "text in a list": ('{"e": [1, 2]}\n{"e": [1, "x"]}\n', "row 2 of the data holds a value of another kind"),
    "a number too large": ('{"e": 1}\n{"e": 1e999}\n', "row 2 of the data"),
    "one bad cell": ('{"e": 1}\n{"e": "x"}\n', "column 'e' holds 'x' in row 2 .*, expected a number as in other rows"),
    "late text": ('{"e": 1}\n' * 200_000 + '{"e": "x"}\n', "column 'e' holds 'x' in row 200001 of the data"),
    "cut": ('{"e": 1}\n{"e":', "row 2 of the data is not JSON"),
}


@pytest.mark.parametrize("case", REFUSED_JSON)
def test_refused_json_lines(tmp_path, case):
    content, message = REFUSED_JSON[case]
    path = tmp_path / "t.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (read_table, lambda path: rows_of(scan(path))):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1


UNSURE = {
    "lat;lon;n\n48.137;11.575;1,5\n52.520;13.405;2,5\n": "columns 'lat', 'lon'",
    "x;y\n1,5;2.500\n3,5;4.500\n": "column 'y'",
    "x;y\n1,500;2\n3,500;4\n": "column 'x'",
    "x;y\n1,5;2.500\n3,5;500\n": None,
    "x;y\n1,5;1.002.500\n3,5;4.500\n": None,
    "x;y\n1,5;2,500\n3,5;4,500\n": None,
    "x,y\n1.5,2.500\n3.5,4.500\n": None,
}


@pytest.mark.parametrize("text", UNSURE)
def test_numbers_that_can_be_read_in_two_ways_are_told(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    said = [note for note in read_table(tmp_path / "t.csv").notes if "can be read in another way" in note]
    assert said == ([] if UNSURE[text] is None else [f"numbers in {UNSURE[text]} can be read in another way: "
                                                     "check their decimals and thousands"])  # fmt: skip
    assert scan(tmp_path / "t.csv").notes == read_table(tmp_path / "t.csv").notes
    if said:
        assert not read_table(tmp_path / "t.csv", dialect=Dialect(decimal=",", thousands="")).notes[1:]


def test_what_is_carried_is_as_it_was(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\nNA,1\nnull,2\n,3\n007,4\n")
    frame = pd.DataFrame({"zip": ["00000", "00123"], "x": [1.5, 2.5]})
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    assert read_table(tmp_path / "t.csv", exclude=["id"], carry=["id"]).carried["id"].to_pylist() == [
        "NA",
        "null",
        "",
        "007",
    ]
    assert read_table(tmp_path / "t.xlsx", carry=["zip"]).carried["zip"].to_pylist() == ["00000", "00123"]


def workbook(path, sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_of_xlsx(tmp_path):
    path = tmp_path / "t.xlsx"
    mixed = workbook(path, {"s": [["a", "b"], [1.125, "1,5"], [2.125, "2,5"], ["3,125", "3,5"]]})
    assert read_table(mixed).x.tolist() == [[1.125, 1.5], [2.125, 2.5], [3.125, 3.5]]
    truths = workbook(path, {"s": [["a", "b"], [True, 1], [0, 2], [1, 3]]})
    assert read_table(truths).x.tolist() == [[1, 1], [0, 2], [1, 3]]
    notes = workbook(path, {"notes": [["nothing here"]], "data": [["a"], [1], [2]]})
    assert (read_table(notes).x.tolist(), read_table(notes).notes) == ([[1], [2]], ("read sheet 'data', one of 2",))
    formulas = read_table(workbook(path, {"s": [["a", "b"], [1, "=A2*2"], [2, "=A3*2"]]}))
    assert formulas.notes == ("formulas without saved results are empty: save the file in a spreadsheet program",)
    with pytest.raises(InputError, match="column 'a' is not numeric: row 2 of the data holds 'oops'"):
        read_table(workbook(path, {"s": [["a"], [1], ["oops"], [3]]}))
    with pytest.raises(InputError, match="the sheet 's' has no rows of data"):
        read_table(workbook(path, {"s": [["a", "b"]]}))


@pytest.mark.parametrize("text", ["\u00a01,2\n3,4", "1\u2028,2\n3,4", "\x0c1,2\n3,4"])
def test_spaces_that_numbers_must_not_have(tmp_path, text):
    (tmp_path / "t.csv").write_text("a,b\n5,6\n7,8\n" + text + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="column 'a' is not numeric: row 3 of the data holds "):
        read_table(tmp_path / "t.csv")


def test_files_of_a_folder_say_how_each_is_read(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a;b\n3;4\n", encoding="utf-16")
    assert scan(tmp_path).notes == ("2.csv: read with ';' and encoding utf-16",)


def test_a_late_text_of_another_encoding_in_what_is_carried(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"n,y\n" + b"a,2\n" * 300_000 + b"\xe9,3\n")
    with pytest.raises(InputError, match="column 'n' is not UTF-8 text; save the file as UTF-8, or give its encoding"):
        read_table(tmp_path / "t.csv", carry=["n"])


@pytest.mark.parametrize("encoding", ["idna", "base64", "rot13", "hex"])
def test_encodings_that_read_no_text(encoding):
    with pytest.raises(InputError, match="expected the name of an encoding"):
        Dialect(encoding=encoding)
