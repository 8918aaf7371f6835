"""Prefetching: its thread, its memory, and forked processes."""

import gc
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from helpers.waiting import HANG_SECONDS
from softkmeans.data import scan, write_table
from softkmeans.data.files.prefetch import prefetch


def threads():
    return [thread for thread in threading.enumerate() if "prefetch" in thread.name]


def counting(n, made, ended):
    try:
        for i in range(n):
            made.append(i)
            yield i
    finally:
        ended.append(threading.current_thread().name)


def test_items_keep_their_order_and_at_most_two_are_ahead():
    made, ended = [], []
    for i in prefetch(counting(20, made, ended)):
        assert i + 1 <= len(made) <= i + 3
        assert len(threads()) == 1
    assert made == list(range(20))
    assert ended == ["softkmeans-prefetch"]
    assert threads() == []


def test_nothing_runs_before_the_first_item():
    made = []
    prefetch(counting(3, made, []))
    assert made == []
    assert threads() == []
    assert list(prefetch(())) == []


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["close", "drop", "raise", "at once"])
def test_the_thread_ends_with_the_iterator(ending):
    made, ended = [], []
    items = prefetch(counting(10**9, made, ended))
    if ending != "at once":
        assert next(items) == 0
    if ending == "close":
        items.close()
    elif ending == "raise":
        with pytest.raises(KeyError):
            items.throw(KeyError())
    else:
        del items
        gc.collect()
    assert threads() == []
    assert len(ended) == (ending != "at once")
    assert len(made) <= 3


def test_errors_of_the_thread_are_raised_in_the_consumer():
    def failing():
        yield 1
        raise ValueError("in the thread")

    items = prefetch(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="in the thread"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)
    assert threads() == []


def test_several_passes_side_by_side():
    x = np.random.default_rng(0).normal(size=(50, 2))
    source = scan([x], rows_per_block=7)
    for one, two in zip(source.blocks(), source.blocks(), strict=True):
        torch.testing.assert_close(one.x, two.x)
    assert threads() == []


def total(source):
    return source.sum(lambda block: block.x.sum(0)).tolist()


def in_child(source, answers):
    answers.put(total(source))


@pytest.mark.process
@pytest.mark.parametrize("kind", ["npy", "parquet", "csv", "arrow", "list"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_reads_too(tmp_path, kind):
    x = np.arange(60.0).reshape(20, 3)
    np.save(tmp_path / "x.npy", x)
    for suffix in ("parquet", "csv", "arrow"):
        write_table(tmp_path / f"x.{suffix}", dict(zip("abc", x.T, strict=True)))
    source = scan([x] if kind == "list" else tmp_path / f"x.{kind}", rows_per_block=4)
    begun = source.blocks()
    next(begun)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=in_child, args=(source, answers))
    child.start()
    assert answers.get(timeout=HANG_SECONDS) == x.sum(0).tolist()
    child.join(HANG_SECONDS)
    assert child.exitcode == 0
    assert sum(map(len, begun)) == 16  # the pass of the parent continues


def continue_pass(begun, answers):
    try:
        next(begun)
    except RuntimeError as error:
        answers.put(str(error))


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_pass_does_not_continue_in_a_forked_process():
    begun = prefetch(range(9))
    next(begun)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=continue_pass, args=(begun, answers))
    child.start()
    assert "before a fork" in answers.get(timeout=HANG_SECONDS)
    child.join(HANG_SECONDS)
    assert child.exitcode == 0
    assert list(begun) == list(range(1, 9))


@pytest.mark.process
def test_a_program_can_end_during_a_pass():
    code = (
        "from softkmeans.data.files.prefetch import prefetch; items = prefetch(iter(int, 1)); next(items); print('end')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    assert (answer.stdout, answer.stderr) == ("end\n", "")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="lists the mapped files")
def test_windows_are_unmapped_when_they_are_dropped(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((1000, 4)))
    blocks = list(scan(tmp_path / "x.npy", rows_per_block=100).blocks())
    assert Path("/proc/self/maps").read_text().count("x.npy") >= 5
    del blocks
    assert "x.npy" not in Path("/proc/self/maps").read_text()


def test_a_loader_that_shuffles_is_refused():
    loader = DataLoader(torch.arange(1000.0)[:, None], batch_size=10, shuffle=True)
    with pytest.raises(ValueError, match="don't shuffle"):
        list(scan(loader).blocks())


MEMORY = """
import sys, torch
torch.set_num_threads(1)
from softkmeans.data import scan
def peak():  # in MB, of this process only: getrusage includes the peak of the parent before the fork
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
def run(path):
    return scan(path, rows_per_block=2**15).sum(lambda block: block.sum(lambda part: part.x.sum(0)))
for small in sys.argv[1:3]:
    run(small)
before = peak()
for large in sys.argv[3:]:
    run(large)
print(peak() - before)
"""


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="holds the peak memory")
def test_memory_does_not_grow_with_the_data(tmp_path):
    """Check the peak memory of reading 100 MB, of which a few windows of 4 MB are in memory at a time."""
    x = np.arange(800_000.0 * 16).reshape(-1, 16)
    for name, rows in {"small": x[:10], "large": x}.items():
        np.save(tmp_path / f"{name}.npy", rows)
        table = pa.table(list(rows.reshape(16, -1)), [f"c{j}" for j in range(16)])
        # a single row group: a reader that reads whole row groups would exceed the limit
        pq.write_table(table, tmp_path / f"{name}.parquet", len(x), compression="none", use_dictionary=False)
    paths = [tmp_path / f"{name}{suffix}" for name in ("small", "large") for suffix in (".npy", ".parquet")]
    command = [sys.executable, "-c", MEMORY, *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)
    assert int(run.stdout) < 60


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="holds the peak memory")
def test_memory_does_not_grow_with_an_arrow_file(tmp_path):
    """Check the peak memory of reading 256 MB with pyarrow.dataset, which always reads some 80 MB ahead."""
    x = np.arange(2**25 * 1.0).reshape(16, -1)
    for name, columns in {"small": x[:, :10], "large": x}.items():
        write_table(tmp_path / f"{name}.arrow", {f"c{j}": column for j, column in enumerate(columns)})
    paths = [tmp_path / f"{name}.arrow" for name in ("small", "small", "large")]
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, *paths], capture_output=True, text=True, check=True, timeout=HANG_SECONDS
    )
    assert int(run.stdout) < 140
