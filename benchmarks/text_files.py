"""Measure how fast text files are read, whole and in blocks: `python benchmarks/text_files.py [--rows 400000]`.

The times of read_table and of a pass over scan are compared with pyarrow's reader alone, in one run, interleaved, after
the rows were compared. Files in other dialects than that of pyarrow follow.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.csv as pc
from measure import interleaved, median, timed

from softkmeans.data import read_table, scan

D = 16
DIALECTS = {
    "plain": lambda text: text,
    "';' and decimal commas": lambda text: text.replace(",", ";").replace(".", ","),
    "UTF-16": lambda text: text,
}
ENCODINGS = {"UTF-16": "utf-16"}


def write(path, n, name):
    """Write n rows of D numbers to a file, and return them."""
    x = np.random.default_rng(0).normal(size=(n, D)).round(6)
    header = ",".join(f"x{j}" for j in range(D))
    text = "\n".join([header, *(",".join(map(repr, row)) for row in x.tolist())]) + "\n"
    path.write_bytes(DIALECTS[name](text).encode(ENCODINGS.get(name, "utf-8")))
    return x


def read_by_pyarrow(path):
    """Return the rows as pyarrow reads them, without threads."""
    table = pc.read_csv(path, read_options=pc.ReadOptions(use_threads=False))
    return np.column_stack([table[name].to_numpy() for name in table.column_names])


def read_in_blocks(source):
    """Return the sum of all rows of a scan, whose first pass is over."""
    return source.sum(lambda block: block.x.sum())


def report(folder, n, name, rounds):
    """Print the median times for a file in a dialect."""
    path = folder / "rows.csv"
    x = write(path, n, name)
    source = scan(path)
    np.testing.assert_array_equal(read_table(path).x, x)
    np.testing.assert_allclose(read_in_blocks(source).item(), x.sum())
    candidates = {"read_table": lambda: read_table(path), "a pass of scan": lambda: read_in_blocks(source)}
    if name == "plain":
        np.testing.assert_array_equal(read_by_pyarrow(path), x)
        candidates["pyarrow alone"] = lambda: read_by_pyarrow(path)
    times = interleaved({label: partial(timed, run) for label, run in candidates.items()}, rounds)
    size = path.stat().st_size / 1e6
    for label, seconds in times.items():
        print(f"{name}: {label} {median(seconds):.3f} s, {size / median(seconds):.0f} MB/s", flush=True)


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in DIALECTS:
            report(Path(folder), options.rows, name, options.rounds)


if __name__ == "__main__":
    main()
