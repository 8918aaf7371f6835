"""Files as people have them: what programs and people write, and what must be read from each."""

import bz2
import csv
import gzip
import io
import json
from typing import Any, NamedTuple

import numpy as np
import openpyxl
import pandas as pd
import polars as pl

N = 60
CENTERS = np.array([[2.5, 1000.25], [7.25, 20000.5], [12.5, 3000.75]])
RNG = np.random.default_rng(0)
X = (CENTERS[np.arange(N) % 3] + RNG.normal(size=(N, 2)) * [0.4, 40]).round(2)
KIND = np.array(["Müller", "Łódź", "plain"])[np.arange(N) % 3]
GERMAN = ["Äpfel", "Öl", "Soße"]
DATES = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)]


class Messy(NamedTuple):
    """A file, and what is read from it without any options.

    ``id_column`` is a column of it that names the rows, with the values ``ids``.
    """

    name: str
    content: bytes
    columns: tuple[str, ...]
    x: Any
    note: str
    ignored: tuple[str, ...] = ()
    id_column: str | None = None
    ids: Any = None
    in_blocks: bool = True


def written(write, binary=False):
    """Return what a function writes to an open file."""
    file = io.BytesIO() if binary else io.StringIO(newline="")
    write(file)
    return file.getvalue()


def comma(value, thousands=""):
    """Return a number as Germans write it, with two decimals."""
    return f"{value:,.2f}".replace(",", "?").replace(".", ",").replace("?", thousands)


def german_spreadsheet():
    rows = [["Obst;Preis;Menge"]] + [[f"{GERMAN[i % 3]};{comma(a)};{comma(b)}"] for i, (a, b) in enumerate(X)]
    return "\r\n".join(line for (line,) in rows).encode("cp1252") + b"\r\n"


def windows_export():
    frame = pd.DataFrame({"Name": KIND, "a": X[:, 0], "b": X[:, 1]})
    return frame.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def utf16_with_tabs():
    return (
        pl.DataFrame({"id": [f"R{i:03d}" for i in range(N)], "a": X[:, 0], "b": X[:, 1]})
        .write_csv(separator="\t")
        .encode("utf-16")
    )


def thousands():
    def write(file):
        writer = csv.writer(file)
        writer.writerow(["a", "b"])
        writer.writerows([f"{a:.2f}", f"{b:,.2f}"] for a, b in X)

    return written(write).encode()


def dates_and_ids():
    frame = pd.DataFrame({"customer": [f"{i:05d}" for i in range(N)], "since": DATES, "a": X[:, 0], "b": X[:, 1]})
    return frame.to_csv(index=False).encode()


def embeddings():
    file = io.BytesIO()
    pl.DataFrame({"text": KIND, "vector": X.astype(np.float32)}).write_parquet(file)
    return file.getvalue()


def json_lines():
    rows = [{"id": i, "kind": KIND[i], "a": X[i, 0], "nested": [X[i, 1], 0.5], "empty": None} for i in range(N)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def xlsx():
    book = openpyxl.Workbook()
    book.active.append(["Kunde", "seit", "a", "b", None])
    for i, (a, b) in enumerate(X.tolist()):
        book.active.append([f"K{i}", pd.Timestamp(DATES[i]).to_pydatetime(), a, b])
    book.create_sheet("Notes").append(["nothing"])
    return written(book.save, binary=True)


def empty_last_columns():
    lines = ["a,b,,,,"] + [f"{a},{b},,,," for a, b in X]
    return "\n".join(lines).encode()


def headerless():
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": KIND}).to_csv(index=False, header=False).encode()


def numpy_text():
    return written(lambda file: np.savetxt(file, X), binary=True)


def r_table():
    """Return what R's write.table writes: row names without a name, cells separated by spaces."""
    lines = ['"a" "b" "kind of fruit"'] + [f'"{i + 1}" {a} {b} "two words"' for i, (a, b) in enumerate(X)]
    return "\n".join(lines).encode()


def swiss():
    lines = ["a|b"] + [f"{a}|{f'{b:,.2f}'.replace(',', chr(39))}" for a, b in X]
    return "\n".join(lines).encode()


def french():
    lines = ["a;b"] + [f"{comma(a)};{comma(b, chr(0x202F))}" for a, b in X]
    return "\n".join(lines).encode()


def excel_separator():
    lines = ["sep=;", "a;b"] + [f"{comma(a)};{comma(b, '.')}" for a, b in X]
    return "\r\n".join(lines).encode("utf-8-sig")


def pandas_columns():
    return pd.DataFrame(X).to_csv().encode()


AB = ("a", "b")
# fmt: off
MESSY = {
    "a German spreadsheet": Messy(
        "obst.csv", german_spreadsheet(), ("Preis", "Menge"), X,
        "read with ';', decimal commas and encoding cp1252", ("Obst",), "Obst", [GERMAN[i % 3] for i in range(N)],
    ),
    "a Windows export with BOM": Messy("w.csv", windows_export(), AB, X, "", ("Name",), "Name", KIND.tolist()),
    "UTF-16 with tabs": Messy(
        "t.csv", utf16_with_tabs(), AB, X, "read with tabs and encoding utf-16", ("id",), "id",
        [f"R{i:03d}" for i in range(N)],
    ),
    "gzip under another name": Messy(
        "z.csv", gzip.compress(windows_export()), AB, X, "read with gzip compression",
        ("Name",),
    ),
    "no gzip under the name of one": Messy("z.csv.gz", windows_export(), AB, X, "", ("Name",)),
    "bz2": Messy("z.csv.bz2", bz2.compress(windows_export()), AB, X, "", ("Name",)),
    "thousands separators": Messy("k.csv", thousands(), AB, X, "read with ',' between thousands"),
    "dates and ids": Messy(
        "d.csv", dates_and_ids(), ("customer", "a", "b"), np.column_stack([np.arange(N), X]), "",
        ("since",), "customer",
        [f"{i:05d}" for i in range(N)],
    ),
    "embeddings": Messy(
        "e.parquet", embeddings(), ("vector[0]", "vector[1]"), X.astype(np.float32), "",
        ("text",), "text", KIND.tolist(),
    ),
    "JSON lines": Messy(
        "j.jsonl", json_lines(), ("id", "a", "nested[0]", "nested[1]"),
        np.column_stack([np.arange(N), X, np.full(N, 0.5)]), "", ("kind", "empty"), "id", list(range(N)),
    ),
    "xlsx": Messy(
        "b.xlsx", xlsx(), AB, X, "read sheet 'Sheet', one of 2", ("Kunde", "seit"), "Kunde",
        [f"K{i}" for i in range(N)], in_blocks=False,
    ),
    "empty last columns": Messy("l.csv", empty_last_columns(), AB, X, ""),
    "no header": Messy(
        "h.csv", headerless(), ("column_1", "column_2"), X, "read with no header (the columns are column_1 and so on)",
        ("column_3",), "column_3", KIND.tolist(),
    ),
    "numpy.savetxt": Messy(
        "n.txt", numpy_text(), ("column_1", "column_2"), X,
        "read with spaces and no header (the columns are column_1 and so on)",
    ),
    "a table of R": Messy("r.txt", r_table(), AB, X, "read with spaces", ("", "kind of fruit")),
    "Swiss thousands": Messy("s.csv", swiss(), AB, X, 'read with \'|\' and "\'" between thousands'),
    "French thousands": Messy(
        "f.csv", french(), AB, X, "read with ';', decimal commas and '\\u202f' between thousands",
    ),
    "sep= of Excel": Messy(
        "x.csv", excel_separator(), AB, X, "read with ';', decimal commas and '.' between thousands"
    ),
    "columns 0, 1 of pandas": Messy(
        "p.csv", pandas_columns(), ("0", "1"), X, "read with the numbers in the first row as names", ("",)
    ),
}
# fmt: on
