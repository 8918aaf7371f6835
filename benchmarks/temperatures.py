"""Measure the cost of temperature rules, relative to a fixed temperature: `python benchmarks/temperatures.py`.

A fit by a temperature rule, and one with T fixed at the value where the rule ends, start from the same centers and make
the same number of passes. The two alternate; times are minima over rounds. Fits of one pass show the work before the
first pass.
"""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from softkmeans import fit, make_blobs

RULES = ("auto", "calibrated", "perplexity:1.3", "critical:0.3")

SHAPES = ((100_000, 16, 32), (1_000_000, 2, 5), (20_000, 64, 100))
FEW_PASSES = 1
MANY_PASSES = 11
ROUNDS = 7


def seconds(x, start, rule, passes):
    """Return the seconds of a fit with a number of passes, and check that it made them."""
    began = time.perf_counter()
    result = fit(x, len(start), init=start, temperature=rule, solver="em", max_iter=passes, tol=0)
    elapsed = time.perf_counter() - began
    if result.n_iter != passes or not np.isfinite(result.distortion):
        raise RuntimeError(f"{rule}: {result.n_iter} passes instead of {passes}")
    return elapsed


def compare(shape):
    """Return the least seconds by temperature rule: few and many passes by it, few and many at its final T."""
    n, d, k = shape
    x = make_blobs(n, d, k, cluster_std=4.0, random_state=0)[0].numpy()
    fastest = {}
    for rule in RULES:
        end = fit(x, k, init=x[:k], temperature=rule, solver="em", max_iter=30, tol=0)
        times = {
            (temperature, passes): [] for temperature in (rule, end.temperature) for passes in (FEW_PASSES, MANY_PASSES)
        }
        for _ in range(ROUNDS):
            for (temperature, passes), values in times.items():
                values.append(seconds(x, x[:k], temperature, passes))
        fastest[rule] = [min(values) for values in times.values()]
    return fastest


def main():
    """Print a table for each shape of data."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for shape in SHAPES:
        print(f"\n(n, d, k) = {shape}\n")
        print("| temperature rule | ms per pass | relative to fixed T | work before, in passes |\n|---|---|---|---|")
        for rule, (few, many, few_fixed, many_fixed) in compare(shape).items():
            passes = MANY_PASSES - FEW_PASSES
            per_pass, per_pass_fixed = (many - few) / passes, (many_fixed - few_fixed) / passes
            setup = (few - per_pass - few_fixed + per_pass_fixed) / per_pass_fixed
            print(f"| {rule} | {1e3 * per_pass:.1f} | {per_pass / per_pass_fixed:.2f} | {setup:.1f} |")


if __name__ == "__main__":
    main()
