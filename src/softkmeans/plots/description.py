"""What sets clusters apart: the effect sizes of their features."""

from __future__ import annotations

__all__ = ["DescriptionDisplay"]

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from .._utils.text import printable
from ..errors import InputError
from ..estimators.assigned_rows import AssignedRows
from ..selection.description import Description
from ._axes import Array, Style, axes

MAX_EFFECT = 3.0  # effect sizes beyond have the same color


class DescriptionDisplay:
    """The effect sizes of the features that set clusters apart most, as a table of colors with their means.

    Colors are effect sizes (Cohen's d): orange where a cluster's mean is higher than that of all other rows, blue where
    it is lower. The numbers are the means. Usually created by :meth:`from_estimator`.

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
    numbers_ : list of Text, the means, row by row
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
        self.ax_, self.figure_ = axes(ax, (1.8 + 0.75 * k + 1.0, 1.0 + 0.34 * n))
        shown: Array = np.clip(effect[:, features].T, -MAX_EFFECT, MAX_EFFECT)
        style: Style = {"cmap": "PuOr_r", "vmin": -MAX_EFFECT, "vmax": MAX_EFFECT, "aspect": "auto"} | kwargs
        self.image_ = self.ax_.imshow(shown, **style)
        self.ax_.set_xticks(range(k), labels=[str(c) for c in range(k)])
        self.ax_.set_yticks(
            range(n), labels=[printable(self.description.names[j])[:40] for j in features], parse_math=False
        )
        self.ax_.set_xlabel("cluster")
        self.ax_.tick_params(length=0)
        self.numbers_ = [
            self.ax_.text(c, row, f"{mean:.3g}", **self._number_style(shown[row, c], numbers_kw))
            for row, j in enumerate(features)
            for c, mean in enumerate(self.description.mean[:, j])
        ]
        label = "effect size d, numbers: means"
        self.key_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=label, pad=0.02) if key else None
        return self

    def _number_style(self, effect: float, numbers_kw: Style | None) -> Style:
        color = "white" if abs(effect) > 0.6 * MAX_EFFECT else "black"
        return {"ha": "center", "va": "center", "fontsize": "small", "color": color} | (numbers_kw or {})
