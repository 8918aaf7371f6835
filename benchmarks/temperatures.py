"""What temperature rules cost: seconds a pass, and what comes on top, beside a given temperature.

    python benchmarks/temperatures.py

Fits by a rule, and at the temperature that it ends at, start from the same centers and make the same number of passes,
in turn; the least of several rounds counts. A fit of one pass shows what a rule needs before it.
"""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from softkmeans import fit, make_blobs

ASSIGNMENTS = ("auto", "calibrated", "perplexity:1.3", "critical:0.3")

SHAPES = ((100_000, 16, 32), (1_000_000, 2, 5), (20_000, 64, 100))
FEW, MANY, ROUNDS = 1, 11, 7


def seconds(x, start, rule, passes):
    """Time a fit of so many passes, and check that it made them."""
    began = time.perf_counter()
    result = fit(x, len(start), init=start, temperature=rule, solver="em", max_iter=passes, tol=0)
    took = time.perf_counter() - began
    if result.n_iter != passes or not np.isfinite(result.distortion):
        raise RuntimeError(f"{rule}: {result.n_iter} passes instead of {passes}")
    return took


def compare(shape):
    """Give, for each rule, the least seconds of fits of few and of many passes, and those at the T that it ends at."""
    n, d, k = shape
    x = make_blobs(n, d, k, cluster_std=4.0, random_state=0)[0].numpy()
    found = {}
    for rule in ASSIGNMENTS:
        end = fit(x, k, init=x[:k], temperature=rule, solver="em", max_iter=30, tol=0)
        times = {(temperature, passes): [] for temperature in (rule, end.temperature) for passes in (FEW, MANY)}
        for _ in range(ROUNDS):
            for (temperature, passes), taken in times.items():
                taken.append(seconds(x, x[:k], temperature, passes))
        found[rule] = [min(taken) for taken in times.values()]
    return found


def main():
    """Print a table a shape."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for shape in SHAPES:
        print(f"\n(n, d, k) = {shape}\n")
        print("| rule | ms a pass | beside the same T, given | what comes before, in passes |\n|---|---|---|---|")
        for rule, (few, many, few_given, many_given) in compare(shape).items():
            own, given = (many - few) / (MANY - FEW), (many_given - few_given) / (MANY - FEW)
            print(f"| {rule} | {1e3 * own:.1f} | {own / given:.2f} | {(few - own - few_given + given) / given:.1f} |")


if __name__ == "__main__":
    main()
