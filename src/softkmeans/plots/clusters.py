"""The clusters of a soft clustering, with their certainty."""

from __future__ import annotations

__all__ = ["ClusterDisplay"]

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from scipy.spatial.distance import cdist

from ._axes import Array, Style, checked, fitted, lab_of, predictor
from ._colors import blend
from ._projection import draw_centers, draw_plane, draw_points, names_of, project, resp_on_grid


class ClusterDisplay:
    """Points colored by their responsibilities, with numbered centroids.

    A point's color is the mixture of the cluster colors by its responsibilities, and the paler the smaller the margin
    between the largest two. Usually made by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    points, centers : ndarray of shape (n, 2) and (k, 2)
        Data and centroids on the plane.
    resp : ndarray of shape (n, k)
        Responsibilities.
    xlabel, ylabel : str
        Labels of the axes; `ylabel` is None if y has no meaning and only spreads the points.
    regions : tuple (extent, resp) or None
        Decision regions: (left, right, bottom, top), and responsibilities of shape (rows, columns, k) over it.

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    points_ : PathCollection of the points, shuffled, so that neither certain nor uncertain ones lie on top.
    dots_, discs_ : PathCollection of the centroids and of their discs, which move apart where they would overlap.
    leaders_ : LineCollection from centroids to discs.
    numbers_ : list of Text, the columns of `resp`.
    regions_, key_ : AxesImage of the regions and Colorbar that explains the colors, or None.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> X, centers = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]), np.array([[0.0, 0.0], [2.0, 2.0]])
    >>> resp = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    >>> display = ClusterDisplay.from_predictions(X, resp, centers, feature_names=["length", "width"])
    >>> display.ax_.get_xlabel(), len(display.numbers_)
    ('length', 2)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, points: Array, resp: Array, centers: Array, *, xlabel: str, ylabel: str | None, regions: Any = None
    ) -> None:
        self.points, self.resp, self.centers = points, resp, centers
        self.xlabel, self.ylabel, self.regions = xlabel, ylabel, regions

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        resp: Any,
        centers: Any,
        *,
        feature_names: Iterable[str] | None = None,
        ax: Axes | None = None,
        regions: bool = False,
        predict_proba: Callable[[Array], Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw data with given responsibilities and centroids.

        Parameters
        ----------
        X : array, tensor or table of shape (n, d)
            The data. Two features are drawn as they are, one is spread along y, more are projected by PCA.
        resp : array or tensor of shape (n, k)
            Responsibilities; rows that add up to less than 1 (noise) fade accordingly.
        centers : array or tensor of shape (k, d)
            Centroids.
        feature_names : d strings or None
            For the axis labels; by default the columns of a table.
        regions, predict_proba : bool, and callable or None
            Whether to shade the plane by responsibility, for two features, and what takes points of shape (m, 2) to
            responsibilities of shape (m, k).
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If shapes don't match, values are not finite, `resp` are no responsibilities, or regions can't be drawn.
        """
        names = names_of(X, feature_names)
        X, resp, centers = checked(X, resp, centers)
        points, places, xlabel, ylabel = project(X, centers, names)
        shading = resp_on_grid(X, len(centers), predict_proba) if regions else None
        return cls(points, resp, places, xlabel=xlabel, ylabel=ylabel, regions=shading).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, ax: Axes | None = None, regions: bool = False, **kwargs: Any
    ) -> Self:
        """Draw data of shape (n, d) as a fitted estimator clusters it.

        The estimator has ``predict_proba(X)``, ``cluster_centers_`` and perhaps ``feature_names_in_``; parameters and
        errors (InputError) are those of :meth:`from_predictions`.
        """
        kwargs.setdefault("feature_names", getattr(estimator, "feature_names_in_", None))
        kwargs.setdefault("predict_proba", predictor(estimator, X))
        centers, resp = fitted(estimator, "cluster_centers_"), estimator.predict_proba(X)
        return cls.from_predictions(X, resp, centers, ax=ax, regions=regions, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        key: bool = True,
        centers_kw: Style | None = None,
        numbers_kw: Style | None = None,
        regions_kw: Style | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw, on a new figure if `ax` is None, and return self.

        Parameters
        ----------
        ax : Axes or None
            Where to draw.
        colors : k colors or None
            By default safe for color-blind readers; from eight clusters on they repeat, but never among neighbors.
        key : bool
            Whether to draw the bar that explains the colors.
        centers_kw, numbers_kw, regions_kw : dict or None
            Style of the discs (``Axes.scatter``), their numbers (``Axes.text``) and the regions (``Axes.imshow``).
        **kwargs
            Style of the points (``Axes.scatter``).

        Raises
        ------
        InputError
            If there is not one color for each cluster.
        """
        lab = lab_of(colors, self.centers)
        self.ax_, self.figure_ = draw_plane(ax, self.points, self.xlabel, self.ylabel)
        self.regions_ = None if self.regions is None else self._draw_regions(lab, regions_kw or {})
        self.points_ = draw_points(self.ax_, self.points, blend(self.resp, lab), kwargs)
        self.key_ = self._draw_key(lab) if key and len(lab) > 1 else None
        drawn = draw_centers(self.ax_, self.centers, centers_kw or {}, numbers_kw or {})
        self.dots_, self.discs_, self.leaders_, self.numbers_ = drawn
        return self

    def _draw_regions(self, lab: Array, kwargs: Style) -> Any:
        extent, resp = self.regions
        style: Style = {"interpolation": "bilinear", "alpha": 0.3, "zorder": 0, "aspect": self.ax_.get_aspect()}
        return self.ax_.imshow(blend(resp, lab), extent=extent, origin="lower", **(style | kwargs))

    def _draw_key(self, lab: Array) -> Any:
        """Draw the way from one centroid to the one nearest by: neighbors, hence of different colors."""
        gaps = cdist(self.centers, self.centers) + np.diag(np.full(len(lab), np.inf))
        one, other = np.unravel_index(np.argmin(gaps), gaps.shape)  # one < other, as argmin takes the first
        share = np.linspace(0, 1, 101)[:, None]
        bar = ScalarMappable(cmap=ListedColormap(blend(np.hstack([1 - share, share]), lab[[one, other]])))
        key = self.figure_.colorbar(bar, ax=self.ax_, shrink=0.35, aspect=9, pad=0.02)
        key.set_ticks([0, 0.5, 1], labels=[f"surely {one}", "tied", f"surely {other}"])
        key.outline.set_visible(False)
        key.ax.tick_params(length=0, labelsize="small")
        return key
