"""How much starting costs, each time in a process of its own."""

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
}
ROUNDS = 3

# The same fit twice: what the first takes longer is loading LLVM and compiling. All other imports come before.
FIRST_FIT = """
import time, numpy as np, softkmeans
x = np.random.default_rng(0).standard_normal((200_000, {d}), np.float32)
softkmeans.SoftKMeans(2, random_state=0).fit(x[:50])
taken = []
for _ in range(2):
    began = time.perf_counter()
    softkmeans.SoftKMeans(8, random_state=0, max_iter=5).fit(x)
    taken.append(time.perf_counter() - began)
print(taken[0] - taken[1])
"""


def commands():
    """Median seconds of each command, interleaved: {name: seconds}."""
    taken = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def first_fits(d):
    """What the first fit takes longer than the second, in seconds: on a new machine, and where kernels are kept."""
    taken = {"on a new machine": [], "in later processes": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            for values in taken.values():
                code = ["-W", "ignore", "-c", FIRST_FIT.format(d=d)]
                environment = os.environ | {"XDG_CACHE_HOME": cache}
                done = subprocess.run(  # noqa: S603
                    [sys.executable, *code], env=environment, capture_output=True, text=True, check=True
                )
                values.append(float(done.stdout))
    return {when: statistics.median(values) for when, values in taken.items()}
