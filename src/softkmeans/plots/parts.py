"""What all pictures begin with: axes to draw on, colours, and numbers checked."""

from __future__ import annotations

__all__ = [
    "Array",
    "Style",
    "axes",
    "checked",
    "fitted",
    "lab_of",
    "matrix",
    "probabilities",
]

from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from numpy.typing import NDArray

from ..coloring import PALETTE, color_map, to_lab
from ..errors import InputError

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
        raise InputError(f"{name} has shape {resp.shape}, expected {shape}; give a row per point, a column per centre")
    low, total = resp.min(), resp.sum(axis=1).max()
    if low < 0 or total > 1.001:
        found = f"values down to {low:.3g} and rows that add up to {total:.3g}"
        raise InputError(f"{name} has {found}, expected probabilities; give responsibilities, not distances or logits")
    return resp


def lab_of(colors: Any, places: Array) -> Array:
    """Give clusters' colours in OKLab (k, 3): those given, or the palette's, neighbours at (k, 2) apart.

    Raises
    ------
    InputError
        If there is not one colour for each cluster.
    """
    lab = to_lab(to_rgba_array(np.array(PALETTE)[color_map(places)] if colors is None else colors)[:, :3])
    if len(lab) != len(places):
        raise InputError(f"colors has {len(lab)} colours for {len(places)} clusters; give one for each")
    return lab
