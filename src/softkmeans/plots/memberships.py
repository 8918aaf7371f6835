"""A heatmap of memberships."""

from __future__ import annotations

__all__ = ["MembershipDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from ._axes import (
    Array,
    Style,
    as_matrix,
    as_memberships,
    average_neighbors,
    axes,
    describe_rows,
    fitted_attribute,
    sequential_colormap,
)
from ._colors import PALETTE
from ._labels import label_clusters, number_columns


class MembershipDisplay:
    """A heatmap of memberships, one line per row, sorted by cluster and from certain to uncertain.

    If there are more rows than pixels, neighboring rows are averaged, and the axis label shows how many. Usually
    created by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    resp : ndarray of shape (n, k)
        Memberships.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    image_ : AxesImage of the memberships, with the drawn (perhaps averaged) rows.
    order_ : ndarray of shape (n,), the rows from top to bottom.
    separators_ : LineCollection between clusters, or None if there is only one.
    key_ : Colorbar, or None

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> display = MembershipDisplay.from_predictions([[0.6, 0.4], [0.1, 0.9], [0.8, 0.2]])
    >>> display.order_
    array([2, 0, 1])
    >>> plt.close(display.figure_)
    """

    def __init__(self, resp: Array) -> None:
        self.resp = resp

    @classmethod
    def from_predictions(cls, resp: Any, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw given memberships.

        Parameters
        ----------
        resp : array or tensor of shape (n, k)
            Memberships; rows may add up to less than 1 (noise).
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If `resp` has other values than memberships.
        """
        values = as_matrix(resp, "resp", "(n, k)")
        return cls(as_memberships(values, "resp", values.shape)).plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the memberships of data (n, d) in the clusters of a fitted estimator; see :meth:`from_predictions`."""
        return cls.from_predictions(fitted_attribute(estimator, "predict_proba")(X), ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, key: bool = True, **kwargs: Any) -> Self:
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes or None
            Axes to draw on; None creates a new figure.
        key : bool
            Whether to draw a color bar.
        **kwargs
            Style of the heatmap (``Axes.imshow``).
        """
        self.ax_, self.figure_ = axes(ax)
        n, k = self.resp.shape
        labels = self.resp.argmax(axis=1)
        self.order_ = np.lexsort((-self.resp.max(axis=1), labels))
        drawn, rows_per_line = average_neighbors(self.resp[self.order_], int(self.ax_.get_window_extent().height))
        cmap = sequential_colormap(PALETTE[0])
        style: Style = {"cmap": cmap, "vmin": 0, "vmax": 1, "interpolation": "nearest"} | kwargs
        self.image_ = self.ax_.imshow(drawn, aspect="auto", extent=(-0.5, k - 0.5, n, 0), **style)
        self.ax_.set(xlabel="cluster", ylabel=f"likeliest cluster\n({describe_rows(n, rows_per_line)})")
        self.key_ = self._draw_key() if key else None
        self._draw_clusters(np.bincount(labels, minlength=k))
        return self

    def _draw_clusters(self, sizes: Any) -> None:
        ends, nonempty = np.cumsum(sizes), np.flatnonzero(sizes)
        label_clusters(self.ax_, (ends - sizes / 2)[nonempty], len(self.resp), nonempty)
        number_columns(self.ax_, len(sizes))
        boundaries = ends[nonempty][:-1]
        style: Style = {"colors": "black", "linewidths": np.clip(12 / len(sizes), 0.25, 0.8)}
        self.separators_ = self.ax_.hlines(boundaries, -0.5, len(sizes) - 0.5, **style) if len(boundaries) else None

    def _draw_key(self) -> Any:
        key = self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.5, aspect=14, pad=0.02, label="membership")
        key.outline.set_linewidth(0.5)
        return key
