"""Measure the time of starting, with a new process for each measurement."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "`import torch`": ["-c", "import torch"],
    "`import torch, softkmeans`": ["-c", "import torch, softkmeans"],
    "`softkmeans --help`": ["-m", "softkmeans", "--help"],
    "`softkmeans.predictor`": ["-c", "import softkmeans; softkmeans.predictor"],
}
ROUNDS = 3

# The same fit twice: the difference is the time of loading LLVM and of compiling. All else is imported before.
FIRST_FIT = """
import time, numpy as np, softkmeans
x = np.random.default_rng(0).standard_normal((200_000, {d}), np.float32)
softkmeans.SoftKMeans(2, random_state=0).fit(x[:50])
times = []
for _ in range(2):
    began = time.perf_counter()
    softkmeans.SoftKMeans(8, random_state=0, max_iter=5).fit(x)
    times.append(time.perf_counter() - began)
print(times[0] - times[1])
"""


def commands():
    """Return the median seconds of each command, {name: seconds}; commands alternate."""
    times = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def first_fits(d):
    """Return how many seconds longer the first fit takes than the second, without and with cached kernels."""
    times = {"on a new machine": [], "in later processes": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            for values in times.values():
                code = ["-W", "ignore", "-c", FIRST_FIT.format(d=d)]
                environment = os.environ | {"XDG_CACHE_HOME": cache}
                done = subprocess.run(  # noqa: S603
                    [sys.executable, *code], env=environment, capture_output=True, text=True, check=True
                )
                values.append(float(done.stdout))
    return {when: statistics.median(values) for when, values in times.items()}
