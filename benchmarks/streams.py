"""Measure the cost and the memory of reading in blocks: `python benchmarks/streams.py [--gib 8]`.

Three measurements: the throughput of passes over files, relative to the same rows in memory; the time of a pass as the
number of rows grows; and the memory of a fit and a prediction for a file several times larger than the memory limit.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import softkmeans as sk
from softkmeans.distances import as_distance
from softkmeans.kernels import accumulate

D = 16
BLOCK_ROWS = 2**17
# Memory arenas of threads and Arrow's pool reserve gigabytes of addresses, though they use little memory.
SMALL_ADDRESS_SPACE = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
EXTRA_BYTES = 3 * 2**27  # the limit of the limited process, above the addresses that it has reserved before


def blobs(n):
    """Yield n rows of 64 blobs, block by block; the same n gives the same rows."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(-10, 10, (64, D))
    for start in range(0, n, BLOCK_ROWS):
        m = min(BLOCK_ROWS, n - start)
        yield centers[rng.integers(64, size=m)] + rng.standard_normal((m, D))


def write_npy(path, n):
    """Write n rows to an .npy file."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (n, D)})
        for rows in blobs(n):
            rows.tofile(file)


def write_parquet(path, n):
    """Write n rows to a Parquet file."""
    names = [f"x{j}" for j in range(D)]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names]), use_dictionary=False) as writer:
        for rows in blobs(n):
            writer.write_table(pa.table(dict(zip(names, rows.T, strict=True))))


def make_pass(source, k):
    """Return a function that makes a pass over a source, at fixed centers, and returns its Stats."""
    centers, beta, b = torch.from_numpy(next(blobs(k))), torch.ones(k).double(), torch.zeros(k).double()

    def fn(block):
        return accumulate(block, centers, beta, b, as_distance("sqeuclidean"))

    return lambda: source.sum(fn)


def throughput(folder, n, rounds):
    """Print the speed of passes over files, relative to memory."""
    print(f"\nA pass over {n:,} rows of {D} features, files in the page cache; speed relative to memory (GB/s)")
    write_npy(folder / "x.npy", n)
    write_parquet(folder / "x.parquet", n)
    sources = {
        "memory": sk.data.as_source(np.load(folder / "x.npy")),
        "npy": sk.data.scan(folder / "x.npy"),
        "parquet": sk.data.scan(folder / "x.parquet"),
    }
    for k in (4, 16, 64, 256):
        passes = {name: make_pass(source, k) for name, source in sources.items()}
        expected = passes["memory"]()
        for run in passes.values():
            torch.testing.assert_close(run().weighted_sum, expected.weighted_sum, rtol=1e-9, atol=1e-6)
        times = measure.interleaved({name: lambda run=run: timed(run) for name, run in passes.items()}, rounds)
        relative = {name: 1 / measure.ratio(times, name, "memory") for name in times}
        speeds = {name: n * D * 8 / measure.median(seconds) / 1e9 for name, seconds in times.items()}
        print(f"k={k:4d}  " + "  ".join(f"{name} {relative[name]:.2f} ({speeds[name]:.2f})" for name in times))


def timed(run):
    """Return the seconds of a call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def growth(folder, n, k=16):
    """Print the time of passes over files of different lengths, and its exponent in the number of rows."""
    sizes = [n >> i for i in range(6, -1, -1)]
    seconds = []
    for size in sizes:
        rows = sk.data.scan(folder / "large.npy").reader
        source = sk.data.scan(lambda rows=rows, size=size: first_rows(rows, size))
        run = make_pass(source, k)
        run()
        seconds.append(min(timed(run) for _ in range(3)))
    exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    print("\nrows     " + "  ".join(f"{size:>10,}" for size in sizes))
    print("s/pass   " + "  ".join(f"{s:10.3f}" for s in seconds))
    print(f"exponent of the time in the number of rows: {exponent:.3f}")


def first_rows(reader, n):
    """Yield the first n rows of a reader, window by window."""
    for window in reader.windows():
        if window.start >= n:
            return
        yield window.rows[: n - window.start]


LIMITED = """
import json, re, resource, sys, time
import softkmeans as sk
def memory(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
import numpy as np
x = np.random.rand(300_000, {d})
sk.write_assignments(sk.SoftKMeans(8, random_state=0).fit(x), x[:9], {out!r})
del x
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
limit = int(memory("VmSize") * 2**20) + {extra}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
source = sk.data.scan({file!r})
began = time.perf_counter()
model = sk.SoftKMeans(8, random_state=0, max_iter=5, tol=0).fit(source)
fitted = time.perf_counter()
sk.write_assignments(model, source, {out!r})
print(json.dumps([limit, model.objective_, memory("VmHWM") - before, fitted - began, time.perf_counter() - fitted]))
"""


def limited(folder, n):
    """Print the memory and the time of a fit and a prediction in a process whose memory is limited."""
    print(f"\nFit (k=8, 5 passes) and prediction of {n:,} rows, {n * D * 8 / 2**30:.1f} GiB as float64, in a process")
    print(f"whose addresses are limited to those it has plus {EXTRA_BYTES / 2**20:.0f} MB: additional memory, and time")
    values = []
    for name in ("large.npy", "large.parquet"):
        out = folder / "out.parquet"
        code = LIMITED.format(d=D, out=str(out), file=str(folder / name), extra=EXTRA_BYTES)
        command, environment = [sys.executable, "-W", "ignore", "-c", code], os.environ | SMALL_ADDRESS_SPACE
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
        if done.returncode:
            sys.exit(done.stderr)
        limit, value, peak, fit, predict = json.loads(done.stdout)
        values.append(value)
        written = pq.ParquetFile(out).metadata.num_rows
        print(f"{name:14s} +{peak:.0f} MB   fit {fit:.1f} s   predict {predict:.1f} s   {written:,} rows written")
        print(f"{'':14s} the data are {n * D * 8 / limit:.1f} times larger than the limit of {limit / 2**30:.2f} GiB")
        np.testing.assert_equal(written, n)
    np.testing.assert_allclose(*values, rtol=1e-9)


def main():
    """Run the measurements that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=8.0, help="size of the largest data set, in GiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only-limited", action="store_true", help="skip throughput and growth")
    parser.add_argument("--folder", type=Path, help="folder for the files; a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, n = Path(name), int(options.gib * 2**30 / D / 8)
        if not options.only_limited:
            throughput(folder, 2**22, options.rounds)
        write_npy(folder / "large.npy", n)
        if not options.only_limited:
            growth(folder, n)
        write_parquet(folder / "large.parquet", n)
        limited(folder, n)
    print(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
