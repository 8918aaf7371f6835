"""A scatter plot of a soft clustering, colored by memberships."""

from __future__ import annotations

__all__ = ["ClusterDisplay"]

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import make_axes
from matplotlib.lines import Line2D

from ._axes import Array, Style, check_predictions, cluster_colors, shown
from ._colors import PALETTE, assign_colors, blend
from ._labels import settle_layout
from ._projection import draw_centers, draw_plane, draw_points, name_plane, names_of, project, resp_on_grid

KEY_HEIGHT, KEY_COLUMN = 1.2, 0.17  # inches: of the key, and of each of its columns up to those of the palette
SURE = 0.9  # largest membership on the dashed lines of the regions


class ClusterDisplay:
    """A scatter plot of samples colored by their memberships, with numbered centers.

    The color of a sample is the mixture of the cluster colors by its memberships. It is paler if the difference of the
    two largest memberships is smaller. Usually created by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    points, centers : ndarray of shape (n, 2) and (k, 2)
        Samples and centers on the plane.
    resp : ndarray of shape (n, k)
        Memberships.
    xlabel, ylabel : str
        Labels of the axes; `ylabel` is None if y is random and only separates the samples.
    regions : tuple (extent, resp) or None
        Decision regions: (left, right, bottom, top), and memberships on this rectangle, of shape (rows, columns, k).

    Attributes
    ----------
    ax_, figure_ : Axes and Figure
    points_ : PathCollection of the samples, shuffled, so that neither certain nor uncertain ones lie on top.
    dots_, discs_ : PathCollection of the centers and of their discs, which are moved apart where they would overlap.
    leaders_ : LineCollection from centers to discs.
    numbers_ : list of Text, the columns of `resp`.
    regions_ : AxesImage of the regions, or None.
    contours_ : ContourSet where the largest membership, max_k r_k(x), is 0.9, drawn with the regions; or None.
    key_ : Axes with the colors of all clusters, from samples that are surely in one to those tied between all, or None.

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
        space: str = "",
        **kwargs: Any,
    ) -> Self:
        """Draw data with given memberships and centers.

        Parameters
        ----------
        X : array, tensor or table of shape (n, d)
            The data. Two features are plotted directly, a single one with random y positions, more after a PCA.
        resp : array or tensor of shape (n, k)
            Memberships; rows that add up to less than 1 (noise) are paler.
        centers : array or tensor of shape (k, d)
            Centers.
        feature_names : d strings or None
            Names for the axis labels; by default the column names of a table.
        regions : bool
            Whether to shade the plane by membership, for two features. Dashed lines are where the largest membership of
            a row would be 0.9.
        predict_proba : callable or None
            Function from rows (m, 2) to memberships (m, k), for the regions.
        space : str
            What X is if it is not the data itself, such as "standardized data"; the labels of the axes say so.
        ax, **kwargs
            Passed to :meth:`plot`.

        Raises
        ------
        InputError
            If shapes don't match, values are not finite, `resp` has other values than memberships, or regions can't be
            drawn.
        """
        names = names_of(X, feature_names)
        X, resp, centers = check_predictions(X, resp, centers)
        points, positions, xlabel, ylabel = project(X, centers, names, space)
        regions_resp = resp_on_grid(X, len(centers), predict_proba) if regions else None
        return cls(points, resp, positions, xlabel=xlabel, ylabel=ylabel, regions=regions_resp).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, ax: Axes | None = None, regions: bool = False, **kwargs: Any
    ) -> Self:
        """Draw data of shape (n, d) with the memberships and centers of a fitted estimator.

        The estimator needs ``predict_proba(X)`` and ``cluster_centers_``, and may have ``feature_names_in_``. It may be
        a pipeline that ends in one, with steps that `softkmeans.save` takes: one or two features are then drawn in the
        data's units if each has them, else what the estimator receives, as the labels of the axes say. The other
        parameters, and the errors (InputError), are those of :meth:`from_predictions`.
        """
        what = shown(estimator, X)
        kwargs = {"feature_names": what.names, "predict_proba": what.predict_proba, "space": what.space} | kwargs
        return cls.from_predictions(what.rows, what.resp, what.centers, ax=ax, regions=regions, **kwargs)

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
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes or None
            Axes to draw on; None creates a new figure.
        colors : k colors or None
            Colors of the clusters. By default color-blind people can tell them apart; from eight clusters on they
            repeat, but neighbors differ clearly.
        key : bool
            Whether to draw a key that explains the colors: those of each cluster, for memberships from 1 down to 1 / k
            with the rest shared by all other clusters equally.
        centers_kw, numbers_kw, regions_kw : dict or None
            Style of the discs (``Axes.scatter``), their numbers (``Axes.text``) and the regions (``Axes.imshow``).
        **kwargs
            Style of the samples (``Axes.scatter``).

        Raises
        ------
        InputError
            If the number of colors is not that of the clusters.
        """
        lab = cluster_colors(colors, assign_colors(self.centers))
        beside = 1.3 + _key_width(len(np.unique(lab, axis=0)))
        self.ax_, self.figure_ = draw_plane(ax, self.points, self.ylabel, beside)
        self.regions_ = None if self.regions is None else self._draw_regions(lab, regions_kw or {})
        self.contours_ = None if self.regions is None else self._draw_contours()
        self.points_ = draw_points(self.ax_, self.points, blend(self.resp, lab), kwargs)
        self.key_ = self._draw_key(lab) if key and len(lab) > 1 else None
        name_plane(self.ax_, self.xlabel, self.ylabel)
        artists = draw_centers(self.ax_, self.centers, centers_kw or {}, numbers_kw or {})
        self.dots_, self.discs_, self.leaders_, self.numbers_ = artists
        return self

    def _draw_regions(self, lab: Array, kwargs: Style) -> Any:
        extent, resp = self.regions
        style: Style = {"interpolation": "bilinear", "alpha": 0.3, "zorder": 0, "aspect": self.ax_.get_aspect()}
        return self.ax_.imshow(blend(resp, lab), extent=extent, origin="lower", **(style | kwargs))

    def _draw_contours(self) -> Any:
        """Draw where the largest membership is 0.9, if it is anywhere, and say so above the axes."""
        extent, resp = self.regions
        largest = resp.max(axis=-1)
        if not largest.min() < SURE < largest.max():
            return None
        style: Style = {"colors": "0.35", "linewidths": 0.8, "linestyles": "--", "zorder": 0.5}
        contours = self.ax_.contour(largest, extent=extent, levels=[SURE], **style)
        legend: Style = {"frameon": False, "fontsize": "small", "borderaxespad": 0.3}
        line = Line2D([], [], color="0.35", linewidth=0.8, linestyle="--", label=f"largest membership {SURE:g}")
        self.ax_.legend(handles=[line], loc="lower center", bbox_to_anchor=(0.5, 1.0), **legend)
        return contours

    def _draw_key(self, lab: Array) -> Axes:
        """Draw a column for each color: memberships of one cluster from 1 down to 1 / k, the rest shared equally.

        The columns are numbered if each cluster has a color of its own.
        """
        k = len(lab)
        shown = np.sort(np.unique(lab.round(6), axis=0, return_index=True)[1])
        membership = np.linspace(1 / k, 1, 101)[:, None, None]
        resp = (1 - membership) / (k - 1) + (membership - (1 - membership) / (k - 1)) * np.eye(k)[shown]
        settle_layout(self.ax_)
        inches = self.ax_.get_window_extent().transformed(self.ax_.figure.dpi_scale_trans.inverted())
        height, width = min(0.7 * inches.height, KEY_HEIGHT), _key_width(len(shown))
        shape: Style = {"shrink": height / inches.height, "fraction": width / inches.width, "aspect": height / width}
        key, _ = make_axes(self.ax_, pad=0.03, panchor=False, **shape)
        key.imshow(blend(resp, lab), origin="lower", aspect="auto", extent=(-0.5, len(shown) - 0.5, 0, 1))
        key.yaxis.tick_right()
        key.set_yticks([0, 1], labels=["tied", "sure"])
        has_numbers = len(shown) == k <= len(PALETTE)
        key.set_xticks(range(k) if has_numbers else [], labels=map(str, range(k)) if has_numbers else [])
        key.set_xlabel("cluster" if has_numbers else "all clusters", fontsize="small")
        key.tick_params(length=0, labelsize="small")
        key.spines[:].set_visible(False)
        return key


def _key_width(n_columns: int) -> float:
    """Return the width of the key in inches."""
    return KEY_COLUMN * min(n_columns, len(PALETTE))
