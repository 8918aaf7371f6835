"""Measure the overhead of a pass on two local Dask workers: `python benchmarks/dask_overhead.py`."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported; workers have one thread each

import argparse
import statistics
import time

import dask.array as da
import numpy as np
import torch
from distributed import Client, LocalCluster

from softkmeans.data import as_source
from softkmeans.distances import as_distance
from softkmeans.kernels import accumulate

ROWS = 20  # rows of a partition: almost no work
PARTITIONS = (2, 4, 8, 64)
MODELS = ((3, 4), (100, 50))  # clusters and features
MAX_SECONDS = 0.030  # the goal for up to 8 partitions


def measure(n_parts, k, d, passes):
    """Return the seconds of passes over persisted rows, each at different centers; check their sums in memory."""
    rows = np.random.default_rng(0).random((n_parts * ROWS, d))
    source = as_source(da.from_array(rows, chunks=(ROWS, d)).persist())
    in_memory, distance = as_source(rows), as_distance("sqeuclidean")
    beta, b = torch.ones(k, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
    seconds = []
    for i in range(passes + 3):
        c = torch.from_numpy(rows[np.random.default_rng(i).choice(len(rows), k)])

        def fn(block, c=c):
            return accumulate(block, c, beta, b, distance)

        start = time.perf_counter()
        stats = source.sum(fn)
        seconds.append(time.perf_counter() - start)
        torch.testing.assert_close(stats.weighted_sum, in_memory.sum(fn).weighted_sum, rtol=1e-12, atol=1e-12)
    return seconds[3:]


def measure_empty_tasks(client, n_parts, passes):
    """Return the seconds that Dask needs for the same number of tasks that do nothing."""
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        client.gather(client.map(bool, range(n_parts), pure=False))
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    """Print a table with a line for each number of partitions and model size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=30)
    passes = parser.parse_args().passes
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        client.run(lambda: __import__("softkmeans.kernels"))
        print("Milliseconds per pass, and for the same number of empty tasks:")
        print("| partitions | clusters x features | median | fastest | slowest | empty tasks |")
        print("|---|---|---|---|---|---|")
        for n_parts in PARTITIONS:
            for k, d in MODELS:
                seconds = measure(n_parts, k, d, passes)
                median = statistics.median(seconds)
                mark = " **more than 30**" if n_parts <= 8 and median > MAX_SECONDS else ""
                cells = f"{1e3 * median:.1f}{mark} | {1e3 * min(seconds):.1f} | {1e3 * max(seconds):.1f}"
                empty_median = f"{1e3 * statistics.median(measure_empty_tasks(client, n_parts, passes)):.1f}"
                print(f"| {n_parts} | {k} x {d} | {cells} | {empty_median} |", flush=True)


if __name__ == "__main__":
    main()
