"""Memberships as a heatmap."""

from __future__ import annotations

__all__ = ["MembershipDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from ._axes import Array, Style, axes, fitted, mark_clusters, matrix, pooled, probabilities, ramp, rows_drawn
from ._colors import PALETTE


class MembershipDisplay:
    """Memberships, a row each, sorted by cluster and within it from sure to unsure.

    Usually made by :meth:`from_estimator` or :meth:`from_predictions`. Rows that are more than there are pixels for are
    averaged with their neighbors, which the axis then says.

    Parameters
    ----------
    resp : ndarray of shape (n, k)
        Memberships.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    image_ : AxesImage of the memberships, as many rows as are drawn.
    order_ : ndarray of shape (n,), the rows from top to bottom.
    separators_ : LineCollection between clusters, or None if there is but one.
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
            If `resp` are no memberships.
        """
        values = matrix(resp, "resp", "(n, k)")
        return cls(probabilities(values, "resp", values.shape)).plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the memberships that a fitted estimator gives data of shape (n, d); see :meth:`from_predictions`."""
        return cls.from_predictions(fitted(estimator, "predict_proba")(X), ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, key: bool = True, **kwargs: Any) -> Self:
        """Draw and return self.

        Parameters
        ----------
        ax : Axes or None
            Where to draw; None makes a new figure.
        key : bool
            Whether to draw the bar that explains the colors.
        **kwargs
            Style of the heatmap (``Axes.imshow``).
        """
        self.ax_, self.figure_ = axes(ax)
        n, k = self.resp.shape
        labels = self.resp.argmax(axis=1)
        self.order_ = np.lexsort((-self.resp.max(axis=1), labels))
        drawn, share = pooled(self.resp[self.order_], int(self.ax_.get_window_extent().height))
        style: Style = {"cmap": ramp(PALETTE[0]), "vmin": 0, "vmax": 1, "interpolation": "nearest"} | kwargs
        self.image_ = self.ax_.imshow(drawn, aspect="auto", extent=(-0.5, k - 0.5, n, 0), **style)
        self._draw_clusters(np.bincount(labels, minlength=k))
        self.ax_.set(xlabel="cluster", ylabel=f"likeliest cluster\n({rows_drawn(n, share)})")
        self.key_ = self._draw_key() if key else None
        return self

    def _draw_clusters(self, sizes: Any) -> None:
        ends, full = np.cumsum(sizes), np.flatnonzero(sizes)
        mark_clusters(self.ax_, (ends - sizes / 2)[full], len(self.resp), full)
        self.ax_.set_xticks(range(len(sizes)))
        self.ax_.tick_params(axis="x", length=0)
        between = ends[full][:-1]
        style: Style = {"colors": "black", "linewidths": 0.8}
        self.separators_ = self.ax_.hlines(between, -0.5, len(sizes) - 0.5, **style) if len(between) else None

    def _draw_key(self) -> Any:
        key = self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.5, aspect=14, pad=0.02, label="membership")
        key.outline.set_linewidth(0.5)
        return key
