"""Compare the time of an annealing path with that of a fit: `python benchmarks/paths.py`.

A path has 50 temperatures and up to 32 clusters, a fit has 32. Fits and paths alternate; times are medians over rounds.
The result of a path is checked: its distortion at the last temperature may exceed that of a fit at this temperature by
5 percent at most, as both are local optima.
"""

import time

import numpy as np

from softkmeans import annealing_path, fit, make_blobs

N = 100_000
D = 16
K = 32
ROUNDS = 5
MAX_RELATIVE_DISTORTION = 1.05


def data_sets():
    """Yield names and rows: separated blobs, overlapping blobs, and one elongated normal distribution."""
    yield "separated blobs", make_blobs(N, D, K, cluster_std=1.0, random_state=0)[0].numpy()
    yield "overlapping blobs", make_blobs(N, D, K, cluster_std=4.0, random_state=0)[0].numpy()
    yield "one normal distribution", np.random.default_rng(0).normal(size=(N, D)) * np.linspace(3, 1, D)


def timed(function):
    """Return the seconds of a call, and its result."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def main():
    """Print a table with a line for each data set."""
    print("| data | fit | path | path ÷ fit | passes of the fit |\n|---|---|---|---|---|")
    for name, x in data_sets():
        fits, paths = [], []
        for seed in range(ROUNDS):
            seconds, result = timed(lambda x=x, seed=seed: fit(x, K, random_state=seed))
            fits.append(seconds)
            seconds, path = timed(lambda x=x: annealing_path(x, max_clusters=K))
            paths.append(seconds)
        fit_at_end = fit(x, K, temperature=path.levels[-1].temperature, random_state=0)
        if (
            len(path.levels[-1].centers) != K
            or path.levels[-1].distortion > MAX_RELATIVE_DISTORTION * fit_at_end.distortion
        ):
            raise RuntimeError(f"{name}: distortion {path.levels[-1].distortion}, of a fit {fit_at_end.distortion}")
        ratio = np.median(paths) / np.median(fits)
        print(
            f"| {name} | {np.median(fits):.2f} s | {np.median(paths):.2f} s | {ratio:.1f} | {result.n_iter} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
