"""What a pass costs beside its work on two local Dask workers: python benchmarks/dask_overhead.py."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch; workers have one thread each

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

ROWS = 20  # of a partition: next to no work
PARTITIONS = (2, 4, 8, 64)
MODELS = ((3, 4), (100, 50))  # clusters and features
MOST = 0.030  # seconds, for up to 8 partitions


def measure(n_parts, k, d, passes):
    """Time passes over persisted rows, each at other centers; all sums are compared with those in memory."""
    rows = np.random.default_rng(0).random((n_parts * ROWS, d))
    source = as_source(da.from_array(rows, chunks=(ROWS, d)).persist())
    here, distance = as_source(rows), as_distance("sqeuclidean")
    beta, b = torch.ones(k, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
    seconds = []
    for i in range(passes + 3):
        c = torch.from_numpy(rows[np.random.default_rng(i).choice(len(rows), k)])

        def fn(block, c=c):
            return accumulate(block, c, beta, b, distance)

        start = time.perf_counter()
        stats = source.sum(fn)
        seconds.append(time.perf_counter() - start)
        torch.testing.assert_close(stats.weighted_sum, here.sum(fn).weighted_sum, rtol=1e-12, atol=1e-12)
    return seconds[3:]


def empty(client, n_parts, passes):
    """Time what Dask takes for as many tasks that do nothing."""
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        client.gather(client.map(bool, range(n_parts), pure=False))
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=30)
    passes = parser.parse_args().passes
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        client.run(lambda: __import__("softkmeans.kernels"))
        print("ms a pass, and for as many empty tasks, as Dask does them:")
        print("| partitions | clusters x features | median | quickest | slowest | empty tasks |")
        print("|---|---|---|---|---|---|")
        for n_parts in PARTITIONS:
            for k, d in MODELS:
                seconds = measure(n_parts, k, d, passes)
                middle = statistics.median(seconds)
                late = " **more than 30**" if n_parts <= 8 and middle > MOST else ""
                found = f"{1e3 * middle:.1f}{late} | {1e3 * min(seconds):.1f} | {1e3 * max(seconds):.1f}"
                nothing = f"{1e3 * statistics.median(empty(client, n_parts, passes)):.1f}"
                print(f"| {n_parts} | {k} x {d} | {found} | {nothing} |", flush=True)


if __name__ == "__main__":
    main()
