"""The temperature axis shared by plots of annealing paths, falling to the right, and its annotations."""

from __future__ import annotations

__all__ = ["draw_critical", "draw_numbers_of_clusters", "draw_temperatures"]

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._axes import Array, Style

LINE_STYLE: Style = {"color": "0.6", "linewidth": 0.8, "zorder": 0}


def draw_temperatures(ax: Axes, temperatures: Array, label: str = "temperature T, falling") -> None:
    """Set up x as a logarithmic temperature axis, from hot on the left to cold on the right."""
    hot, cold = temperatures.max(), temperatures.min()
    margin = (hot / cold) ** 0.02 if hot > cold else 1.1
    ax.set(xscale="log", xlabel=label, xlim=(hot * margin, cold / margin))
    subs = (1, 2, 5) if hot / cold < 300 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)


def draw_critical(ax: Axes, temperature: float | None, *, label: bool = True) -> Any:
    """Mark the critical temperature; return the line, or None if it is outside of the axis."""
    cold, hot = sorted(ax.get_xlim())
    if temperature is None or not cold < temperature < hot:
        return None
    if label:
        ax.text(temperature, 1.01, "$T_c$", **_above(ax))  # above the axis, as inside it might cover a curve
    return ax.axvline(temperature, **(LINE_STYLE | {"linestyle": ":", "linewidth": 1.2}))


def draw_numbers_of_clusters(ax: Axes, temperatures: Array, n_clusters: Any, critical: float | None) -> list[Any]:
    """Write the number of clusters k above each part of the path (m,) with constant k that is wide enough.

    Numbers that the mark of the critical temperature would cover are left out.
    """
    starts = np.flatnonzero(np.diff(n_clusters, prepend=-1))
    edges = [*temperatures[starts], min(ax.get_xlim())]
    texts, first = [], True
    for k, (left, right) in zip(np.asarray(n_clusters)[starts], pairwise(edges), strict=True):
        middle = float(np.sqrt(left * right))
        ends = ax.transData.transform([(left, 0), (right, 0), (middle, 0), (critical or middle, 0)])[:, 0]
        wide = (44 if first else 16) * ax.figure.dpi / 72
        is_covered = critical is not None and abs(ends[2] - ends[3]) < 0.75 * wide
        if abs(ends[1] - ends[0]) > wide and not is_covered:
            label = f"k = {k}" if first else str(k)
            texts.append(ax.text(middle, 1.01, label, **_above(ax)))
            first = False
    return texts


def _above(ax: Axes) -> Style:
    """Return the style of text above the axes, at x in data coordinates."""
    return {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom", "fontsize": "small", "color": "0.35"}
