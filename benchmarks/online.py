"""Compare online EM with EM from the same starts, for several numbers of passes: `python benchmarks/online.py`.

The gap is the negative log-likelihood of a fit minus that of the optimum that EM reaches from the same start, divided
by n d. By default (``tol=1e-4``), a fit stops when a pass lowers this figure by less than 1e-4. Times are those of
whole fits, with the pass that evaluates the final parameters. All figures are medians over starts by k-means++. Each
objective is checked by NumPy in float64.
"""

import time
import warnings

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from softkmeans import fit, make_blobs

N = 200_000
D = 16
K = 32
PASSES = (1, 2, 3, 5, 10, 20)
STARTS = 5


def negative_log_likelihood(x, result):
    """Return the negative log-likelihood of a result, computed by NumPy block by block."""
    c, t, total = result.centers.numpy(), result.temperature, 0.0
    for part in np.array_split(x.astype(np.float64), 100):
        d = (part**2).sum(1)[:, None] - 2 * part @ c.T + (c**2).sum(1)
        total -= logsumexp(-d / t, axis=1).sum()
    return total + len(x) * (np.log(len(c)) + x.shape[1] / 2 * np.log(np.pi * t))


def gap_and_seconds(x, start, optimum, solver, passes):
    """Return the gap and the seconds of a fit, and check its objective."""
    began = time.perf_counter()
    result = fit(x, K, init=start, solver=solver, max_iter=passes, tol=0)
    seconds = time.perf_counter() - began
    expected = negative_log_likelihood(x, result)
    if abs(result.objective - expected) > 1e-6 * x.size:
        raise RuntimeError(f"{solver}: {result.objective} after {passes} passes, expected {expected}")
    return (result.objective - optimum) / x.size, seconds


def main():
    """Print a table for each data set."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, std in (("separated blobs", 1.0), ("overlapping blobs", 4.0)):
        x = make_blobs(N, D, K, cluster_std=std, random_state=0)[0].numpy()
        starts = [kmeans_plusplus(x[:20_000], K, random_state=seed)[0] for seed in range(STARTS)]
        optima = [fit(x, K, init=start, solver="em", tol=1e-12, max_iter=2000).objective for start in starts]
        print(f"\n{name}, (n, d, k) = {(N, D, K)}\n")
        print("| passes | gap, EM | gap, online EM | time, EM | time, online EM |\n|---|---|---|---|---|")
        for passes in PASSES:
            pairs = list(zip(starts, optima, strict=True))
            (em_gap, em_seconds), (online_gap, online_seconds) = (
                np.median([gap_and_seconds(x, *pair, solver, passes) for pair in pairs], 0)
                for solver in ("em", "online")
            )
            print(
                f"| {passes} | {em_gap:.1e} | {online_gap:.1e} | {em_seconds:.2f} s | {online_seconds:.2f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
