"""Data on the plane: projected, with room for it, and with numbered centroids."""

from __future__ import annotations

__all__ = [
    "Centers",
    "draw_centers",
    "draw_plane",
    "draw_points",
    "names_of",
    "principal_plane",
    "project",
    "resp_on_grid",
    "shuffled",
]

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from ..errors import InputError
from ._axes import Array, Style, axes, probabilities
from ._colors import spread

GRID = 200  # grid points along each side of a map


def names_of(X: Any, given: Iterable[str] | None) -> list[str] | None:
    """Give the names of features: those given, or those that a table has."""
    options = (given, getattr(X, "column_names", None), getattr(X, "columns", None))  # given, pyarrow's, pandas'
    return next(([str(name) for name in names] for names in options if names is not None), None)


def project(X: Array, centers: Array, names: list[str] | None) -> tuple[Array, Array, str, str | None]:
    """Put data and centroids on the plane, and say what its axes are."""
    d = X.shape[1]
    names = [f"feature {i}" for i in range(d)] if names is None else names
    if len(names) != d:
        raise InputError(f"feature_names has {len(names)} names for {d} features; give one for each")
    if d == 1:
        jitter = np.random.default_rng(0).uniform(-1, 1, size=X.shape)
        return np.hstack([X, jitter]), np.hstack([centers, np.zeros_like(centers)]), names[0], None
    return (X, centers, names[0], names[1]) if d == 2 else principal_plane(X, centers)


def principal_plane(X: Array, centers: Array) -> tuple[Array, Array, str, str]:
    """Put data and centroids on the plane of the largest variance, and say what its axes are."""
    if not np.ptp(X, axis=0).any():
        raise InputError(f"X has {len(X)} points, all the same, expected some variance; give two features to draw")
    mean = X.mean(axis=0)  # taken off first: in PCA's covariance a large mean drowns the variance
    pca = PCA(2, random_state=0).fit(X - mean)
    one, two = (f"PC {i} ({100 * v:.0f} % of variance)" for i, v in enumerate(pca.explained_variance_ratio_, 1))
    return pca.transform(X - mean), pca.transform(centers - mean), one, two


def resp_on_grid(X: Array, k: int, predict_proba: Callable[[Array], Any] | None) -> tuple[list[float], Array]:
    """Evaluate the responsibilities on a grid a little larger than the data: its extent, and (rows, columns, k)."""
    if X.shape[1] != 2 or predict_proba is None:
        found = f"{X.shape[1]} features and {'no' if predict_proba is None else 'a'} predict_proba"
        raise InputError(f"regions came with {found}, expected 2 features and a predict_proba; leave regions out")
    low, high = X.min(axis=0), X.max(axis=0)
    margin = np.where(high > low, 0.06 * (high - low), 1.0)
    x, y = np.linspace(low - margin, high + margin, GRID).T
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    resp = probabilities(predict_proba(grid), "predict_proba(grid)", (len(grid), k))
    return [x[0], x[-1], y[0], y[-1]], resp.reshape(GRID, GRID, k)


def draw_plane(ax: Axes | None, points: Array, xlabel: str, ylabel: str | None) -> tuple[Axes, Any]:
    """Give axes for points (n, 2), of scales that suit them; `ylabel` is None if y has no meaning."""
    spans = np.ptp(points, axis=0)
    # equal scales show distances as they are; but no slivers where features are far apart in scale
    equal = ylabel is not None and spans.max() < 3 * spans.min()
    width, height = plt.rcParams["figure.figsize"]
    if equal:  # fit the new figure, with room for key and labels in inches
        box = min(width - 1.5, (height - 0.65) * spans[0] / spans[1])
        width, height = box + 1.5, box * spans[1] / spans[0] + 0.65
    ax, figure = axes(ax, (width, height / 2 if ylabel is None else height))
    ax.set(xlabel=xlabel, ylabel=ylabel, aspect="equal" if equal else "auto")
    if ylabel is None:
        ax.set(ylabel="jitter", yticks=[], ylim=(-1.3, 1.3))
    return ax, figure


def draw_points(ax: Axes, points: Array, colors: Array, kwargs: Style) -> Any:
    """Draw points (n, 2), shuffled, so that none of a kind lie on top; `kwargs` may have other colors."""
    n = len(points)
    order = shuffled(n)
    size = np.clip(250 / np.sqrt(n), 1.2, 25)
    style: Style = {"s": size, "linewidths": 0, "rasterized": n > 5000, "zorder": 1} | kwargs
    if not {"c", "color", "facecolors"} & style.keys():
        style["c"] = colors[order]
    x, y = points[order].T
    return ax.scatter(x, y, **style)


def shuffled(n: int) -> NDArray[np.int64]:
    """Give the order in which points are drawn."""
    return np.random.default_rng(0).permutation(n)


class Centers(NamedTuple):
    """Centroids as drawn: dots where they are, and numbered discs beside them where they would overlap."""

    dots: Any
    discs: Any
    leaders: Any
    numbers: list[Any]


def draw_centers(ax: Axes, centers: Array, discs_kw: Style, numbers_kw: Style) -> Centers:
    """Draw centroids (k, 2) with their numbers."""
    k = len(centers)
    font = float(np.clip(9.3 - k / 15, 5, 9))  # points
    width = font * (1.15 + 0.45 * len(str(k - 1)))
    ax.apply_aspect()  # else the pixels are not yet where they will be
    pixels = spread(ax.transData.transform(centers), 1.1 * width * ax.figure.dpi / 72)
    places = ax.transData.inverted().transform(pixels)
    lines = LineCollection(list(np.stack([centers, places], axis=1)), colors="black", linewidths=0.7, zorder=2)
    leaders = ax.add_collection(lines, autolim=False)
    dots = ax.scatter(centers[:, 0], centers[:, 1], s=8, c="black", linewidths=0, zorder=2)
    disc: Style = {"facecolors": "white", "edgecolors": "black", "linewidths": 0.8, "zorder": 3, "clip_on": False}
    discs = ax.scatter(places[:, 0], places[:, 1], **(disc | {"s": width**2} | discs_kw))
    text: Style = {"fontsize": font, "ha": "center", "va": "center_baseline", "zorder": 4}
    numbers = [ax.text(x, y, str(i), **(text | numbers_kw)) for i, (x, y) in enumerate(places)]
    return Centers(dots, discs, leaders, numbers)
