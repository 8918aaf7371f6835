"""Two processes beside one, a thread each, and what an all-reduce costs: python benchmarks/ranks.py."""

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

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch

import numpy as np
import torch
import torch.distributed as dist

import softkmeans as sk

N, D, K = 10**6, 16, 64
SIZES = [10**p for p in range(1, 8)]  # numbers of an all-reduce


def on_rank(folder):
    """Fit on every rank, and let the first one say how long it took."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    source = sk.distributed(sk.data.scan(folder / "x.npy"))
    model = sk.SoftKMeans(K, solver="em", init=np.load(folder / "init.npy"), temperature=2.0, tol=0, max_iter=20)
    times = []

    class Clock(sk.Callback):
        def on_step(self, step):
            times.append(time.perf_counter())

    model.set_params(callbacks=[Clock()]).fit(source)
    reduced = {}
    for size in SIZES if dist.get_world_size() > 1 else []:
        numbers, seconds = torch.zeros(size, dtype=torch.float64), []
        for _ in range(30):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(numbers)
            seconds.append(time.perf_counter() - began)
        reduced[size] = statistics.median(seconds)
    if dist.get_rank() == 0:
        found = {"pass": statistics.median(np.diff(times)), "objective": model.objective_, "reduced": reduced}
        (folder / "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def run(folder, size):
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    subprocess.run(  # noqa: S603
        [*start, __file__, "--folder", folder], check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}
    )
    return json.loads((folder / "found.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.folder:
        on_rank(asked.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x = sk.make_blobs(N, D, K, random_state=0)[0].double().numpy()
        np.save(folder / "x.npy", x)
        np.save(folder / "init.npy", x[:: N // K][:K])
        found = {1: [], 2: []}
        for _ in range(asked.rounds):
            for size in found:
                found[size].append(run(folder, size))
    one, two = ([each["pass"] for each in found[size]] for size in found)
    np.testing.assert_allclose(found[1][0]["objective"], found[2][0]["objective"], rtol=1e-9)
    speedup = statistics.median(a / b for a, b in zip(one, two, strict=True))
    print(f"a pass over ({N:,}, {D}), k={K}: one rank {min(one) * 1e3:.1f} ms, two {min(two) * 1e3:.1f} ms,")
    print(f"{speedup:.2f} times as fast (median of {asked.rounds} rounds, from file, a thread a rank)")
    print("\nall-reduce of two ranks over the loopback device, medians")
    for size in SIZES:
        seconds = statistics.median(each["reduced"][str(size)] for each in found[2])
        print(f"{size:>12,} numbers  {seconds * 1e6:>10,.0f} µs")


if __name__ == "__main__":
    main()
