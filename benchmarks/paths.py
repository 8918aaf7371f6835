"""What a path costs: 50 temperatures, up to 32 clusters, beside single fits of 32: `python benchmarks/paths.py`.

Fits and paths take turns; medians of several rounds count. A path counts only if it ends no higher than a fit does at
its last temperature, by more than a twentieth: both are local optima.
"""

import time

import numpy as np

from softkmeans import annealing_path, fit, make_blobs

N, D, K, ROUNDS = 100_000, 16, 32, 5


def data():
    """Give blobs far apart, blobs that overlap, and one stretched normal distribution."""
    yield "blobs far apart", make_blobs(N, D, K, cluster_std=1.0, random_state=0)[0].numpy()
    yield "blobs that overlap", make_blobs(N, D, K, cluster_std=4.0, random_state=0)[0].numpy()
    yield "one normal distribution", np.random.default_rng(0).normal(size=(N, D)) * np.linspace(3, 1, D)


def timed(work):
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def main():
    print("| data | a fit | a path | in fits | passes of the fit |\n|---|---|---|---|---|")
    for name, x in data():
        fits, paths = [], []
        for seed in range(ROUNDS):
            seconds, result = timed(lambda x=x, seed=seed: fit(x, K, random_state=seed))
            fits.append(seconds)
            seconds, path = timed(lambda x=x: annealing_path(x, max_clusters=K))
            paths.append(seconds)
        cold = fit(x, K, temperature=path.levels[-1].temperature, random_state=0)
        if len(path.levels[-1].centers) != K or path.levels[-1].distortion > 1.05 * cold.distortion:
            raise RuntimeError(f"{name}: the path ends at E = {path.levels[-1].distortion}, a fit at {cold.distortion}")
        ratio = np.median(paths) / np.median(fits)
        print(
            f"| {name} | {np.median(fits):.2f} s | {np.median(paths):.2f} s | {ratio:.1f} | {result.n_iter} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
