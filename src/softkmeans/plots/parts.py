"""What all pictures begin with: axes to draw on, numbers checked, and data brought onto the plane."""

from __future__ import annotations

__all__ = [
    "Array",
    "Style",
    "axes",
    "checked",
    "fitted",
    "matrix",
    "names_of",
    "principal_plane",
    "probabilities",
    "project",
]

from collections.abc import Iterable
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.decomposition import PCA

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
