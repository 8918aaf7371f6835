"""Measure everything and write docs/benchmarks.md, or only print some parts: `python benchmarks/run.py passes fits`."""

import datetime
import platform
import sys
from pathlib import Path

import tables
import torch
from llvmlite import binding as llvm

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"

PARTS = {
    "machine": (
        "The floor",
        "A dense pass makes two matrix products, n k exponentials, and reads the rows once. No arithmetic in float32 does "
        "it faster than at these rates; sgemm shows what a BLAS reaches on such shapes.",
    ),
    "passes": (
        "A soft pass beside a hard one",
        "`softkmeans.accumulate(x, c, T)`, float32, beside scikit-learn's *hard* Lloyd iteration and faiss'. *Dense*: T at "
        "which a row is spread over half of the clusters, so that nothing can be skipped. *Sparse*: blobs at least 6 σ "
        "apart, T = 2 σ². Above 1, the soft pass is the quicker one. *Of the floor*: the least time that this machine "
        "needs, over what the dense pass took.",
    ),
    "soft": (
        "A pass beside other soft clusterings",
        "How many times longer they take for one iteration of the same dense work.",
    ),
    "convergence": (
        "Fewer passes",
        "Passes until the objective is no more than 10⁻⁶ E above the end, from the same start, beside those of plain EM, "
        "on blobs (2 to 64 features, from well apart to overlapping) and scikit-learn's own data sets, T fixed and learned.",
    ),
    "adam": ("Beside Adam", "Whole fits from the same start to the same free energy (within 10⁻⁵ E)."),
    "fits": (
        "Whole fits",
        "`SoftKMeans(k, temperature=1e-6)` beside `KMeans(k, n_init=1)`, seeding included, each to its own end, on separated "
        "blobs; above 1, ours is the quicker one. faiss makes 25 passes from random rows. `growing_sample=True` with "
        '`init="k-means||"` is our answer to that.',
    ),
    "memory": ("Memory", "Beside the data, at most, after a smaller call has loaded everything."),
    "growth": ("Growth", "A pass, float32."),
}


def main(names):
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {datetime.date.today()}, {platform.processor() or platform.machine()} "
        f"({llvm.get_host_cpu_name()}), {torch.get_num_threads()} threads, Python {platform.python_version()}. Contenders "
        "take turns in one process, and figures are medians over rounds of ratios within a round; a pass counts only after "
        "its result agreed with float64.",
        "",
    ]
    for name in names or PARTS:
        title, about = PARTS[name]
        part = [f"## {title}", "", about, "", *getattr(tables, name)()]
        print("\n".join(part), flush=True)
        lines += part
    if not names:
        DOCS.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
