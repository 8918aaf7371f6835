"""A map of the uncertainty of cluster assignments."""

from __future__ import annotations

__all__ = ["UncertaintyDisplay"]

from collections.abc import Iterable
from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ._axes import Array, Style, check_predictions, sequential_colormap, shown
from ._colors import PALETTE
from ._projection import draw_centers, draw_plane, draw_points, name_plane, names_of, project, resp_on_grid


class UncertaintyDisplay:
    """A map of the uncertainty, 1 minus the largest membership, with samples and centers on it.

    Usually created by :meth:`from_estimator`.

    Parameters
    ----------
    points, centers : ndarray of shape (n, 2) and (k, 2)
        Samples and centers on the plane.
    uncertainty : ndarray of shape (n,)
        Uncertainty of the samples.
    xlabel, ylabel : str
        Labels of the axes; `ylabel` is None if y is random and only separates the samples.
    field : tuple (extent, uncertainty) or None
        The map: (left, right, bottom, top), and uncertainties on this rectangle, of shape (rows, columns).

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    points_ : PathCollection of the samples, shuffled; dark on a map, otherwise colored by their uncertainty.
    field_ : AxesImage of the map, or None
    dots_, discs_, leaders_, numbers_ : artists of the centers, as in `ClusterDisplay`.
    key_ : Colorbar, or None

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from softkmeans import SoftKMeans, make_blobs
    >>> X = make_blobs(60, random_state=0)[0]
    >>> model = SoftKMeans(3, random_state=0).fit(X)
    >>> display = UncertaintyDisplay.from_estimator(model, X)
    >>> display.field_.get_array().shape, len(display.numbers_)
    ((400, 400), 3)
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
        """Draw the uncertainty of a fitted estimator for data; with two features also for the plane around it.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``predict_proba(X)`` and ``cluster_centers_``, perhaps with ``feature_names_in_``;
            or a pipeline that ends in one. The labels of the axes say if they are not in the data's units.
        X : array, tensor or table of shape (n, d)
            The data. Two features are plotted directly, with a map. A single one is plotted with random y positions,
            more are plotted after a PCA; there is then no map, and the samples are colored.
        feature_names : d strings or None
            Names for the axis labels; by default the ``feature_names_in_`` of the estimator, or the columns of a table.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If shapes don't match, values are not finite, or the estimator is not fitted.
        """
        what = shown(estimator, X)
        names = names_of(what.rows, what.names if feature_names is None else feature_names)
        rows, resp, centers = check_predictions(what.rows, what.resp, what.centers)
        points, positions, xlabel, ylabel = project(rows, centers, names, what.space)
        field = None
        if rows.shape[1] == 2:
            extent, grid_resp = resp_on_grid(rows, len(centers), what.predict_proba)
            field = extent, 1 - grid_resp.max(axis=-1)
        uncertainty = 1 - resp.max(axis=1)
        return cls(points, positions, uncertainty, xlabel=xlabel, ylabel=ylabel, field=field).plot(ax, **kwargs)

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
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes or None
            Axes to draw on; None creates a new figure.
        cmap : Colormap, str or None
            Colormap of the uncertainty.
        key : bool
            Whether to draw a color bar.
        centers_kw, numbers_kw : dict or None
            Style of the centers' discs (``Axes.scatter``) and numbers (``Axes.text``).
        **kwargs
            Style of the samples (``Axes.scatter``).
        """
        k = len(self.centers)
        cmap = sequential_colormap(PALETTE[3]) if cmap is None else cmap
        scale = ScalarMappable(Normalize(0, max(1 - 1 / k, 1e-12)), cmap)
        self.ax_, self.figure_ = draw_plane(ax, self.points, self.ylabel)
        self.field_ = None if self.field is None else self._draw_field(scale)
        # samples are dark on a map, which shows the uncertainty; otherwise they have an edge, as certain ones are white
        style: Style = {"edgecolors": "0.5", "linewidths": 0.4} if self.field is None else {"c": "0.25", "alpha": 0.7}
        self.points_ = draw_points(self.ax_, self.points, scale.to_rgba(self.uncertainty), style | kwargs)
        self.key_ = self._draw_key(scale) if key else None
        name_plane(self.ax_, self.xlabel, self.ylabel)
        artists = draw_centers(self.ax_, self.centers, centers_kw or {}, numbers_kw or {})
        self.dots_, self.discs_, self.leaders_, self.numbers_ = artists
        return self

    def _draw_field(self, scale: ScalarMappable) -> Any:
        extent, values = self.field
        style: Style = {"cmap": scale.cmap, "norm": scale.norm, "interpolation": "bilinear", "zorder": 0}
        return self.ax_.imshow(values, extent=extent, origin="lower", aspect=self.ax_.get_aspect(), **style)

    def _draw_key(self, scale: ScalarMappable) -> Any:
        style: Style = {"shrink": 0.7, "aspect": 18, "pad": 0.02, "panchor": False}
        key = self.figure_.colorbar(scale, ax=self.ax_, label="uncertainty", **style)
        key.outline.set_linewidth(0.5)
        return key
