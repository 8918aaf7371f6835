"""Fuzz data files: what is written in any dialect is read back, and damaged files are refused in one line."""

import bz2
import gzip
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from helpers.messy import MESSY
from softkmeans import InputError
from softkmeans.data import Dialect, read_table, scan

COMPRESS = {"": lambda content: content, ".gz": gzip.compress, ".bz2": bz2.compress}
SEPARATORS = {".": ["", "", ",", " ", "'"], ",": ["", "", ".", " ", "\u202f"]}
WORDS = ["pear", "Äpfel", "two words", 'a "quoted" one', "x", "12a", "-"]
MAX_DAMAGES = 4


class Written(NamedTuple):
    """A file, its rows, and how it was written."""

    name: str
    content: bytes
    x: np.ndarray
    dialect: Dialect
    is_clear: bool  # whether what it holds can be seen without being told


def check(rng):
    """Check a file of random numbers in a random dialect, or one that is damaged; return how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        if rng.random() < 0.5:
            return check_written(Path(folder), written(rng))
        messy = MESSY[list(MESSY)[rng.integers(len(MESSY))]]
        name, content = (messy.name, messy.content) if rng.random() < 0.5 else written(rng)[:2]
        path = Path(folder) / name
        path.write_bytes(damaged(rng, content))
        return check_damaged(path)


def check_written(folder, file):
    """Check that rows are read back, and by the dialect that they were written in if others are possible."""
    path = folder / file.name
    path.write_bytes(file.content)
    for read in (read_whole, read_in_blocks):
        np.testing.assert_allclose(read(path, dialect=file.dialect), file.x, rtol=1e-14)
        if file.is_clear:
            np.testing.assert_allclose(read(path), file.x, rtol=1e-14)
    return "found" if file.is_clear else "told"


def check_damaged(path):
    """Check that a file is read, or refused in one line that names it, whole as in blocks."""
    endings = []
    for read in (read_whole, read_in_blocks):
        try:
            rows = read(path)
        except InputError as error:
            message = str(error)
            assert "\n" not in message, message
            assert path.name in message or "can't be read in blocks" in message, message
            endings.append("refused")
        else:
            assert np.isfinite(rows).all()
            endings.append("read")
    return "damaged, read" if endings[0] == "read" else "damaged, refused"


def read_whole(path, **arguments):
    return read_table(path, **arguments).x


def read_in_blocks(path, **arguments):
    source = scan(path, rows_per_block=5, **arguments)
    return torch.cat([block.x for block in source.blocks()]).numpy()


def written(rng):
    """Write random numbers in a random dialect."""
    n, d, digits = int(rng.integers(2, 40)), int(rng.integers(1, 5)), int(rng.choice([0, 1, 2, 4, 6]))
    x = (rng.normal(size=(n, d)) * 10.0 ** rng.integers(-1, 7)).round(digits) + 0.0
    decimal = str(rng.choice([".", ","]))
    thousands = str(rng.choice(SEPARATORS[decimal]))
    delimiters = [sign for sign in ",;\t|" if sign not in (decimal, thousands)]
    suffix = str(rng.choice([".csv", ".tsv", ".txt"]))
    delimiter = str(rng.choice(delimiters))
    header, encoding = bool(rng.random() < 0.7), str(rng.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16"]))
    encoding = "utf-8" if thousands == "\u202f" and encoding == "cp1252" else encoding
    cells = [[number(value, digits, decimal, thousands) for value in row] for row in x]
    names = [f"c{j}" for j in range(d)]
    if rng.random() < 0.5:
        words = [WORDS[i] for i in rng.integers(len(WORDS), size=n)]
        words[0] = "pear"  # a column that begins with text
        cells, names = [[word, *row] for word, row in zip(words, cells, strict=True)], ["kind", *names]
    if rng.random() < 0.3:
        cells, names = [[*row, "", ""] for row in cells], [*names, "", ""]
    lines = ([names] if header else []) + cells
    buffer = io.StringIO(newline="")
    pd.DataFrame(lines).to_csv(
        buffer, sep=delimiter, header=False, index=False, lineterminator=str(rng.choice(["\n", "\r\n"]))
    )
    compression = str(rng.choice(list(COMPRESS), p=[0.8, 0.1, 0.1]))
    content = COMPRESS[compression](buffer.getvalue().encode(encoding))
    dialect = Dialect(delimiter, decimal, thousands, encoding, header)
    has_one_column = len(names) == 1
    style_is_visible = (decimal == "." and not thousands) or (digits > 0 and (delimiter == ";" or decimal == "."))
    is_clear = header and style_is_visible and not has_one_column and n > 4
    return Written(f"t{suffix}{compression}" if rng.random() < 0.7 else f"t{suffix}", content, x, dialect, is_clear)


def number(value, digits, decimal, thousands):
    """Return a number as text."""
    text = f"{value:,.{digits}f}".replace(",", "T").replace(".", decimal)
    return text.replace("T", thousands)


def damaged(rng, content):
    """Return content with bytes changed, removed, inserted or repeated, or cut."""
    data = bytearray(content)
    for _ in range(rng.integers(1, MAX_DAMAGES + 1)):
        at = int(rng.integers(len(data) + 1))
        kind = rng.integers(6)
        if kind == 0 and at < len(data):
            data[at] = rng.integers(256)
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 2:
            pieces = [b'"', b",", b";", b"\n", b"\r", b"\0", b"\xff", b"[", b"}", b"1e999", b"nan", b"=1", b"\x1b[31m"]
            data[at:at] = pieces[rng.integers(len(pieces))]
        elif kind == 3:
            data[at:at] = data[at : at + int(rng.integers(1, 400))]
        elif kind == 4:
            del data[at:]
        elif len(data) < 100_000:
            data = data * 2
    return bytes(data)
