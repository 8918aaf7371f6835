"""Compare two processes with one, with one thread each, and measure all-reduce: `python benchmarks/ranks.py`."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported

import numpy as np
import torch
import torch.distributed as dist

import softkmeans as sk

N = 10**6
D = 16
K = 64
SIZES = [10**p for p in range(1, 8)]  # how many numbers an all-reduce adds up


def on_rank(folder):
    """Fit on this rank; the first rank writes the times to a file."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    source = sk.distributed(sk.data.scan(folder / "x.npy"))
    model = sk.SoftKMeans(K, solver="em", init=np.load(folder / "init.npy"), temperature=2.0, tol=0, max_iter=20)
    times = []

    class Clock(sk.Callback):
        """A callback that records the time of each pass."""

        def on_step(self, step):
            """Record the time."""
            times.append(time.perf_counter())

    model.set_params(callbacks=[Clock()]).fit(source)
    all_reduce = {}
    for size in SIZES if dist.get_world_size() > 1 else []:
        numbers, seconds = torch.zeros(size, dtype=torch.float64), []
        for _ in range(30):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(numbers)
            seconds.append(time.perf_counter() - began)
        all_reduce[size] = statistics.median(seconds)
    if dist.get_rank() == 0:
        result = {"pass": statistics.median(np.diff(times)), "objective": model.objective_, "all_reduce": all_reduce}
        (folder / "result.json").write_text(json.dumps(result))
    dist.destroy_process_group()


def run(folder, size):
    """Run `on_rank` in a group of a size, and return the result of its first rank."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    subprocess.run(  # noqa: S603
        [*torchrun, __file__, "--folder", folder], check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}
    )
    return json.loads((folder / "result.json").read_text())


def main():
    """Print the times of passes and of all-reduce."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        on_rank(options.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x = sk.make_blobs(N, D, K, random_state=0)[0].double().numpy()
        np.save(folder / "x.npy", x)
        np.save(folder / "init.npy", x[:: N // K][:K])
        results = {1: [], 2: []}
        for _ in range(options.rounds):
            for size in results:
                results[size].append(run(folder, size))
    one, two = ([result["pass"] for result in results[size]] for size in results)
    np.testing.assert_allclose(results[1][0]["objective"], results[2][0]["objective"], rtol=1e-9)
    speedup = statistics.median(a / b for a, b in zip(one, two, strict=True))
    print(f"A pass over ({N:,}, {D}), k={K}: one rank {min(one) * 1e3:.1f} ms, two ranks {min(two) * 1e3:.1f} ms,")
    print(f"{speedup:.2f} times as fast (median of {options.rounds} rounds, rows from a file, one thread per rank)")
    print("\nAll-reduce of two ranks over the loopback device, medians")
    for size in SIZES:
        seconds = statistics.median(result["all_reduce"][str(size)] for result in results[2])
        print(f"{size:>12,} numbers  {seconds * 1e6:>10,.0f} µs")


if __name__ == "__main__":
    main()
