"""Projection of data to a plane, and drawing of samples and numbered centers."""

from __future__ import annotations

__all__ = [
    "Centers",
    "draw_centers",
    "draw_plane",
    "draw_points",
    "drawing_order",
    "name_plane",
    "names_of",
    "principal_plane",
    "project",
    "resp_on_grid",
]

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from ..errors import InputError, Message, Setting
from ._axes import Array, Style, as_memberships, axes
from ._colors import separate_discs
from ._labels import name_axis, settle_layout

GRID_SIZE = 400  # grid points along each side of a map: about as many as pixels, as borders may be narrow


def names_of(X: Any, given: Iterable[str] | None) -> list[str] | None:
    """Return the names of features: the given ones, else the column names of a table, else None."""
    candidates = (given, getattr(X, "column_names", None), getattr(X, "columns", None))  # of pyarrow, of pandas
    return next(([str(name) for name in names] for names in candidates if names is not None), None)


def project(X: Array, centers: Array, names: list[str] | None, space: str = "") -> tuple[Array, Array, str, str | None]:
    """Return data and centers projected to the plane, and the labels of its axes.

    ``space`` is what the rows are if they are not the data, such as "standardized data"; the labels say so.
    """
    d = X.shape[1]
    names = [f"feature {i}" for i in range(d)] if names is None else names
    if len(names) != d:
        problem = f"has {len(names)} names for {d} features"
        raise InputError(problem, parameter="feature_names", hint="give one name per feature")
    if space and d <= 2:
        names = [f"{name} ({space})" for name in names]
    if d == 1:
        jitter = np.random.default_rng(0).uniform(-1, 1, size=X.shape)
        return np.hstack([X, jitter]), np.hstack([centers, np.zeros_like(centers)]), names[0], None
    return (X, centers, names[0], names[1]) if d == 2 else principal_plane(X, centers, space)


def principal_plane(X: Array, centers: Array, space: str = "") -> tuple[Array, Array, str, str]:
    """Return data and centers projected to the plane of the largest variance, and the labels of its axes."""
    if not np.ptp(X, axis=0).any():
        problem, hint = f"has {len(X)} equal rows", "give two features to plot"
        raise InputError(problem, parameter="X", expected="some variance", hint=hint)
    mean = X.mean(axis=0)  # subtracted first, as rounding of a large mean would hide the variance in PCA
    pca = PCA(2, random_state=0).fit(X - mean)
    of = f" of {space}" if space else ""
    one, two = (f"PC {i}{of} ({100 * v:.0f} % of variance)" for i, v in enumerate(pca.explained_variance_ratio_, 1))
    return pca.transform(X - mean), pca.transform(centers - mean), one, two


def resp_on_grid(X: Array, k: int, predict_proba: Callable[[Array], Any] | None) -> tuple[list[float], Array]:
    """Return the extent of a grid a little larger than the data, and the memberships (rows, columns, k) on it."""
    if X.shape[1] != 2 or predict_proba is None:
        function = Setting("predict_proba")
        raise InputError(
            Message(f"with {X.shape[1]} features and {'no' if predict_proba is None else 'a'} ", function),
            parameter="regions",
            value=True,
            expected=Message("2 features and a ", function),
            hint=Message("set ", Setting("regions", False)),
        )
    low, high = X.min(axis=0), X.max(axis=0)
    margin = np.where(high > low, 0.06 * (high - low), 1.0)
    x, y = np.linspace(low - margin, high + margin, GRID_SIZE).T
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    resp = as_memberships(predict_proba(grid), "predict_proba(grid)", (len(grid), k))
    return [x[0], x[-1], y[0], y[-1]], resp.reshape(GRID_SIZE, GRID_SIZE, k)


def draw_plane(ax: Axes | None, points: Array, ylabel: str | None, beside: float = 1.5) -> tuple[Axes, Any]:
    """Return axes for samples (n, 2), and their figure; `ylabel` is None if y has no meaning.

    `beside` are the inches for labels and key, left and right of the axes.
    """
    spans = np.ptp(points, axis=0)
    # equal scales show true distances, but would make a very narrow plot if the spans differ much
    equal = ylabel is not None and spans.max() < 3 * spans.min()
    width, height = plt.rcParams["figure.figsize"]
    if equal:  # choose the size of the new figure
        box = min(width - beside, (height - 0.65) * spans[0] / spans[1])
        width, height = box + beside, box * spans[1] / spans[0] + 0.65
    is_new = ax is None
    ax, figure = axes(ax, (width, height / 2 if ylabel is None else height))
    if equal and is_new:
        ax.set_anchor("W")  # the layout leaves too little room for labels on a side where it leaves a gap
    ax.set_aspect("equal" if equal else "auto")
    if ylabel is None:
        ax.set(yticks=[], ylim=(-1.3, 1.3))
    return ax, figure


def name_plane(ax: Axes, xlabel: str, ylabel: str | None) -> None:
    """Label the axes of a plane, after all that takes room from them; `ylabel` is None if y has no meaning."""
    # the second line of a label takes room from the other axis, so that of x is written again
    for axis, name in ((ax.xaxis, xlabel), (ax.yaxis, "jitter" if ylabel is None else ylabel), (ax.xaxis, xlabel)):
        name_axis(axis, name)


def draw_points(ax: Axes, points: Array, colors: Array, kwargs: Style) -> Any:
    """Draw samples (n, 2) in random order, so that no cluster lies on top; `kwargs` may override the colors."""
    n = len(points)
    order = drawing_order(n)
    size = np.clip(250 / np.sqrt(n), 1.2, 25)
    style: Style = {"s": size, "linewidths": 0, "rasterized": n > 5000, "zorder": 1} | kwargs
    if not {"c", "color", "facecolors"} & style.keys():
        style["c"] = colors[order]
    x, y = points[order].T
    return ax.scatter(x, y, **style)


def drawing_order(n: int) -> NDArray[np.int64]:
    """Return the random order (n,) in which samples are drawn."""
    return np.random.default_rng(0).permutation(n)


class Centers(NamedTuple):
    """The artists of drawn centers: dots, and numbered discs that are moved apart where they would overlap."""

    dots: Any
    discs: Any
    leaders: Any
    numbers: list[Any]


def draw_centers(ax: Axes, centers: Array, discs_kw: Style, numbers_kw: Style) -> Centers:
    """Draw centers (k, 2) with their numbers."""
    k = len(centers)
    font = float(np.clip(9.3 - k / 15, 5, 9))  # typographic points
    width = font * (1.15 + 0.45 * len(str(k - 1)))
    settle_layout(ax)
    pixels = separate_discs(ax.transData.transform(centers), 1.1 * width * ax.figure.dpi / 72)
    positions = ax.transData.inverted().transform(pixels)
    lines = LineCollection(list(np.stack([centers, positions], axis=1)), colors="black", linewidths=0.7, zorder=2)
    leaders = ax.add_collection(lines, autolim=False)
    dots = ax.scatter(centers[:, 0], centers[:, 1], s=8, c="black", linewidths=0, zorder=2)
    disc: Style = {"facecolors": "white", "edgecolors": "black", "linewidths": 0.8, "zorder": 3, "clip_on": False}
    discs = ax.scatter(positions[:, 0], positions[:, 1], **(disc | {"s": width**2} | discs_kw))
    text: Style = {"fontsize": font, "ha": "center", "va": "center_baseline", "zorder": 4}
    numbers = [ax.text(x, y, str(i), **(text | numbers_kw)) for i, (x, y) in enumerate(positions)]
    return Centers(dots, discs, leaders, numbers)
