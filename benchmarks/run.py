"""Run all benchmarks and write docs/benchmarks.md: `python benchmarks/run.py`.

`python benchmarks/run.py passes fits` prints some sections, and with `--update` it writes them to the page.
"""

import argparse
import datetime
import platform
import re
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


def with_sections(page, sections):
    """Return the page with new sections, in their order, each of which says when it was written, and where."""
    parts = {text.splitlines()[0]: text for text in re.split(r"^(?=## )", page, flags=re.MULTILINE)}
    header, *_ = parts.values()
    for text in sections:
        title, rest = text.rstrip().split("\n", 1)
        parts[title] = f"{title}\n\n*Measured on {datetime.date.today()} ({llvm.get_host_cpu_name()}).*\n{rest}\n"
    titles = [f"## {title}" for title, _ in SECTIONS.values()]
    bodies = [parts[title].rstrip() for title in titles if title in parts]
    return "\n\n".join([header.rstrip(), *bodies]) + "\n"


def main():
    """Print the named sections, or write all of them, or the named ones, to the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SECTIONS], metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--update", action="store_true", help="write the named sections to the page")
    options = parser.parse_args()
    sections = []
    for name in options.names or SECTIONS:
        sections.append(section(name))
        print(sections[-1], flush=True)
    if options.update and options.names:
        DOCS.write_text(with_sections(DOCS.read_text(), sections))
    elif not options.names:
        DOCS.write_text("\n\n".join(part.rstrip() for part in (HEADER, *sections)) + "\n")


if __name__ == "__main__":
    main()
