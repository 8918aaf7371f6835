"""Run a fuzzer's cases, count them, and report those that fail with the command that runs them again."""

import faulthandler
import os
import sys
import threading
import time
import traceback
import warnings
from collections import Counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from softkmeans.errors import PerformanceWarning

CASES_PER_SEED = 1_000_000  # case i of seed s has the seed s * CASES_PER_SEED + i
MAX_FAILURES = 10  # after which a fuzzer stops
HANG_SECONDS = 120  # after which a case counts as hanging


def run(name, check, first, n_cases, seconds, *, verbose=False):
    """Run cases with consecutive seeds until their number or the time is reached; return how many failed.

    ``check`` takes a random number generator, and raises an exception if the case fails. Otherwise, it returns a word
    for how the case ended, by which cases are counted.
    """
    begin, endings, seed = time.monotonic(), Counter(), first
    while seed - first < n_cases and (seed == first or time.monotonic() - begin < seconds):
        if verbose:
            print(f"{name}: case {seed}", flush=True)
        endings[run_case(name, check, seed)] += 1
        seed += 1
        if endings["failed"] >= MAX_FAILURES:
            break
    counts = ", ".join(f"{number} {ending}" for ending, number in sorted(endings.items()))
    print(f"{name}: {seed - first} cases in {time.monotonic() - begin:.0f} s: {counts}", flush=True)
    return endings["failed"]


def run_case(name, check, seed):
    """Run the case with a seed, and return how it ended: "failed" if it raised an exception."""
    alarm = threading.Timer(HANG_SECONDS, end_hanging_case, (name, seed))
    alarm.daemon = True
    alarm.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for expected in (ConvergenceWarning, PerformanceWarning):
                warnings.simplefilter("ignore", expected)
            return check(np.random.default_rng(seed))
    except Exception:  # noqa: BLE001 -- any exception is what a fuzzer looks for
        print(f"{name}: case {seed} failed\n{traceback.format_exc()}{command(name, seed)}", flush=True)
        return "failed"
    finally:
        alarm.cancel()


def end_hanging_case(name, seed):
    """End the process, with the traceback of a case that does not end."""
    print(f"{name}: case {seed} hangs\n{command(name, seed)}", flush=True)
    faulthandler.dump_traceback(sys.stdout.fileno())
    os._exit(1)


def command(name, seed):
    """Return how to run a single case again."""
    return f"reproduce with: PYTHONPATH=tests python -m fuzz {name} --case {seed}"
