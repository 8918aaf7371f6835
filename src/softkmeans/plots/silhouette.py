"""The fuzzy silhouette, row by row."""

from __future__ import annotations

__all__ = ["SilhouetteDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

from ..errors import InputError
from ..metrics import fuzzy_silhouette, silhouette_samples
from ._axes import Array, Style, axes, fitted, lab_of, mark_clusters, matrix, pooled, rows_drawn
from ._colors import PAPER, to_rgb

PALEST = 0.2  # of a cluster's color is left where a row is as near to another


class SilhouetteDisplay:
    """Silhouette widths, sorted in each cluster, the paler the less they count, and their weighted mean.

    A row counts as much as its likeliest cluster leads: by the difference of its two largest memberships. Usually made
    by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    widths : ndarray of shape (n,)
        Silhouette width of each row, from -1 to 1.
    labels : ndarray of shape (n,)
        Its cluster.
    certainty : ndarray of shape (n,)
        What it counts for, from 0 to 1.
    score : float
        The fuzzy silhouette.
    n_clusters : int or None
        k; by default as many as `labels` tell of.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    bars_ : list of PolyCollection, one a cluster; None for a cluster without rows.
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
            found = f"widths, labels and certainty have shapes {widths.shape}, {labels.shape} and {certainty.shape}"
            raise InputError(f"{found}; give one of each for every row, (n,)")
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
            Memberships in two clusters or more.
        centers : array or tensor of shape (k, d), or None
            The clusters' centers; by default the means of X by the memberships.
        variant : {"centers", "exact"}
            What the distance to a cluster is: that to its center, or the mean of those to its rows.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If shapes don't match, `resp` are no memberships, or there is but one cluster.
        """
        widths = silhouette_samples(X, resp, centers, variant=variant)
        score = fuzzy_silhouette(X, resp, centers, variant=variant)
        shares = matrix(resp, "resp", "(n, k)")
        second, first = np.sort(shares, axis=1)[:, -2:].T
        certainty = (first - second) / np.maximum(shares.sum(axis=1), 1e-300)
        return cls(widths, shares.argmax(axis=1), certainty, score, shares.shape[1]).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, variant: str = "centers", ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw the silhouette of data (n, d) as a fitted estimator clusters it; see :meth:`from_predictions`."""
        resp, centers = fitted(estimator, "predict_proba")(X), fitted(estimator, "cluster_centers_")
        return cls.from_predictions(X, resp, centers, variant=variant, ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, colors: Any = None, key: bool = True, **kwargs: Any) -> Self:
        """Draw and return self.

        Parameters
        ----------
        ax : Axes or None
            Where to draw; None makes a new figure.
        colors : k colors or None
            By default safe for color-blind readers.
        key : bool
            Whether to draw the bar that explains the shades.
        **kwargs
            Style of the bars (``PolyCollection``).

        Raises
        ------
        InputError
            If there is not one color for each cluster.
        """
        self.ax_, self.figure_ = axes(ax)
        lab = lab_of(colors, np.column_stack([np.arange(self.n_clusters), np.zeros(self.n_clusters)]))
        self._draw_bars(lab, kwargs)
        style: Style = {"color": "black", "linestyle": "--", "linewidth": 1.0}
        self.score_ = self.ax_.axvline(self.score, label=f"fuzzy silhouette {self.score:.3f}", **style)
        self.ax_.axvline(0, color="0.5", linewidth=0.8)
        self.ax_.set(xlabel="silhouette width", xlim=(min(-0.05, 1.05 * float(self.widths.min())), 1.0))
        self.ax_.spines[["top", "right", "left"]].set_visible(False)
        self.ax_.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize="small")
        self.key_ = self._draw_key() if key else None
        return self

    def _draw_bars(self, lab: Array, kwargs: Style) -> None:
        ax, n = self.ax_, len(self.widths)
        gap, room = max(1.0, 0.02 * n), int(ax.get_window_extent().height)
        self.bars_: list[Any] = []
        top, ticks, most = 0.0, [], 1.0
        for i, color in enumerate(lab):
            rows = self._rows_of(i)
            drawn, share = pooled(rows, max(1, room * len(rows) // n))
            self.bars_.append(ax.add_collection(_bars(drawn, top, share, color, kwargs)) if len(rows) else None)
            ticks.append(top + len(rows) / 2)
            top, most = top + len(rows) + gap, max(most, share)
        ax.set(ylim=(top, -gap), ylabel=f"cluster\n({rows_drawn(n, most)})")
        mark_clusters(ax, np.array(ticks), top, range(self.n_clusters))

    def _rows_of(self, cluster: int) -> Array:
        """Widths and certainties (m, 2) of a cluster's rows, by falling width."""
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


def _bars(drawn: Array, top: float, share: float, color: Array, kwargs: Style) -> PolyCollection:
    """Bars of width (m,) and shade (m,), `share` high each, from `top` downward."""
    width, shade = drawn.T
    y = top + share * np.arange(len(drawn))
    corners = [(0 * width, y), (width, y), (width, y + share), (0 * width, y + share)]
    style: Style = {"facecolors": _shaded(shade, color), "linewidths": 0, "antialiaseds": False} | kwargs
    return PolyCollection(list(np.stack([np.column_stack(corner) for corner in corners], axis=1)), **style)


def _shaded(certainty: Array, lab: Array) -> Array:
    return to_rgb(PAPER + (PALEST + (1 - PALEST) * certainty[:, None]) * (lab - PAPER))
