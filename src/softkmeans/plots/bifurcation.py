"""A temperature path as a tree: how clusters come out of clusters as it gets colder."""

from __future__ import annotations

__all__ = ["BifurcationDisplay"]

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from ..errors import InputError
from ._axes import Array, Style, axes, lab_of, spaced
from ._colors import to_rgb
from ._temperature_axis import draw_critical, draw_numbers_of_clusters, draw_temperatures

LEGIBLE = 7.0  # points, of labels
THICKEST, THINNEST = 9.0, 0.7  # points, of a branch with all the mass and with hardly any
# kind of transition: what it looks like
MARKS: dict[str, Style] = {
    "split": {"marker": "o", "s": 26, "facecolors": "white", "edgecolors": "black", "linewidths": 1.0},
    "jump": {"marker": "x", "s": 30, "color": "black", "linewidths": 1.5},
    "merge": {"marker": "|", "s": 40, "color": "black", "linewidths": 1.5},
}


class BifurcationDisplay:
    """The clusters of a temperature path as a tree that branches where clusters split.

    Time runs to the right, as it gets colder. A branch is as thick as its cluster has mass, and has the mixed color of
    the last clusters that come of it, which have those of `ClusterDisplay`. Usually made by :meth:`from_path`.

    Parameters
    ----------
    temperatures : array-like of shape (m,)
        Temperature of each level, never rising.
    positions, priors, parents : sequence of m arrays of shape (k_t,)
        One coordinate of the centers at each level; the clusters' shares of the data; and the number of the cluster of
        the level before from which each came (-1 at the first level).
    transitions : iterable of (temperature, level, cluster, kind)
        Where something happened to a cluster of the level before ``level``: "split", "jump" or "merge".
    critical_temperature : float or None
        Above which there is one cluster.
    name : str
        What the coordinate is called on the axis.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    branches_ : LineCollection of the branches, one line for each cluster and level after the first.
    transitions_ : dict from "split", "jump" and "merge" to PathCollection, of kinds that there are.
    labels_ : list of Text, the numbers of the last clusters and their shares.
    critical_ : Line2D, or None
    legend_ : Legend, or None if there are no transitions.

    Raises
    ------
    InputError
        If there is no level, or shapes, temperatures or parents don't make a path.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> parents = [[-1], [0], [0, 0], [0, 1]]
    >>> positions, priors = [[0.0], [0.0], [-1.0, 1.0], [-2.0, 2.0]], [[1.0], [1.0], [0.5, 0.5], [0.5, 0.5]]
    >>> tree = BifurcationDisplay([8, 4, 2, 1], positions, priors, parents, transitions=[(3.0, 2, 0, "split")]).plot()
    >>> [label.get_text() for label in tree.labels_]
    ['0: 50 %', '1: 50 %']
    >>> plt.close(tree.figure_)
    """

    def __init__(
        self,
        temperatures: ArrayLike,
        positions: Sequence[ArrayLike],
        priors: Sequence[ArrayLike],
        parents: Sequence[ArrayLike],
        *,
        transitions: Iterable[tuple[float, int, int, str]] = (),
        critical_temperature: float | None = None,
        name: str = "position",
    ) -> None:
        self.temperatures = np.asarray(temperatures, dtype=np.float64)
        self.positions = [np.asarray(level, dtype=np.float64) for level in positions]
        self.priors = [np.asarray(level, dtype=np.float64) for level in priors]
        self.parents = [np.asarray(level, dtype=np.int64) for level in parents]
        self.transitions, self.critical_temperature, self.name = list(transitions), critical_temperature, name
        _check_levels(self)

    @classmethod
    def from_path(cls, path: Any, feature: int | None = None, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw a temperature path.

        Parameters
        ----------
        path : object
            With ``levels`` that have ``temperature``, ``centers`` (k_t, d), ``shares`` and ``parents`` (k_t,), with
            ``transitions`` and ``critical_temperature``.
        feature : int or None
            Which feature of the centers is drawn; by default the direction in which they vary most along the path.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If there is no such feature, or the path is none.
        """
        levels = path.levels
        positions, name = _along(levels, feature)
        priors, parents = [level.shares for level in levels], [level.parents for level in levels]
        transitions = [(t.temperature, t.level, t.cluster, t.kind) for t in path.transitions]
        temperatures, critical = [level.temperature for level in levels], path.critical_temperature
        tree = cls(
            temperatures, positions, priors, parents, transitions=transitions, critical_temperature=critical, name=name
        )
        return tree.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, colors: Any = None, **kwargs: Any) -> Self:
        """Draw, on a new figure if `ax` is None, and return self.

        Parameters
        ----------
        ax : Axes or None
            Where to draw.
        colors : k colors or None
            Those of the last level's clusters; by default safe for color-blind readers.
        **kwargs
            Style of the branches (``LineCollection``).

        Raises
        ------
        InputError
            If there is not one color for each cluster of the last level.
        """
        lab = lab_of(colors, np.column_stack([self.positions[-1], np.zeros(len(self.positions[-1]))]))
        self.ax_, self.figure_ = axes(ax)
        draw_temperatures(self.ax_, self.temperatures)
        self.ax_.set_ylabel(self.name)
        self.critical_ = draw_critical(self.ax_, self.critical_temperature)
        self.branches_ = self._draw_branches([_rgb(shares, lab) for shares in self._shares()], kwargs)
        self.transitions_ = {kind: self._draw_transitions(kind) for kind in MARKS if self._places(kind)}
        self.labels_ = self._draw_labels(_rgb(np.eye(len(lab)), lab))
        draw_numbers_of_clusters(self.ax_, self.temperatures, [len(level) for level in self.positions])
        self.legend_ = self._draw_legend() if self.transitions_ else None
        return self

    def _shares(self) -> list[Array]:
        """Of which last clusters (k_t, k) the clusters of each level are made."""
        shares = [np.eye(len(self.priors[-1]))]
        for priors, parents, above in zip(self.priors[:0:-1], self.parents[:0:-1], self.priors[-2::-1], strict=True):
            mixed = np.zeros((len(above), len(self.priors[-1])))
            np.add.at(mixed, parents, np.maximum(priors, 1e-12)[:, None] * shares[0])
            shares.insert(0, mixed / np.maximum(mixed.sum(axis=1, keepdims=True), 1e-300))
        return shares

    def _draw_branches(self, rgb: list[Array], kwargs: Style) -> Any:
        turns = {(level, cluster): t for t, level, cluster, _ in sorted(self.transitions, key=lambda found: found[0])}
        lines, widths, colors = [], [], []
        for i in range(1, len(self.temperatures)):
            hot, cold = self.temperatures[i - 1 : i + 1]
            for child, parent in enumerate(self.parents[i]):
                turn = np.clip(turns.get((i, parent), hot), cold, hot)  # where it leaves its parent
                before, after = self.positions[i - 1][parent], self.positions[i][child]
                lines.append([(hot, before), (turn, before), (cold, after)])
                widths.append(max(THINNEST, THICKEST * self.priors[i][child]))
                colors.append(rgb[i][child])
        style: Style = {"linewidths": widths, "colors": colors, "capstyle": "round", "zorder": 1} | kwargs
        branches = self.ax_.add_collection(LineCollection(lines, **style))
        self.ax_.autoscale_view(scalex=False)
        return branches

    def _places(self, kind: str) -> list[tuple[float, float]]:
        # What led to the first level is not on the picture.
        found = [transition for transition in self.transitions if transition[3] == kind and transition[1] > 0]
        return [(t, float(self.positions[level - 1][cluster])) for t, level, cluster, _ in found]

    def _draw_transitions(self, kind: str) -> Any:
        return self.ax_.scatter(*np.transpose(self._places(kind)), zorder=3, **MARKS[kind])

    def _draw_labels(self, rgb: Array) -> list[Any]:
        """Write numbers and shares of the last clusters beside their branches, apart from each other.

        Where they are too many to be read in one column, they are the numbers alone, in two.
        """
        ax, k = self.ax_, len(rgb)
        height = 0.85 * ax.get_window_extent().height * 72 / ax.figure.dpi  # points; labels will take some
        columns = 1 if 1.25 * LEGIBLE * k <= height else 2
        font = float(np.clip(columns * height / k / 1.25, 4.5, 9))
        ends = np.column_stack([np.full(k, self.temperatures[-1]), self.positions[-1]])
        across = ax.transAxes.inverted().transform(ax.transData.transform(ends))[:, 1]
        places = spaced(across, 1.25 * font / height / columns)
        x = 1.03 + 0.06 * (np.argsort(np.argsort(places)) % columns)
        arrow = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        style: Style = {"textcoords": "axes fraction", "va": "center_baseline", "fontsize": font, "arrowprops": arrow}
        texts = _with_shares(self.priors[-1]) if columns == 1 else [str(i) for i in range(k)]
        drawn = zip(texts, ends, np.column_stack([x, places]), 0.8 * rgb, strict=True)
        return [ax.annotate(text, end, place, color=color, **style) for text, end, place, color in drawn]

    def _draw_legend(self) -> Any:
        width = Line2D([], [], color="0.7", linewidth=THICKEST / 4, solid_capstyle="round")
        handles = [*self.transitions_.values(), width]
        # below the axis and its label: a tree leaves no corner free for certain
        below = self.ax_.transAxes + ScaledTranslation(0, -36 / 72, self.figure_.dpi_scale_trans)
        style: Style = {"frameon": False, "fontsize": "small", "ncols": len(handles), "borderaxespad": 0}
        names = [*self.transitions_, "25 % of the mass"]
        return self.ax_.legend(
            handles, names, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, **style
        )


def _check_levels(tree: BifurcationDisplay) -> None:
    t, levels = tree.temperatures, (tree.positions, tree.priors, tree.parents)
    if t.ndim != 1 or not len(t) or {len(level) for level in levels} != {len(t)}:
        found = f"{t.shape} temperatures came with {[len(level) for level in levels]} levels"
        raise InputError(f"{found} of positions, masses and parents; give as many of each, one or more")
    if not (np.isfinite(t).all() and (t > 0).all() and (np.diff(t) <= 0).all()):
        raise InputError("temperatures came that rise from level to level or are not above 0; sort them, hottest first")
    sizes = [len(level) for level in tree.positions]
    for i, (size, priors, parents) in enumerate(zip(sizes, tree.priors, tree.parents, strict=True)):
        before = 0 if i == 0 else sizes[i - 1]
        if {priors.shape, parents.shape} != {(size,)} or (i and not ((parents >= 0) & (parents < before)).all()):
            came = f"level {i} has {size} clusters, masses of shape {priors.shape} and parents {parents.tolist()}"
            raise InputError(f"{came}, expected one each, parents from 0 to {before - 1}; give a path as it was found")


def _along(levels: Sequence[Any], feature: int | None) -> tuple[list[Array], str]:
    """One coordinate of the centers of each level, and its name."""
    d = levels[0].centers.shape[1]
    if feature is not None:
        if not 0 <= feature < d:
            raise InputError(f"feature={feature!r} came for centers of {d} features; give a number from 0 to {d - 1}")
        return [level.centers[:, feature] for level in levels], f"centers, feature {feature}"
    if d == 1:
        return [level.centers[:, 0] for level in levels], "centers"
    every, mass = np.concatenate([level.centers for level in levels]), np.concatenate([v.shares for v in levels])
    mean = np.average(every, axis=0, weights=mass)
    axis = np.linalg.eigh(np.cov((every - mean).T, aweights=mass, bias=True))[1][:, -1]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])  # of two directions, the same in every run
    return [(level.centers - mean) @ axis for level in levels], "centers, first principal axis"


def _with_shares(shares: Array) -> list[str]:
    digits = 0 if shares.min() >= 0.01 else 1
    return [f"{i}: {100 * share:.{digits}f} %" for i, share in enumerate(shares)]


def _rgb(shares: Array, lab: Array) -> Array:
    """Mix the colors of clusters; gray for what left no trace."""
    gray = (1 - shares.sum(axis=1, keepdims=True)) * np.array([0.7, 0.0, 0.0])
    return to_rgb(shares @ lab + gray)
