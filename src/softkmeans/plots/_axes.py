"""What all pictures begin with: axes to draw on, colors, and numbers checked."""

from __future__ import annotations

__all__ = [
    "Array",
    "Style",
    "axes",
    "checked",
    "fitted",
    "lab_of",
    "mark_clusters",
    "matrix",
    "panels",
    "pooled",
    "predictor",
    "probabilities",
    "ramp",
    "rows_drawn",
    "spaced",
]

from collections.abc import Callable
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba_array
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from ..errors import InputError
from ._colors import PALETTE, color_map, to_lab, to_rgb

Array: TypeAlias = NDArray[np.float64]
Style: TypeAlias = dict[str, Any]


def fitted(estimator: Any, attribute: str) -> Any:
    """Give an attribute that a fitted estimator has."""
    if not hasattr(estimator, attribute):
        hint = "of a pipeline, give the last step, model[-1], and the data that it sees, model[:-1].transform(X)"
        raise InputError(f"a {type(estimator).__name__} without {attribute} came, expected a fitted SoftKMeans; {hint}")
    return getattr(estimator, attribute)


def axes(ax: Axes | None, figsize: tuple[float, float] | None = None) -> tuple[Axes, Any]:
    """Give the axes and their figure, a new one if `ax` is None."""
    ax = plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax
    return ax, ax.figure


def panels(
    ax: Any, n_rows: int, n_columns: int, *, figsize: Any = None, height_ratios: Any = None
) -> tuple[list[Axes], Any]:
    """Give n_rows n_columns panels over one x, and their figure: a new one, the Axes that came, or one Axes divided.

    Raises
    ------
    InputError
        If as many Axes didn't come, or one came that has no place in a grid.
    """
    if ax is None:
        figure = plt.figure(figsize=figsize, layout="constrained")
        return _share(figure.add_gridspec(n_rows, n_columns, height_ratios=height_ratios)), figure
    given = [ax] if isinstance(ax, Axes) else list(np.ravel(ax))
    if len(given) == n_rows * n_columns:
        return given, given[0].figure
    place = given[0].get_subplotspec() if len(given) == 1 else None
    if place is None:
        n = n_rows * n_columns
        raise InputError(f"{len(given)} Axes came, expected {n}; give {n}, or one of plt.subplots(), to be divided")
    given[0].set_axis_off()
    return _share(place.subgridspec(n_rows, n_columns, height_ratios=height_ratios)), given[0].figure


def _share(grid: Any) -> list[Axes]:
    return list(grid.subplots(sharex=True, squeeze=False).flat)


def matrix(values: Any, name: str, shape: str) -> Array:
    """Anything two-dimensional as float64 on the CPU; may share memory with `values`, which nobody here writes to."""
    try:
        tensor = hasattr(values, "detach")
        array = np.asarray(values.detach().cpu().double() if tensor else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not numeric ({error}); give numbers of shape {shape}") from error
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} has shape {array.shape}, expected {shape}; reshape it")
    if not np.isfinite(array).all():
        raise InputError(f"{name} has missing or infinite values, expected finite ones; drop or impute those rows")
    return array


def checked(X: Any, resp: Any, centers: Any) -> tuple[Array, Array, Array]:
    """Give data (n, d), responsibilities (n, k) and centroids (k, d) that fit together."""
    X, centers = matrix(X, "X", "(n, d)"), matrix(centers, "centers", "(k, d)")
    if X.shape[1] != centers.shape[1]:
        raise InputError(f"X has {X.shape[1]} features and centers {centers.shape[1]}; give both in the same features")
    return X, probabilities(resp, "resp", (len(X), len(centers))), centers


def probabilities(values: Any, name: str, shape: tuple[int, int]) -> Array:
    """Give responsibilities, which are found to be such; rows may add up to less than 1."""
    resp = matrix(values, name, str(shape))
    if resp.shape != shape:
        raise InputError(f"{name} has shape {resp.shape}, expected {shape}; give a row per point, a column per center")
    low, total = resp.min(), resp.sum(axis=1).max()
    if low < 0 or total > 1.001:
        found = f"values down to {low:.3g} and rows that add up to {total:.3g}"
        raise InputError(f"{name} has {found}, expected probabilities; give responsibilities, not distances or logits")
    return resp


def lab_of(colors: Any, places: Array) -> Array:
    """Give clusters' colors in OKLab (k, 3): those given, or the palette's, neighbors at (k, 2) apart.

    Raises
    ------
    InputError
        If there is not one color for each cluster.
    """
    lab = to_lab(to_rgba_array(np.array(PALETTE)[color_map(places)] if colors is None else colors)[:, :3])
    if len(lab) != len(places):
        raise InputError(f"colors has {len(lab)} colors for {len(places)} clusters; give one for each")
    return lab


def ramp(color: str) -> ListedColormap:
    """Give a colormap from white to a color and on to a darker shade of it."""
    white, full = to_lab(np.ones(3)), to_lab(to_rgba_array(color)[0, :3])
    share = np.linspace(0, 1, 256)[:, None]
    return ListedColormap(to_rgb(white + share * (full * [0.75, 1, 1] - white)))


def pooled(values: Array, at_most: int) -> tuple[Array, float]:
    """Average neighboring rows of (n, c), so that no more are left than asked for: they, and how many are in each."""
    n = len(values)
    if n <= at_most:
        return values, 1.0
    starts = np.arange(at_most) * n // at_most
    sizes = np.diff(starts, append=n)
    return np.add.reduceat(values, starts, axis=0) / sizes[:, None], n / at_most


def rows_drawn(n: int, share: float) -> str:
    """Say how many rows there are, and how many were averaged in what is drawn as one."""
    return f"{n} rows" if share == 1 else f"{n} rows, each line a mean of {share:.2g}"


def predictor(estimator: Any, X: Any) -> Callable[[Array], Any]:
    """Give what takes rows (m, d) to memberships by an estimator that was fitted on a table like X."""

    def predict_proba(rows: Array) -> Any:
        # an estimator fitted on a data frame warns about anything without its column names
        return estimator.predict_proba(X.__class__(rows, columns=X.columns) if hasattr(X, "iloc") else rows)

    return predict_proba


def spaced(values: Array, gap: float) -> NDArray[np.float64]:
    """Move numbers from 0 to 1 as little as possible, in squares, so that none is nearer to another than a gap."""
    gap = min(gap, 1 / max(len(values) - 1, 1))
    order, steps = np.argsort(values, kind="stable"), gap * np.arange(len(values))
    spaced = np.empty(len(values))
    spaced[order] = np.clip(isotonic_regression(values[order] - steps), 0, max(0.0, 1 - steps[-1])) + steps
    return spaced


def mark_clusters(ax: Axes, middles: Array, height: float, numbers: Any) -> None:
    """Write clusters' numbers beside their rows, which go from 0 down to `height`, apart where clusters are thin."""
    line = 1.4 * font_manager.FontProperties(size=plt.rcParams["ytick.labelsize"]).get_size_in_points()
    gap = line / 72 * ax.figure.dpi / (0.85 * ax.get_window_extent().height)  # labels of the axes will take some of it
    ax.set_yticks(height * spaced(middles / height, gap), labels=[str(i) for i in numbers])
    ax.tick_params(axis="y", length=0)
