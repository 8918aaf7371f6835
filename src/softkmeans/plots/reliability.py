"""A reliability diagram of memberships."""

from __future__ import annotations

__all__ = ["ReliabilityDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..errors import InputError, Message, Setting
from ..metrics import reliability
from ._axes import Style, axes
from ._colors import PALETTE

MAX_MARKER_AREA = 260.0  # square typographic points, for a bin with all rows


class ReliabilityDisplay:
    """A reliability diagram: the observed frequency of the predicted cluster against its predicted membership.

    On the diagonal, memberships are calibrated; below it they are overconfident. The area of a marker grows with the
    number of rows in its bin. Usually created by :meth:`from_predictions`.

    Parameters
    ----------
    stated, frequency, weight : array-like of shape (b,)
        For each bin, the mean predicted membership, the observed frequency, and the weight of its rows.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    points_ : PathCollection, one marker per bin.
    gaps_ : LineCollection from the markers to the diagonal.
    diagonal_ : Line2D
    error : float
        The expected calibration error, the weighted mean length of the gaps; it is shown in the legend.

    Raises
    ------
    InputError
        If shapes don't match, or there is no weight.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> display = ReliabilityDisplay([0.6, 0.9], [0.5, 1.0], [2, 3]).plot()
    >>> round(display.error, 3)
    0.1
    >>> plt.close(display.figure_)
    """

    def __init__(self, stated: ArrayLike, frequency: ArrayLike, weight: ArrayLike) -> None:
        columns = [np.asarray(column, dtype=np.float64) for column in (stated, frequency, weight)]
        shapes = [column.shape for column in columns]
        if len(set(shapes)) > 1 or columns[0].ndim != 1 or not columns[2].sum() > 0:
            names = Message(Setting("stated"), ", ", Setting("frequency"), " and ", Setting("weight"))
            problem = Message(names, f" have shapes {shapes} and the total weight is {columns[2].sum():g}")
            raise InputError(problem, expected="(b,) and more than 0", hint="give one of each per bin")
        self.stated, self.frequency, self.weight = columns
        self.error = float(np.average(np.abs(self.stated - self.frequency), weights=self.weight))

    @classmethod
    def from_predictions(
        cls, resp: Any, labels: Any, *, n_bins: int = 10, ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw memberships of shape (n, k) against the true classes (n,), given as column numbers.

        Parameters
        ----------
        resp, labels, n_bins
            As in `softkmeans.metrics.reliability`, which raises an InputError if they are invalid. Its example shows
            how to match clusters with classes.
        ax, **kwargs
            Passed to :meth:`plot`.
        """
        bins = reliability(resp, labels, n_bins=n_bins)
        return cls(bins.stated, bins.frequency, bins.weight).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure and return self; `kwargs` are the style of the markers (``Axes.scatter``)."""
        self.ax_, self.figure_ = axes(ax, (4.4, 4.2))
        (self.diagonal_,) = self.ax_.plot(
            [0, 1], [0, 1], "--", color="0.6", linewidth=1.0, zorder=0, label="perfect calibration"
        )
        gaps: Style = {
            "colors": PALETTE[3],
            "linewidths": 1.2,
            "zorder": 1,
            "label": f"expected calibration error {self.error:.3f}",
        }
        self.gaps_ = self.ax_.vlines(self.stated, self.frequency, self.stated, **gaps)
        style: Style = {
            "s": 12 + MAX_MARKER_AREA * self.weight / self.weight.sum(),
            "color": PALETTE[0],
            "zorder": 2,
            "clip_on": False,
        }
        self.points_ = self.ax_.scatter(self.stated, self.frequency, **({"linewidths": 0} | style | kwargs))
        low = min(0.5, 0.95 * float(min(self.stated.min(), self.frequency.min())))
        low = 0.0 if low < 0.3 else low
        self.ax_.set(xlabel="predicted membership", ylabel="observed frequency", xlim=(low, 1.02), ylim=(low, 1.02))
        self.ax_.set_aspect("equal")
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False, fontsize="small", loc="upper left")
        return self
