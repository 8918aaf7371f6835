"""The pictures of the benchmarks."""

from pathlib import Path

import matplotlib as mpl
from measure import short

mpl.use("Agg")
import matplotlib.pyplot as plt

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def draw_peers(ratios):
    """Draw how many times as long as ours an iteration of other programs takes.

    Parameters
    ----------
    ratios : dict
        {size in words: {name of the program: its time divided by ours}}.
    """
    names = list(dict.fromkeys(name for cells in ratios.values() for name in cells))
    figure, axis = plt.subplots(figsize=(8, 0.75 * len(names) + 1.2), layout="constrained")
    height = 0.8 / len(ratios)
    for i, (size, cells) in enumerate(ratios.items()):
        at = [names.index(name) + (i - (len(ratios) - 1) / 2) * height for name in cells]
        color = ("#0072b2", "#56b4e9", "#b8c4cc")[i % 3]
        values = list(cells.values())
        axis.barh(at, [value - 1 for value in values], height * 0.9, left=1, color=color, label=size)
        for y, value in zip(at, values, strict=True):
            axis.annotate(short(value), (max(value, 1), y), (4, 0), textcoords="offset points", va="center")
    axis.axvline(1, color="black", linewidth=1)
    axis.set(xscale="log", xlabel="time of an iteration, divided by that of softkmeans (logarithmic)")
    axis.set_xlim(0.3, 3 * max(max(cells.values()) for cells in ratios.values()))
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    axis.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.legend(frameon=False, loc="upper right")
    figure.savefig(IMAGES / "benchmarks-peers.png", dpi=130)
    plt.close(figure)
