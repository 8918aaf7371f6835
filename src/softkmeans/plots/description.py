"""What sets clusters apart: the effect sizes of their features."""

from __future__ import annotations

__all__ = ["DescriptionDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter

from .._utils.text import printable
from ..errors import InputError
from ..estimators.assigned_rows import AssignedRows
from ..selection.description import Description
from ._axes import Array, Style, axes
from ._labels import number_columns, settle_layout, shorten

MAX_NAME = 40  # characters of a name
MAX_EFFECT = 3.0  # effect sizes beyond have the same color


class DescriptionDisplay:
    """The effect sizes of the features that set clusters apart most, as a table of colors with their means.

    Colors are effect sizes (Cohen's d): orange where a cluster's mean is higher than that of all other rows, blue where
    it is lower. The numbers are the means, where columns are wide enough. Usually created by :meth:`from_estimator`.

    Parameters
    ----------
    description : Description
        The features of each cluster.
    n_features : int
        Number of features that are drawn: those with the largest absolute effect sizes.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    image_ : AxesImage of the effect sizes
    numbers_ : list of Text, the means, row by row; empty if columns are too narrow for them
    key_ : Colorbar, or None

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from softkmeans import SoftKMeans, make_blobs
    >>> X = make_blobs(60, random_state=0)[0]
    >>> display = DescriptionDisplay.from_estimator(SoftKMeans(3, random_state=0).fit(X), X)
    >>> display.image_.get_array().shape
    (2, 3)
    >>> plt.close(display.figure_)
    """

    def __init__(self, description: Description, *, n_features: int = 12) -> None:
        if not n_features > 0:
            raise InputError(parameter="n_features", value=n_features, expected="a number above 0")
        self.description, self.n_features = description, n_features

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sample_weight: Any = None,
        n_features: int = 12,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw what sets the clusters of a fitted estimator apart in rows X.

        Parameters
        ----------
        estimator : SoftKMeans, FuzzyCMeans or Pipeline
            A fitted model.
        X : array-like, frame, Tensor (n, d) or Source
            Rows.
        sample_weight : array-like (n,) or None
            Weights of the rows.
        n_features : int
            Number of features that are drawn at most.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If the rows are not those of the model.
        """
        description = Description.of(AssignedRows(estimator, X, sample_weight))
        return cls(description, n_features=n_features).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, key: bool = True, numbers_kw: Style | None = None, **kwargs: Any) -> Self:
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes or None
            Axes to draw on; None creates a new figure.
        key : bool
            Whether to draw a color bar.
        numbers_kw : dict or None
            Style of the means (``Axes.text``).
        **kwargs
            Style of the colors (``Axes.imshow``).
        """
        effect = self.description.effect_size
        features = np.argsort(-np.abs(effect).max(0), kind="stable")[: self.n_features]
        k, n = len(effect), len(features)
        names = [shorten(printable(self.description.names[j]), MAX_NAME) for j in features]
        width = 0.085 * max(map(len, names)) + np.clip(12 / k, 0.22, 0.75) * k + 1.4  # inches: names, columns and key
        self.ax_, self.figure_ = axes(ax, (width, 1.0 + 0.34 * max(n, 3)))
        shown: Array = np.clip(effect[:, features].T, -MAX_EFFECT, MAX_EFFECT)
        style: Style = {"cmap": "PuOr_r", "vmin": -MAX_EFFECT, "vmax": MAX_EFFECT, "aspect": "auto"} | kwargs
        self.image_ = self.ax_.imshow(shown, **style)
        self.ax_.set_yticks(range(n), labels=names, parse_math=False)
        self.ax_.tick_params(length=0)
        self.ax_.set_xlabel("cluster")
        self.key_ = self.figure_.colorbar(self.image_, ax=self.ax_, pad=0.02) if key else None
        settle_layout(self.ax_)
        number_columns(self.ax_, k)
        self.numbers_ = self._draw_numbers(features, shown, numbers_kw)
        if self.key_ is not None:
            self.key_.set_label("effect size d" + ("\n(numbers: means)" if self.numbers_ else ""))
        return self

    def _draw_numbers(self, features: Any, effect: Array, numbers_kw: Style | None) -> list[Any]:
        """Write the means into the cells, if there is room for all."""
        mean, room = self.description.mean, 0.95 * self.ax_.get_window_extent().width / effect.shape[1]
        numbers = []
        for (row, c), value in np.ndenumerate(effect):
            text = Formatter.fix_minus(f"{mean[c, features[row]]:.3g}")
            numbers.append(self.ax_.text(c, row, text, **self._number_style(value, numbers_kw)))
        if all(number.get_window_extent().width <= room for number in numbers):
            return numbers
        for number in numbers:
            number.remove()
        return []

    def _number_style(self, effect: float, numbers_kw: Style | None) -> Style:
        color = "white" if abs(effect) > 0.6 * MAX_EFFECT else "black"
        return {"ha": "center", "va": "center", "fontsize": "small", "color": color} | (numbers_kw or {})
