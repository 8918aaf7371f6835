"""Names and numbers of a picture that fit into it: positions, line breaks, and which of many are shown."""

from __future__ import annotations

__all__ = ["label_clusters", "name_axis", "number_columns", "settle_layout", "shorten", "space_out"]

import math
import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.text import Text
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from .._utils.text import printable
from ._axes import Array

MIN_LINE = 8  # characters of a line of a label, at least


def space_out(values: Array, gap: float) -> NDArray[np.float64]:
    """Return numbers from 0 to 1, moved as little as possible (least squares) until they differ by a gap."""
    gap = min(gap, 1 / max(len(values) - 1, 1))
    order, steps = np.argsort(values, kind="stable"), gap * np.arange(len(values))
    positions = np.empty(len(values))
    positions[order] = np.clip(isotonic_regression(values[order] - steps), 0, max(0.0, 1 - steps[-1])) + steps
    return positions


def settle_layout(ax: Axes) -> None:
    """Compute the layout of the figure, so that positions in pixels are those of the finished picture."""
    figure: Any = ax.figure.figure  # of a subfigure, the whole
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    ax.apply_aspect()


def name_axis(axis: XAxis | YAxis, name: str) -> None:
    """Label an axis with a name of the data: as text without formulas, in at most two lines as long as the axis."""
    ax: Any = axis.axes
    settle_layout(ax)
    room = axis.axis_name == "x"
    box = ax.get_window_extent()
    room = box.width if axis.axis_name == "x" else box.height
    axis.set_label_text(_in_two_lines(axis.label, printable(name), room), parse_math=False)


def _in_two_lines(label: Text, text: str, room: float) -> str:
    """Return a text in one or two lines of a label that are at most `room` pixels long; the rest is left out."""

    def length(line: str) -> float:
        label.set(text=line, parse_math=False)
        box = label.get_window_extent()
        return max(box.width, box.height)  # labels may be turned

    n, lines = len(text), [text]
    while n > MIN_LINE and max(map(length, lines)) > room:
        n = int(0.95 * min(n, len(text)))
        lines = textwrap.wrap(text, n, max_lines=2, placeholder="…") or [text]
    return "\n".join(lines)


def shorten(text: str, length: int) -> str:
    """Return a text with its middle left out if it is longer; names often differ at the end."""
    end = length // 3
    return text if len(text) <= length else f"{text[: length - end - 1]}…{text[-end:]}"


def number_columns(ax: Axes, k: int) -> None:
    """Write the numbers of k clusters below columns 0 to k - 1; every second, third, ... one where all have no room."""
    widest = 1.3 * len(str(k - 1)) * 0.65 * _points(plt.rcParams["xtick.labelsize"])
    room = ax.get_window_extent().width / ax.figure.dpi * 72 / k
    step = math.ceil(widest / room)
    ax.set_xticks(range(0, k, step), labels=[str(i) for i in range(0, k, step)])
    ax.tick_params(axis="x", length=0)


def _points(size: Any) -> float:
    """Return a size of text, such as "medium", in typographic points."""
    return font_manager.FontProperties(size=size).get_size_in_points()


def label_clusters(ax: Axes, middles: Array, height: float, numbers: Any) -> None:
    """Label clusters by their numbers beside their rows, which extend from 0 down to `height`.

    Labels of thin clusters are moved apart so that they do not overlap. If there is no room for all, only every second
    label is drawn, or every third, and so on. All else is drawn before, as the layout decides on the room.
    """
    settle_layout(ax)
    gap = 1.4 * _points(plt.rcParams["ytick.labelsize"]) / 72 * ax.figure.dpi / ax.get_window_extent().height
    step = max(1, math.ceil(len(middles) * gap))
    positions, numbers = middles[::step] / height, list(numbers)[::step]
    ax.set_yticks(height * space_out(positions, gap), labels=[str(i) for i in numbers])
    ax.tick_params(axis="y", length=0)
