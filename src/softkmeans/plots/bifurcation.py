"""An annealing path as a tree whose branches are clusters, which split as the temperature falls."""

from __future__ import annotations

__all__ = ["BifurcationDisplay"]

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, Message, Setting
from ._axes import Array, Style, axes, cluster_colors
from ._colors import color_graph, to_rgb
from ._labels import settle_layout, space_out
from ._temperature_axis import draw_critical, draw_numbers_of_clusters, draw_temperatures

MIN_ONE_COLUMN_FONT_SIZE = 7.0  # typographic points; labels that would be smaller are put in two columns
MAX_BRANCH_WIDTH = 9.0  # typographic points, for a cluster with all of the weight
MIN_BRANCH_WIDTH = 0.7  # typographic points, for a cluster with hardly any
WITHOUT_HEIR = np.array([0.7, 0.0, 0.0])  # gray in OKLab
# marker styles by kind of transition
MARKERS: dict[str, Style] = {
    "split": {"marker": "o", "s": 26, "facecolors": "white", "edgecolors": "black", "linewidths": 1.0},
    "jump": {"marker": "x", "s": 30, "color": "black", "linewidths": 1.5},
    "merge": {"marker": "|", "s": 40, "color": "black", "linewidths": 1.5},
}


class BifurcationDisplay:
    """A plot of an annealing path as a tree that branches where clusters split.

    The temperature falls to the right. The width of a branch is proportional to the weight of its cluster. A branch has
    the color of the heaviest cluster of the last level that descends from it, so at a split the heavier part keeps its
    color; it is gray if there is none. Colors of branches that are side by side or split from each other differ, also
    for color-blind readers. Usually created by :meth:`from_path`.

    Parameters
    ----------
    temperatures : array-like of shape (m,)
        Temperature of each level, never rising.
    positions, weights, parents : sequence of m arrays of shape (k_t,)
        For each level, one coordinate of the centers; the clusters' fractions of the total weight; and the parent of
        each cluster, as its number in the previous level (-1 at the first level).
    transitions : iterable of (temperature, level, cluster, kind)
        Events of kind "split", "jump" or "merge", and the cluster of the level before ``level`` that they concern.
    critical_temperature : float or None
        The temperature above which there is one cluster.
    name : str
        Name of the coordinate, for the axis label.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    branches_ : LineCollection of the branches, one line for each cluster and level after the first.
    transitions_ : dict from "split", "jump" and "merge" to PathCollection, for the kinds that occur.
    labels_ : list of Text, the numbers of the last clusters and their fractions of the weight.
    critical_ : Line2D, or None
    legend_ : Legend, or None if there are no transitions.

    Raises
    ------
    InputError
        If there is no level, or shapes, temperatures or parents are inconsistent.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> parents = [[-1], [0], [0, 0], [0, 1]]
    >>> positions, weights = [[0.0], [0.0], [-1.0, 1.0], [-2.0, 2.0]], [[1.0], [1.0], [0.5, 0.5], [0.5, 0.5]]
    >>> tree = BifurcationDisplay([8, 4, 2, 1], positions, weights, parents, transitions=[(3.0, 2, 0, "split")]).plot()
    >>> [label.get_text() for label in tree.labels_]
    ['0: 50 %', '1: 50 %']
    >>> plt.close(tree.figure_)
    """

    def __init__(
        self,
        temperatures: ArrayLike,
        positions: Sequence[ArrayLike],
        weights: Sequence[ArrayLike],
        parents: Sequence[ArrayLike],
        *,
        transitions: Iterable[tuple[float, int, int, str]] = (),
        critical_temperature: float | None = None,
        name: str = "position",
    ) -> None:
        self.temperatures = np.asarray(temperatures, dtype=np.float64)
        self.positions = [np.asarray(level, dtype=np.float64) for level in positions]
        self.weights = [np.asarray(level, dtype=np.float64) for level in weights]
        self.parents = [np.asarray(level, dtype=np.int64) for level in parents]
        self.transitions, self.critical_temperature, self.name = list(transitions), critical_temperature, name
        _check_levels(self)

    @classmethod
    def from_path(cls, path: Any, feature: int | None = None, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw an annealing path.

        Parameters
        ----------
        path : object
            An `AnnealingPath`, or an object with ``levels``, ``transitions`` and ``critical_temperature`` like it. Each
            level has ``temperature``, ``centers`` (k_t, d), ``weights`` and ``parents`` (k_t,).
        feature : int or None
            Feature of the centers to draw; by default the direction in which they vary most along the path.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If the feature does not exist, or the path is invalid.
        """
        levels = path.levels
        positions, name = _center_positions(levels, feature)
        weights, parents = [level.weights for level in levels], [level.parents for level in levels]
        transitions = [(t.temperature, t.level, t.cluster, t.kind) for t in path.transitions]
        temperatures, critical = [level.temperature for level in levels], path.critical_temperature
        tree = cls(
            temperatures, positions, weights, parents, transitions=transitions, critical_temperature=critical, name=name
        )
        return tree.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, colors: Any = None, **kwargs: Any) -> Self:
        """Draw the tree and return self.

        Parameters
        ----------
        ax : Axes or None
            Axes to draw on; None creates a new figure.
        colors : k colors or None
            Colors of the clusters of the last level; by default readable for color-blind people.
        **kwargs
            Style of the branches (``LineCollection``).

        Raises
        ------
        InputError
            If the number of colors is not that of the clusters of the last level.
        """
        heirs = self._heirs()
        gaps = np.abs(np.subtract.outer(self.positions[-1], self.positions[-1]))
        lab = cluster_colors(colors, color_graph(self._neighbors(heirs), gaps))
        rgb = to_rgb(np.vstack([lab, WITHOUT_HEIR]))  # the last color is that of heir -1
        self.ax_, self.figure_ = axes(ax)
        draw_temperatures(self.ax_, self.temperatures)
        self.ax_.set_ylabel(self.name)
        self.critical_ = draw_critical(self.ax_, self.critical_temperature)
        self.branches_ = self._draw_branches([rgb[level] for level in heirs], kwargs)
        self.transitions_ = {kind: self._draw_transitions(kind) for kind in MARKERS if self._transition_positions(kind)}
        k = [len(level) for level in self.positions]
        draw_numbers_of_clusters(self.ax_, self.temperatures, k, self.critical_temperature)
        self.legend_ = self._draw_legend() if self.transitions_ else None
        self.labels_ = self._draw_labels(rgb[:-1])
        return self

    def _heirs(self) -> list[NDArray[np.int64]]:
        """Return, for each level, the heaviest descendants (k_t,) in the last level; -1 for clusters without any."""
        last = self.weights[-1]
        heirs = [np.arange(len(last))]
        for parents, above in zip(self.parents[:0:-1], self.weights[-2::-1], strict=True):
            heir = np.full(len(above), -1)
            own = np.flatnonzero(heirs[0] >= 0)
            lightest_first = own[np.argsort(last[heirs[0][own]], kind="stable")]
            heir[parents[lightest_first]] = heirs[0][lightest_first]  # the heaviest is written last
            heirs.insert(0, heir)
        return heirs

    def _neighbors(self, heirs: list[NDArray[np.int64]]) -> list[set[int]]:
        """Return, for each cluster of the last level, those whose branches are next to its own or split from it."""
        neighbors: list[set[int]] = [set() for _ in self.positions[-1]]
        for heir, position, parent in zip(heirs, self.positions, self.parents, strict=True):
            by_family = np.lexsort((position, parent))
            siblings = [(i, j) for i, j in pairwise(by_family) if parent[i] == parent[j]]
            pairs = [*pairwise(np.argsort(position, kind="stable")), *siblings]
            for one, other in heir[np.array(pairs, dtype=np.int64)].reshape(-1, 2).tolist():
                if min(one, other) >= 0 and one != other:
                    neighbors[one].add(other)
                    neighbors[other].add(one)
        return neighbors

    def _draw_branches(self, rgb: list[Array], kwargs: Style) -> Any:
        by_temperature = sorted(self.transitions, key=lambda transition: transition[0])
        branch_temperatures = {(level, cluster): t for t, level, cluster, _ in by_temperature}
        lines, widths, colors = [], [], []
        for i in range(1, len(self.temperatures)):
            hot, cold = self.temperatures[i - 1 : i + 1]
            for child, parent in enumerate(self.parents[i]):
                # the temperature at which the child leaves its parent
                turn = np.clip(branch_temperatures.get((i, parent), hot), cold, hot)
                before, after = self.positions[i - 1][parent], self.positions[i][child]
                lines.append([(hot, before), (turn, before), (cold, after)])
                widths.append(max(MIN_BRANCH_WIDTH, MAX_BRANCH_WIDTH * self.weights[i][child]))
                colors.append(rgb[i][child])
        style: Style = {"linewidths": widths, "colors": colors, "capstyle": "round", "zorder": 1} | kwargs
        branches = self.ax_.add_collection(LineCollection(lines, **style))
        self.ax_.autoscale_view(scalex=False)
        return branches

    def _transition_positions(self, kind: str) -> list[tuple[float, float]]:
        """Return temperature and coordinate of the transitions of a kind."""
        # transitions before the first level are outside of the axes
        transitions = [transition for transition in self.transitions if transition[3] == kind and transition[1] > 0]
        return [(t, float(self.positions[level - 1][cluster])) for t, level, cluster, _ in transitions]

    def _draw_transitions(self, kind: str) -> Any:
        return self.ax_.scatter(*np.transpose(self._transition_positions(kind)), zorder=3, **MARKERS[kind])

    def _draw_labels(self, rgb: Array) -> list[Any]:
        """Label the last clusters beside their branches by number and fraction of the weight, without overlaps.

        Too many labels for one column are written in two, and have the number only.
        """
        ax, k = self.ax_, len(rgb)
        settle_layout(ax)
        height = ax.get_window_extent().height * 72 / ax.figure.dpi  # typographic points
        columns = 1 if 1.25 * MIN_ONE_COLUMN_FONT_SIZE * k <= height else 2
        font = float(np.clip(columns * height / k / 1.25, 4.5, 9))
        ends = np.column_stack([np.full(k, self.temperatures[-1]), self.positions[-1]])
        heights = ax.transAxes.inverted().transform(ax.transData.transform(ends))[:, 1]
        spaced = space_out(heights, 1.25 * font / height / columns)
        x = 1.03 + 0.06 * (np.argsort(np.argsort(spaced)) % columns)
        arrow = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        style: Style = {"textcoords": "axes fraction", "va": "center_baseline", "fontsize": font, "arrowprops": arrow}
        texts = _labels_with_percentages(self.weights[-1]) if columns == 1 else [str(i) for i in range(k)]
        labels = zip(texts, ends, np.column_stack([x, spaced]), 0.8 * rgb, strict=True)
        return [ax.annotate(text, end, position, color=color, **style) for text, end, position, color in labels]

    def _draw_legend(self) -> Any:
        width = Line2D([], [], color="0.7", linewidth=MAX_BRANCH_WIDTH / 4, solid_capstyle="round")
        handles = [*self.transitions_.values(), width]
        # below the axis and its label, as a tree may cover every corner of the axes
        below = self.ax_.transAxes + ScaledTranslation(0, -36 / 72, self.figure_.dpi_scale_trans)
        style: Style = {"frameon": False, "fontsize": "small", "ncols": len(handles), "borderaxespad": 0}
        names = [*self.transitions_, "25 % of the weight"]
        return self.ax_.legend(
            handles, names, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, **style
        )


def _check_levels(tree: BifurcationDisplay) -> None:
    """Raise an InputError unless temperatures, positions, weights and parents are those of a path."""
    t, levels = tree.temperatures, (tree.positions, tree.weights, tree.parents)
    if t.ndim != 1 or not len(t) or {len(level) for level in levels} != {len(t)}:
        n_levels = [len(level) for level in levels]
        others = Message(Setting("positions"), ", ", Setting("weights"), " and ", Setting("parents"))
        lengths = Message(f"has shape {t.shape} and ", others, f" have {n_levels} levels")
        raise InputError(lengths, parameter="temperatures", hint="give as many of each, one or more")
    if not (np.isfinite(t).all() and (t > 0).all() and (np.diff(t) <= 0).all()):
        problem, hint = "must be finite, above 0 and never rise", "sort the levels, highest temperature first"
        raise InputError(problem, parameter="temperatures", hint=hint)
    sizes = [len(level) for level in tree.positions]
    for i, (size, weights, parents) in enumerate(zip(sizes, tree.weights, tree.parents, strict=True)):
        before = 0 if i == 0 else sizes[i - 1]
        if {weights.shape, parents.shape} != {(size,)} or (i and not ((parents >= 0) & (parents < before)).all()):
            problem = f"level {i} has {size} clusters, weights of shape {weights.shape} and parents {parents.tolist()}"
            expected = f"one per cluster, parents from 0 to {before - 1}"
            raise InputError(problem, expected=expected, hint="give a valid path")


def _center_positions(levels: Sequence[Any], feature: int | None) -> tuple[list[Array], str]:
    """Return one coordinate of the centers of each level, and its name."""
    d = levels[0].centers.shape[1]
    if feature is not None:
        if not 0 <= feature < d:
            problem, hint = f"with centers of {d} features", f"give a number from 0 to {d - 1}"
            raise InputError(problem, parameter="feature", value=feature, hint=hint)
        return [level.centers[:, feature] for level in levels], f"centers, feature {feature}"
    if d == 1:
        return [level.centers[:, 0] for level in levels], "centers"
    centers = np.concatenate([level.centers for level in levels])
    weights = np.concatenate([level.weights for level in levels])
    mean = np.average(centers, axis=0, weights=weights)
    axis = np.linalg.eigh(np.cov((centers - mean).T, aweights=weights, bias=True))[1][:, -1]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])  # an eigenvector has no sign, so choose one
    return [(level.centers - mean) @ axis for level in levels], "centers, first principal axis"


def _labels_with_percentages(fractions: Array) -> list[str]:
    """Return labels of clusters with their numbers and fractions of the weight."""
    digits = 0 if fractions.min() >= 0.01 else 1
    return [f"{i}: {100 * fraction:.{digits}f} %" for i, fraction in enumerate(fractions)]
