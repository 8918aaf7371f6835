"""A plot of the fuzzy silhouette of every row."""

from __future__ import annotations

__all__ = ["SilhouetteDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

from ..errors import InputError, Message, Setting
from ..metrics import fuzzy_silhouette, silhouette_samples
from ._axes import (
    Array,
    Style,
    as_matrix,
    average_neighbors,
    axes,
    cluster_colors,
    describe_rows,
    shown,
)
from ._colors import BACKGROUND, assign_colors, to_rgb
from ._labels import label_clusters

MAX_GAPS = 0.25  # height of all gaps between clusters, in that of their rows
MIN_SATURATION = 0.2  # fraction of a cluster's color that remains for a row with two equal largest memberships


class SilhouetteDisplay:
    """A plot of silhouette widths, sorted within each cluster, and of their weighted mean, the fuzzy silhouette.

    The weight of a row is the difference of its two largest memberships; rows of small weight are paler. Usually
    created by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    widths : ndarray of shape (n,)
        Silhouette width of each row, from -1 to 1.
    labels : ndarray of shape (n,)
        Cluster of each row.
    certainty : ndarray of shape (n,)
        Weight of each row in the mean, from 0 to 1.
    score : float
        The fuzzy silhouette.
    n_clusters : int or None
        Number of clusters k; by default the largest label plus 1.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    bars_ : list of PolyCollection, one per cluster; None for a cluster without rows.
    score_ : Line2D, dashed, at the fuzzy silhouette.
    key_ : Colorbar that explains the shades, or None

    Raises
    ------
    InputError
        If shapes don't match.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> X, resp = [[0.0], [1.0], [9.0], [10.0]], [[1, 0], [1, 0], [0, 1], [0, 1]]
    >>> display = SilhouetteDisplay.from_predictions(X, resp)
    >>> round(display.score, 3)
    0.944
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, widths: Array, labels: NDArray[np.int64], certainty: Array, score: float, n_clusters: int | None = None
    ) -> None:
        if not (widths.shape == labels.shape == certainty.shape == (len(widths),) and len(widths)):
            names = Message(Setting("widths"), ", ", Setting("labels"), " and ", Setting("certainty"))
            problem = Message(names, f" have shapes {widths.shape}, {labels.shape} and {certainty.shape}")
            raise InputError(problem, hint="give one of each for every row, (n,)")
        self.widths, self.labels, self.certainty, self.score = widths, labels, certainty, score
        self.n_clusters = int(labels.max()) + 1 if n_clusters is None else n_clusters

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        resp: Any,
        centers: Any = None,
        *,
        variant: str = "centers",
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the silhouette of given memberships.

        Parameters
        ----------
        X : array, tensor or table of shape (n, d)
            The data.
        resp : array or tensor of shape (n, k)
            Memberships in two or more clusters.
        centers : array or tensor of shape (k, d), or None
            Centers of the clusters; by default the means of X weighted by the memberships.
        variant : {"centers", "exact"}
            Distance to a cluster: that to its center, or the mean distance to its rows.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If shapes don't match, `resp` has other values than memberships, or there is only one cluster.
        """
        widths = silhouette_samples(X, resp, centers, variant=variant)
        score = fuzzy_silhouette(X, resp, centers, variant=variant)
        memberships = as_matrix(resp, "resp", "(n, k)")
        second, first = np.sort(memberships, axis=1)[:, -2:].T
        certainty = (first - second) / np.maximum(memberships.sum(axis=1), 1e-300)
        return cls(widths, memberships.argmax(axis=1), certainty, score, memberships.shape[1]).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, variant: str = "centers", ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw the silhouette of data (n, d) in the clusters of a fitted estimator; see :meth:`from_predictions`.

        Of a pipeline, distances are between rows as its estimator receives them.
        """
        what = shown(estimator, X, in_data_units=False)
        return cls.from_predictions(what.rows, what.resp, what.centers, variant=variant, ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, colors: Any = None, key: bool = True, **kwargs: Any) -> Self:
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes or None
            Axes to draw on; None creates a new figure.
        colors : k colors or None
            Colors of the clusters; by default readable for color-blind people.
        key : bool
            Whether to draw a color bar that explains the shades.
        **kwargs
            Style of the bars (``PolyCollection``).

        Raises
        ------
        InputError
            If the number of colors is not that of the clusters.
        """
        self.ax_, self.figure_ = axes(ax)
        numbers = np.arange(self.n_clusters)
        lab = cluster_colors(colors, assign_colors(np.column_stack([numbers, 0 * numbers])))
        middles, height = self._draw_bars(lab, kwargs)
        style: Style = {"color": "black", "linestyle": "--", "linewidth": 1.0}
        self.score_ = self.ax_.axvline(self.score, label=f"fuzzy silhouette {self.score:.3f}", **style)
        self.ax_.axvline(0, color="0.5", linewidth=0.8)
        self.ax_.set(xlabel="silhouette width", xlim=(min(-0.05, 1.05 * float(self.widths.min())), 1.0))
        self.ax_.spines[["top", "right", "left"]].set_visible(False)
        self.ax_.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize="small")
        self.key_ = self._draw_key() if key else None
        label_clusters(self.ax_, middles, height, numbers)
        return self

    def _draw_bars(self, lab: Array, kwargs: Style) -> tuple[Array, float]:
        """Draw the bars of each cluster; return the middles of the clusters, and the height of all."""
        ax, n = self.ax_, len(self.widths)
        gap = min(max(1.0, 0.02 * n), MAX_GAPS * n / len(lab))
        n_pixels = int(ax.get_window_extent().height)
        self.bars_: list[Any] = []
        top, ticks, max_rows_per_line = 0.0, [], 1.0
        for i, color in enumerate(lab):
            rows = self._rows_of(i)
            lines, rows_per_line = average_neighbors(rows, max(1, n_pixels * len(rows) // n))
            bars = _bars(lines, top, rows_per_line, color, kwargs) if len(rows) else None
            self.bars_.append(None if bars is None else ax.add_collection(bars))
            ticks.append(top + len(rows) / 2)
            top, max_rows_per_line = top + len(rows) + gap, max(max_rows_per_line, rows_per_line)
        ax.set(ylim=(top, -gap), ylabel=f"cluster\n({describe_rows(n, max_rows_per_line)})")
        return np.array(ticks), top

    def _rows_of(self, cluster: int) -> Array:
        """Return widths and certainties (m, 2) of the rows of a cluster, by decreasing width."""
        own = np.flatnonzero(self.labels == cluster)
        own = own[np.argsort(-self.widths[own], kind="stable")]
        return np.column_stack([self.widths[own], self.certainty[own]])

    def _draw_key(self) -> Any:
        shades = _shaded(np.linspace(0, 1, 101), np.array([0.35, 0.0, 0.0]))
        bar = ScalarMappable(cmap=ListedColormap(shades))
        key = self.figure_.colorbar(bar, ax=self.ax_, shrink=0.35, aspect=9, pad=0.02)
        key.set_ticks([0, 1], labels=["tied", "sure"])
        key.outline.set_visible(False)
        key.ax.tick_params(length=0, labelsize="small")
        return key


def _bars(lines: Array, top: float, height: float, color: Array, kwargs: Style) -> PolyCollection:
    """Return bars from `top` downward, each of the given height, for lines (m, 2) of width and certainty."""
    width, certainty = lines.T
    y = top + height * np.arange(len(lines))
    corners = [(0 * width, y), (width, y), (width, y + height), (0 * width, y + height)]
    style: Style = {"facecolors": _shaded(certainty, color), "linewidths": 0, "antialiaseds": False} | kwargs
    return PolyCollection(list(np.stack([np.column_stack(corner) for corner in corners], axis=1)), **style)


def _shaded(certainty: Array, lab: Array) -> Array:
    """Return a color as RGB (m, 3), paler for smaller certainty (m,)."""
    saturation = MIN_SATURATION + (1 - MIN_SATURATION) * certainty[:, None]
    return to_rgb(BACKGROUND + saturation * (lab - BACKGROUND))
