"""What pictures of a temperature path share: its axis, falling to the right, and what is marked on it."""

from __future__ import annotations

__all__ = ["LINE", "draw_critical", "draw_numbers_of_clusters", "draw_temperatures"]

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._axes import Array, Style

LINE: Style = {"color": "0.6", "linewidth": 0.8, "zorder": 0}


def draw_temperatures(ax: Axes, temperatures: Array, label: str = "temperature T, falling") -> None:
    """Make x the temperature, logarithmic, as an annealing goes: from hot, on the left, to cold."""
    hot, cold = temperatures.max(), temperatures.min()
    margin = (hot / cold) ** 0.02 if hot > cold else 1.1
    ax.set(xscale="log", xlabel=label, xlim=(hot * margin, cold / margin))
    subs = (1, 2, 5) if hot / cold < 300 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)


def draw_critical(ax: Axes, temperature: float | None, *, label: bool = True) -> Any:
    """Mark the critical temperature, where the axis has it: the line, or None."""
    cold, hot = sorted(ax.get_xlim())
    if temperature is None or not cold < temperature < hot:
        return None
    if label:
        ax.text(temperature, 1.01, "$T_c$", **_above(ax))  # where nothing is drawn but numbers of clusters
    return ax.axvline(temperature, **(LINE | {"linestyle": ":", "linewidth": 1.2}))


def draw_numbers_of_clusters(ax: Axes, temperatures: Array, n_clusters: Any) -> list[Any]:
    """Write k over each stretch of the path (m,) that has as many clusters and is wide enough for it."""
    starts = np.flatnonzero(np.diff(n_clusters, prepend=-1))
    edges = [*temperatures[starts], min(ax.get_xlim())]
    texts, first = [], True
    for k, (left, right) in zip(np.asarray(n_clusters)[starts], pairwise(edges), strict=True):
        pixels = np.ptp(ax.transData.transform([(left, 0), (right, 0)])[:, 0])
        if pixels > (44 if first else 16) * ax.figure.dpi / 72:
            words = f"k = {k}" if first else str(k)
            texts.append(ax.text(float(np.sqrt(left * right)), 1.01, words, **_above(ax)))
            first = False
    return texts


def _above(ax: Axes) -> Style:
    at = ax.get_xaxis_transform()
    return {"transform": at, "ha": "center", "va": "bottom", "fontsize": "small", "color": "0.35"}
