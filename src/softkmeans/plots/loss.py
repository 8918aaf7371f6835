"""The loss over the steps of a fit."""

from __future__ import annotations

__all__ = ["LossDisplay"]

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, MaxNLocator
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from ..errors import InputError, Message, Setting
from ._axes import Style, axes, fitted_attribute
from ._colors import PALETTE


class LossDisplay:
    """A plot of the loss over the steps, with its last value marked.

    Parameters
    ----------
    steps, losses : array-like of shape (m,)
        Step numbers and the loss at each step; losses that are not finite are not drawn.
    name : str
        Name of the loss, for the axis label.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    line_, last_ : Line2D of the curve and Annotation of its last value.

    Raises
    ------
    InputError
        If shapes don't match or there is nothing to draw.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> display = LossDisplay([0, 1, 2], [5.0, 3.0, 2.5], name="free energy").plot()
    >>> display.ax_.get_ylabel(), display.last_.get_text()
    ('free energy', '2.5')
    >>> plt.close(display.figure_)
    """

    def __init__(self, steps: ArrayLike, losses: ArrayLike, *, name: str = "loss per row") -> None:
        numbers, values = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
        if numbers.shape != values.shape or numbers.ndim != 1:
            problem = Message(f"has shape {numbers.shape} and ", Setting("losses"), f" {values.shape}")
            hint = "give one step for each loss"
            raise InputError(problem, parameter="steps", expected="equal shapes (m,)", hint=hint)
        if not np.isfinite(values).any():
            hint = "give the history of a fit"
            raise InputError(f"has {len(values)} values, none of them finite", parameter="losses", hint=hint)
        self.steps, self.losses, self.name = numbers, values, name

    @classmethod
    def from_history(
        cls, history: Sequence[Any], *, name: str = "loss per row", ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw a sequence of objects with ``n_iter`` and ``mean``, the loss per row; empty ones raise an InputError."""
        steps, losses = [entry.n_iter for entry in history], [float(entry.mean) for entry in history]
        return cls(steps, losses, name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str = "loss per row", ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw the ``history_`` of a fitted estimator, or of that in a pipeline; see :meth:`from_history`."""
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        return cls.from_history(fitted_attribute(last, "history_"), name=name, ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure and return self; `kwargs` are the style of the curve (``Axes.plot``)."""
        self.ax_, self.figure_ = axes(ax)
        finite = np.isfinite(self.losses)
        steps, losses = self.steps[finite], self.losses[finite]
        style: Style = {"color": PALETTE[0], "linewidth": 1.5} | kwargs
        (self.line_,) = self.ax_.plot(steps, losses, **style)
        self.ax_.plot(steps[-1:], losses[-1:], "o", color=self.line_.get_color(), markersize=5)
        self.ax_.set_xlabel("step")
        self.ax_.set_ylabel(self.name, wrap=True)
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.ticklabel_format(axis="y", useOffset=False)
        self.ax_.spines[["top", "right"]].set_visible(False)
        # there is room for the text above the end of a falling curve, and below that of a rising one
        rise, va = (-8, "top") if losses[-1] > np.median(losses) else (8, "bottom")
        text, position = Formatter.fix_minus(f"{losses[-1]:.6g}"), (steps[-1], losses[-1])
        place: Style = {"textcoords": "offset points", "ha": "right", "va": va}
        veil: Style = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0}
        self.last_ = self.ax_.annotate(text, position, (0, rise), bbox=veil, **place)  # curves may rise and fall
        return self
