"""Run all benchmarks and write docs/benchmarks.md, or print some sections: `python benchmarks/run.py passes fits`."""

import datetime
import platform
import sys
from pathlib import Path

import tables
import torch
from llvmlite import binding as llvm
from sections import SECTIONS

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"

HEADER = f"""# Benchmarks

Written by `make bench` on {datetime.date.today()}: {platform.machine()} ({llvm.get_host_cpu_name()}),
{torch.get_num_threads()} threads, Python {platform.python_version()}. The compared programs alternate in one process.
Figures are medians, over rounds, of ratios within a round. The result of each pass is first compared with float64.
"""


def section(name):
    """Run the benchmark of a section, and return the section as Markdown."""
    title, text = SECTIONS[name]
    return "\n".join([f"## {title}", "", text, "", *getattr(tables, name)()])


def main(names):
    """Print the named sections, or write all of them to the page."""
    page = [HEADER]
    for name in names or SECTIONS:
        page.append(section(name))
        print(page[-1], flush=True)
    if not names:
        DOCS.write_text("\n".join(page).rstrip() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
