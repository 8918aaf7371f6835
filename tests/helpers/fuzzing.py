"""Hypothesis settings: the same examples in every run of `make test`, new ones in `make fuzz`."""

import os

from hypothesis import settings

FUZZING = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
MORE = 30  # times as many examples when fuzzing


def register_profiles():
    """Register and load the profiles.

    "repeatable" draws the same examples in every run, so that a red test means a change in the code. "fuzz" draws new
    ones. What it finds becomes an ``@example`` of its test.
    """
    settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, print_blob=True)
    settings.register_profile("fuzz", deadline=None, print_blob=True)
    settings.load_profile("fuzz" if FUZZING else "repeatable")


def examples(n, **more):
    """Return settings for n examples, and for many more when fuzzing."""
    return settings(max_examples=n * (MORE if FUZZING else 1), **more)
