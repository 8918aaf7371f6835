"""Timing of contenders side by side, and memory."""

import json
import statistics
import subprocess
import sys
import time


def interleaved(contenders, rounds):
    """Time functions that return seconds, in turns: {name: [seconds]}."""
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, seconds in contenders.items():
            taken[name].append(seconds())
    return taken


def timed(run, at_least=0.1):
    """Seconds of a call, on average over some time.

    It is called for as long beforehand: that warms threads, caches and the clock of the processor, and lets the threads
    of other libraries, which wait actively for a while, fall asleep.
    """
    for _ in range(2):
        began, times = time.perf_counter(), 0
        while time.perf_counter() - began < at_least:
            run()
            times += 1
        seconds = (time.perf_counter() - began) / times
    return seconds


def per_pass(run, few, many):
    """Seconds of a pass, of a run of which only the number of passes is known: it takes the cost of the rest off."""
    run(1)
    began = time.perf_counter()
    run(few)
    middle = time.perf_counter()
    run(many)
    return max((time.perf_counter() - middle) - (middle - began), 1e-9) / (many - few)


def ratio(taken, other, ours="ours"):
    """Median over rounds of what another takes over what we take."""
    return statistics.median(b / a for a, b in zip(taken[ours], taken[other], strict=True))


def median(values):
    return statistics.median(values)


PEAK = """
import json, re, sys
sys.path.insert(0, {folder!r})
import numpy as np, warnings
warnings.simplefilter("ignore")
import softkmeans, workloads
w = workloads.{kind}(*{size!r})
def memory(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
def run(x):
    {call}
run(w.x[:len(w.x) // 4].copy())
import gc; gc.collect()
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
run(w.x)
print(json.dumps(memory("VmHWM") - before))
"""


def peak_memory(folder, kind, size, call):
    """Megabytes beside the data that a call takes at most, in a process of its own, after a smaller one (Linux)."""
    code = PEAK.format(folder=str(folder), kind=kind, size=size, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(done.stdout)
