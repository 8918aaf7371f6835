"""Measure time, with the compared programs in alternation, and memory."""

import json
import statistics
import subprocess
import sys
import time


def interleaved(contenders, rounds):
    """Call functions that return seconds in alternation, and return {name: [seconds]}."""
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            times[name].append(measure())
    return times


def timed(run, at_least=0.1):
    """Return the seconds of a call, averaged over calls for some time.

    The function is first called for the same time without measuring. This starts threads, fills caches and raises the
    processor's clock, and lets busy-waiting threads of other libraries go to sleep.
    """
    for _ in range(2):
        began, n_calls = time.perf_counter(), 0
        while time.perf_counter() - began < at_least:
            run()
            n_calls += 1
        seconds = (time.perf_counter() - began) / n_calls
    return seconds


def per_pass(run, few, many):
    """Return the seconds of a pass, from runs with few and with many passes; the cost of everything else cancels."""
    run(1)
    began = time.perf_counter()
    run(few)
    middle = time.perf_counter()
    run(many)
    return max((time.perf_counter() - middle) - (middle - began), 1e-9) / (many - few)


def ratio(times, other, ours="ours"):
    """Return the median over rounds of another's time divided by ours."""
    return statistics.median(b / a for a, b in zip(times[ours], times[other], strict=True))


def short(value):
    """Return a ratio as text, with two digits or without decimals."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def median(values):
    """Return the median."""
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
run(w.x[:w.x.shape[0] // 4].copy())
import gc; gc.collect()
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
run(w.x)
print(json.dumps(memory("VmHWM") - before))
"""


def peak_memory(folder, kind, size, call):
    """Return the peak memory (MB) of a call, without the data, in a new process after a smaller call (Linux)."""
    code = PEAK.format(folder=str(folder), kind=kind, size=size, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(done.stdout)
