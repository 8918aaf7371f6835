"""What online EM takes beside EM, from the same starts, pass by pass: `python benchmarks/online.py`.

The gap is how far a fit ends above the optimum that EM reaches from its start, in the negative log-likelihood for each
number that the rows consist of: a fit by default (``tol=1e-4``) ends where a pass lowers this by less than 1e-4. Time
is that of whole fits of so many passes, the pass that ends them included. Medians over several starts, by k-means++; a
fit counts only if what it reports agrees with float64 in NumPy.
"""

import time
import warnings

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from softkmeans import fit, make_blobs

N, D, K = 200_000, 16, 32
PASSES, STARTS = (1, 2, 3, 5, 10, 20), 5


def negative_log_likelihood(x, result):
    """Give the NLL of a result in NumPy, block by block."""
    c, t, total = result.centers.numpy(), result.temperature, 0.0
    for part in np.array_split(x.astype(np.float64), 100):
        d = (part**2).sum(1)[:, None] - 2 * part @ c.T + (c**2).sum(1)
        total -= logsumexp(-d / t, axis=1).sum()
    return total + len(x) * (np.log(len(c)) + x.shape[1] / 2 * np.log(np.pi * t))


def timed(x, start, optimum, solver, passes):
    """Give the gap and the seconds of a fit, checked."""
    began = time.perf_counter()
    result = fit(x, K, init=start, solver=solver, max_iter=passes, tol=0)
    seconds = time.perf_counter() - began
    expected = negative_log_likelihood(x, result)
    if abs(result.objective - expected) > 1e-6 * x.size:
        raise RuntimeError(f"{solver}: {result.objective} after {passes} passes, expected {expected}")
    return (result.objective - optimum) / x.size, seconds


def main():
    """Print a table a data set."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, std in (("blobs far apart", 1.0), ("blobs that overlap", 4.0)):
        x = make_blobs(N, D, K, cluster_std=std, random_state=0)[0].numpy()
        starts = [kmeans_plusplus(x[:20_000], K, random_state=seed)[0] for seed in range(STARTS)]
        optima = [fit(x, K, init=start, solver="em", tol=1e-12, max_iter=2000).objective for start in starts]
        print(f"\n{name}, (n, d, k) = {(N, D, K)}\n")
        print("| passes | gap of EM | gap online | EM | online |\n|---|---|---|---|---|")
        for passes in PASSES:
            pairs = list(zip(starts, optima, strict=True))
            (em_gap, em), (gap, online) = (
                np.median([timed(x, *pair, solver, passes) for pair in pairs], 0) for solver in ("em", "online")
            )
            print(f"| {passes} | {em_gap:.1e} | {gap:.1e} | {em:.2f} s | {online:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
