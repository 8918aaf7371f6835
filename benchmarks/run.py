"""Measure everything and write docs/benchmarks.md, or only print some parts: `python benchmarks/run.py passes fits`."""

import datetime
import inspect
import platform
import sys
from pathlib import Path

import tables
import torch
from llvmlite import binding as llvm

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PARTS = ["machine", "passes", "soft", "convergence", "adam", "fits", "memory", "growth", "starting"]

ABOUT = f"""# Benchmarks

Written by `make bench` on {datetime.date.today()}: {platform.machine()} ({llvm.get_host_cpu_name()}),
{torch.get_num_threads()} threads, Python {platform.python_version()}. Contenders take turns in one process.
Figures are medians, over rounds, of ratios within a round. A pass counts only after its result has agreed with float64.
"""


def part(name):
    """Measure one part: its lines."""
    function = getattr(tables, name)
    title, text = inspect.getdoc(function).split("\n", 1)
    return "\n".join([f"## {title}", text.rstrip(), "", *function()])


def main(names):
    parts = [ABOUT]
    for name in names or PARTS:
        parts.append(part(name))
        print(parts[-1], flush=True)
    if not names:
        DOCS.write_text("\n".join(parts).rstrip() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
