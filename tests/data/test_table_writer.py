"""A table written in pieces equals the table written at once; after an error there is no file."""

import errno
import gc
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from softkmeans import InputError
from softkmeans.data import read_table, table_writer, write_table
from softkmeans.data.files import writing

resource = pytest.importorskip("resource")

SUFFIXES = [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"]
N = 1000
TABLE = {
    "label": np.arange(N),
    "p": np.random.default_rng(0).uniform(size=N).astype(np.float32),
    "x": np.random.default_rng(1).normal(size=N),
    "name": np.array([f'a "b", {i}' for i in range(N)]),
    "flag": np.arange(N) % 3 == 0,
}


def rows(start, stop):
    return {name: column[start:stop] for name, column in TABLE.items()}


def write_pieces(path, pieces):
    with table_writer(path) as write:
        for piece in pieces:
            write(piece)


def content(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("group", [1, 700, 2**21])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pieces_equal_the_whole_table(tmp_path, monkeypatch, suffix, group):
    whole, pieces = tmp_path / f"whole{suffix}", tmp_path / f"pieces{suffix}"
    write_table(whole, TABLE)
    monkeypatch.setattr(writing, "GROUP_SIZE", group)
    with table_writer(pieces) as write:
        for start, stop in [(0, 1), (1, 1), (1, 400), (400, N)]:
            write(rows(start, stop))
        assert not pieces.exists()
    if suffix == ".parquet":
        assert pq.read_table(pieces).equals(pq.read_table(whole))
    else:
        assert content(pieces) == content(whole)
    np.testing.assert_array_equal(read_table(pieces, columns=["x"]).x[:, 0], TABLE["x"])


def test_small_pieces_are_grouped(tmp_path):
    write_pieces(tmp_path / "t.parquet", (rows(start, start + 1) for start in range(N)))
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 1


def test_an_open_file_gets_csv_and_stays_open():
    file, whole = io.BytesIO(), io.BytesIO()
    write_table(whole, TABLE)
    write_pieces(file, [rows(0, 300), rows(300, N)])
    assert file.getvalue() == whole.getvalue()
    assert not file.closed


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_existing_file_stays_when_a_piece_fails(tmp_path, monkeypatch, suffix, error):
    monkeypatch.setattr(writing, "GROUP_SIZE", 1)
    (tmp_path / f"t{suffix}").write_text("old")
    with pytest.raises(error), table_writer(tmp_path / f"t{suffix}") as write:  # noqa: PT012
        write(rows(0, 9))
        raise error
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(f"t{suffix}", "old")]


WRONG = {
    "no pieces": ([], "no table to write: write one or more columns"),
    "no columns": ([{}], "one-dimensional and of one length"),
    "other columns": ([{"a": [1]}, {"b": [1]}], "columns 'b', expected 'a' as in the first piece"),
    "another order": (
        [{"a": [1], "b": [1]}, {"b": [1], "a": [1]}],
        "columns 'b', 'a', expected 'a', 'b' as in the first piece",
    ),
    "decimals after whole numbers": (
        [{"a": [1]}, {"a": [1.5]}],
        "can't be converted to the column types of the first piece",
    ),
    "text after numbers": ([{"a": [1]}, {"a": ["x"]}], "can't be converted to the column types of the first piece"),
}


@pytest.mark.parametrize("case", WRONG)
def test_pieces_of_different_columns_are_refused(tmp_path, case):
    pieces, words = WRONG[case]
    with pytest.raises(InputError, match=words) as caught:
        write_pieces(tmp_path / "t.csv", pieces)
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_after_decimals(tmp_path):
    write_pieces(tmp_path / "t.csv", [{"a": [1.5]}, {"a": [2]}])
    assert (tmp_path / "t.csv").read_text() == '"a"\n1.5\n2\n'


@pytest.fixture
def no_room():
    """Limit the size of files to 100 kB, which fails like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("group", [1, 2**21])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_room(tmp_path, monkeypatch, suffix, group):
    monkeypatch.setattr(writing, "GROUP_SIZE", group)
    x = np.random.default_rng(0).normal(size=20_000)
    with pytest.raises(InputError, match=rf"can't write .*t{suffix}: file too large; make room"):
        write_pieces(tmp_path / f"t{suffix}", [{"x": x}] * 3)
    gc.collect()  # an unfinished writer must not write when it is collected
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_at_the_end(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=r"can't write .*t\.csv: the disk is full; make room"):
        write_table(tmp_path / "t.csv", TABLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_an_open_file_on_a_full_disk():
    with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(InputError, match="/dev/full: the disk is"):
        write_table(file, TABLE)


def test_other_errors_of_a_file_are_raised_unchanged():
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb", buffering=0) as file, pytest.raises(BrokenPipeError):  # noqa: PTH123
        write_table(file, TABLE)
