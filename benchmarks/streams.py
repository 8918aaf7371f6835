"""What reading in blocks costs, and how little memory it takes: python benchmarks/streams.py [--gib 8].

Prints the throughput of passes over files beside those over the same rows in memory, the cost of a pass against the
number of rows, and what a fit and a prediction of a file four times larger than the limit take of it.
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

D, BLOCK = 16, 2**17
# Threads' own arenas and Arrow's pool take addresses by the gigabyte, and hardly any memory.
FRUGAL = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
MORE = 3 * 2**27  # bytes of addresses for the limited process beside those it has, PyTorch's libraries among them


def blobs(n):
    """Give rows of 64 blobs, some at a time, the same for the same n."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(-10, 10, (64, D))
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        yield centers[rng.integers(64, size=m)] + rng.standard_normal((m, D))


def write_npy(path, n):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (n, D)})
        for rows in blobs(n):
            rows.tofile(file)


def write_parquet(path, n):
    names = [f"x{j}" for j in range(D)]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names]), use_dictionary=False) as writer:
        for rows in blobs(n):
            writer.write_table(pa.table(dict(zip(names, rows.T, strict=True))))


def a_pass(source, k):
    """Give what makes a pass over a source at given centers, and what it finds."""
    centers, beta, b = torch.from_numpy(next(blobs(k))), torch.ones(k).double(), torch.zeros(k).double()

    def fn(block):
        return accumulate(block, centers, beta, b, as_distance("sqeuclidean"))

    return lambda: source.sum(fn)


def throughput(folder, n, rounds):
    print(f"\nA pass over {n:,} rows of {D} features, files in the cache; share of the speed in memory (GB/s)")
    write_npy(folder / "x.npy", n)
    write_parquet(folder / "x.parquet", n)
    sources = {
        "memory": sk.data.as_source(np.load(folder / "x.npy")),
        "npy": sk.data.scan(folder / "x.npy"),
        "parquet": sk.data.scan(folder / "x.parquet"),
    }
    for k in (4, 16, 64, 256):
        passes = {name: a_pass(source, k) for name, source in sources.items()}
        expected = passes["memory"]()
        for make in passes.values():
            torch.testing.assert_close(make().weighted_sum, expected.weighted_sum, rtol=1e-9, atol=1e-6)
        taken = measure.interleaved({name: lambda make=make: timed(make) for name, make in passes.items()}, rounds)
        shares = {name: 1 / measure.ratio(taken, name, "memory") for name in taken}
        speeds = {name: n * D * 8 / measure.median(seconds) / 1e9 for name, seconds in taken.items()}
        print(f"k={k:4d}  " + "  ".join(f"{name} {shares[name]:.2f} ({speeds[name]:.2f})" for name in taken))


def timed(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def growth(folder, n, k=16):
    """Fit the exponent of the cost of a pass in the number of rows."""
    sizes = [n >> i for i in range(6, -1, -1)]
    seconds = []
    for size in sizes:
        rows = sk.data.scan(folder / "large.npy").reader
        source = sk.data.scan(lambda rows=rows, size=size: first(rows, size))
        make = a_pass(source, k)
        make()
        seconds.append(min(timed(make) for _ in range(3)))
    exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    print("\nrows     " + "  ".join(f"{size:>10,}" for size in sizes))
    print("s a pass " + "  ".join(f"{s:10.3f}" for s in seconds))
    print(f"exponent of the cost in the number of rows: {exponent:.3f}")


def first(reader, n):
    """Give the first n rows of a reader, window by window."""
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
limit = int(memory("VmSize") * 2**20) + {more}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
source = sk.data.scan({file!r})
began = time.perf_counter()
model = sk.SoftKMeans(8, random_state=0, max_iter=5, tol=0).fit(source)
fitted = time.perf_counter()
sk.write_assignments(model, source, {out!r})
print(json.dumps([limit, model.objective_, memory("VmHWM") - before, fitted - began, time.perf_counter() - fitted]))
"""


def limited(folder, n):
    print(f"\nFit (k=8, 5 passes) and prediction of {n:,} rows, {n * D * 8 / 2**30:.1f} GiB as float64, by a process")
    print(f"with addresses for what it has and {MORE / 2**20:.0f} MB: megabytes above what it had before, seconds")
    values = []
    for name in ("large.npy", "large.parquet"):
        out = folder / "out.parquet"
        code = LIMITED.format(d=D, out=str(out), file=str(folder / name), more=MORE)
        command, environment = [sys.executable, "-W", "ignore", "-c", code], os.environ | FRUGAL
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=8.0, help="size of the largest set")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only-limited", action="store_true", help="leave out throughput and growth")
    parser.add_argument("--folder", type=Path, help="where files are written; a temporary folder by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder, n = Path(name), int(asked.gib * 2**30 / D / 8)
        if not asked.only_limited:
            throughput(folder, 2**22, asked.rounds)
        write_npy(folder / "large.npy", n)
        if not asked.only_limited:
            growth(folder, n)
        write_parquet(folder / "large.parquet", n)
        limited(folder, n)
    print(f"\npeak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
