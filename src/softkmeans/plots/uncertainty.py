"""Where on the plane it is uncertain to which cluster something belongs."""

from __future__ import annotations

__all__ = ["UncertaintyDisplay"]

from collections.abc import Iterable
from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ._axes import Array, Style, checked, fitted, predictor, ramp
from ._colors import PALETTE
from ._projection import draw_centers, draw_plane, draw_points, names_of, project, resp_on_grid


class UncertaintyDisplay:
    """A map of the uncertainty, 1 minus the largest membership, with points and centroids on it.

    Usually made by :meth:`from_estimator`.

    Parameters
    ----------
    points, centers : ndarray of shape (n, 2) and (k, 2)
        Data and centroids on the plane.
    uncertainty : ndarray of shape (n,)
        Of the points.
    xlabel, ylabel : str
        Labels of the axes; `ylabel` is None if y has no meaning and only spreads the points.
    field : tuple (extent, uncertainty) or None
        What is known of the plane: (left, right, bottom, top), and uncertainties of shape (rows, columns) over it.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    points_ : PathCollection, shuffled; dark on a map, else of the colors of their uncertainty.
    field_ : AxesImage of the map, or None
    dots_, discs_, leaders_, numbers_ : what centroids are drawn with, as in `ClusterDisplay`.
    key_ : Colorbar, or None

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from softkmeans import SoftKMeans, make_blobs
    >>> X = make_blobs(60, random_state=0)[0]
    >>> model = SoftKMeans(3, random_state=0).fit(X)
    >>> display = UncertaintyDisplay.from_estimator(model, X)
    >>> display.field_.get_array().shape, len(display.numbers_)
    ((200, 200), 3)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, points: Array, centers: Array, uncertainty: Array, *, xlabel: str, ylabel: str | None, field: Any = None
    ) -> None:
        self.points, self.centers, self.uncertainty = points, centers, uncertainty
        self.xlabel, self.ylabel, self.field = xlabel, ylabel, field

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        feature_names: Iterable[str] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw how uncertain a fitted estimator is about data, and of two features about the plane around it.

        Parameters
        ----------
        estimator : object
            Fitted, with ``predict_proba(X)``, ``cluster_centers_`` and perhaps ``feature_names_in_``.
        X : array, tensor or table of shape (n, d)
            The data. Two features are drawn as they are, with a map. One is spread along y, and more are projected by
            PCA: the points alone are then colored.
        feature_names : d strings or None
            For the axis labels; by default the columns of a table, or what the estimator was fitted with.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If shapes don't match, values are not finite, or the estimator is not fitted.
        """
        names = names_of(X, getattr(estimator, "feature_names_in_", None) if feature_names is None else feature_names)
        resp, centers = fitted(estimator, "predict_proba")(X), fitted(estimator, "cluster_centers_")
        rows, resp, centers = checked(X, resp, centers)
        points, places, xlabel, ylabel = project(rows, centers, names)
        field = None
        if rows.shape[1] == 2:
            extent, around = resp_on_grid(rows, len(centers), predictor(estimator, X))
            field = extent, 1 - around.max(axis=-1)
        uncertainty = 1 - resp.max(axis=1)
        return cls(points, places, uncertainty, xlabel=xlabel, ylabel=ylabel, field=field).plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = None,
        key: bool = True,
        centers_kw: Style | None = None,
        numbers_kw: Style | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw and return self.

        Parameters
        ----------
        ax : Axes or None
            Where to draw; None makes a new figure.
        cmap : Colormap, str or None
            Colors of uncertainty.
        key : bool
            Whether to draw the bar that explains them.
        centers_kw, numbers_kw : dict or None
            Style of the centroids' discs (``Axes.scatter``) and numbers (``Axes.text``).
        **kwargs
            Style of the points (``Axes.scatter``).
        """
        k = len(self.centers)
        scale = ScalarMappable(Normalize(0, max(1 - 1 / k, 1e-12)), ramp(PALETTE[3]) if cmap is None else cmap)
        self.ax_, self.figure_ = draw_plane(ax, self.points, self.xlabel, self.ylabel)
        self.field_ = None if self.field is None else self._draw_field(scale)
        # dark on a map, which shows the uncertainty; else with a rim, as what is certain is white
        style: Style = {"edgecolors": "0.5", "linewidths": 0.4} if self.field is None else {"c": "0.25", "alpha": 0.7}
        self.points_ = draw_points(self.ax_, self.points, scale.to_rgba(self.uncertainty), style | kwargs)
        self.key_ = self._draw_key(scale) if key else None
        drawn = draw_centers(self.ax_, self.centers, centers_kw or {}, numbers_kw or {})
        self.dots_, self.discs_, self.leaders_, self.numbers_ = drawn
        return self

    def _draw_field(self, scale: ScalarMappable) -> Any:
        extent, values = self.field
        style: Style = {"cmap": scale.cmap, "norm": scale.norm, "interpolation": "bilinear", "zorder": 0}
        return self.ax_.imshow(values, extent=extent, origin="lower", aspect=self.ax_.get_aspect(), **style)

    def _draw_key(self, scale: ScalarMappable) -> Any:
        key = self.figure_.colorbar(scale, ax=self.ax_, shrink=0.7, aspect=18, pad=0.02, label="uncertainty")
        key.outline.set_linewidth(0.5)
        return key
