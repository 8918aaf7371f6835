"""The command line of the fuzzers: ``python -m fuzz [NAME ...] [--minutes M] [--seed S] [--case SEED]``."""

import argparse
import math
import secrets
import sys

from . import NAMES, load
from .runner import CASES_PER_SEED, run

MAX_SEED = 10**6  # of the seeds that are drawn; short ones are easier to copy


def parse(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Run fuzzers; exit with 1 if a case fails.")
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--minutes", type=float, default=5.0, help="time for each fuzzer, 5 by default")
    parser.add_argument("--seed", type=int, help=f"the first case has this seed times {CASES_PER_SEED}; or a new one")
    parser.add_argument("--cases", type=float, default=math.inf, help="stop after this number of cases")
    parser.add_argument("--case", type=int, help="run the single case with this seed")
    parser.add_argument("--verbose", action="store_true", help="print the seed of each case before it runs")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the fuzzers that the command line names, all by default; return the exit status."""
    options = parse(arguments)
    seed = secrets.randbelow(MAX_SEED) if options.seed is None else options.seed
    first, n_cases = (seed * CASES_PER_SEED, options.cases) if options.case is None else (options.case, 1)
    n_failed = 0
    for name in options.names or NAMES:
        print(f"{name}: " + (f"seed {seed}" if options.case is None else f"case {options.case}"), flush=True)
        n_failed += run(name, load(name), first, n_cases, options.minutes * 60, verbose=options.verbose)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
