"""Fuzzers: random cases until the time is over, each with a seed of its own, checked against NumPy and invariants.

`make fuzz` runs them after the property tests. From the root of the repository, for one of them::

    PYTHONPATH=tests python -m fuzz kernels --minutes 5 --seed 0

A failure prints the command that runs its single case again.
"""

import importlib

NAMES = ("kernels", "fits", "model_files", "data_files", "options")


def load(name):
    """Return a fuzzer's function that checks a case."""
    return importlib.import_module(f".{name}", __name__).check
