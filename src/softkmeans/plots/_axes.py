"""Functions shared by all plots: axes, colors, and checks of arrays."""

from __future__ import annotations

__all__ = [
    "Array",
    "Shown",
    "Style",
    "as_matrix",
    "as_memberships",
    "average_neighbors",
    "axes",
    "check_predictions",
    "cluster_colors",
    "describe_rows",
    "fitted_attribute",
    "panels",
    "proba_function",
    "sequential_colormap",
    "shown",
]

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import matplotlib.pyplot as plt
import narwhals.stable.v2 as nw
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba_array
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ..data.frames import as_frame, as_rows
from ..errors import InputError, Message, Setting
from ..estimators.data_units import centers_in_data_units, has_data_units, transformed_names, units
from ..estimators.pipeline import feature_names, n_features_in, received_rows, split_pipeline
from ._colors import PALETTE, to_lab, to_rgb

Array: TypeAlias = NDArray[np.float64]
Style: TypeAlias = dict[str, Any]


def fitted_attribute(estimator: Any, attribute: str) -> Any:
    """Return an attribute of a fitted estimator.

    Raises
    ------
    InputError
        If the estimator does not have it.
    """
    if not hasattr(estimator, attribute):
        problem = f"is a {type(estimator).__name__} without {attribute}"
        expected = "a fitted SoftKMeans, or a pipeline that ends in one"
        raise InputError(problem, parameter="estimator", expected=expected)
    return getattr(estimator, attribute)


def axes(ax: Axes | None, figsize: tuple[float, float] | None = None) -> tuple[Axes, Any]:
    """Return the axes and their figure; create a new figure if `ax` is None."""
    ax = plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax
    return ax, ax.figure


def panels(
    ax: Any, n_rows: int, n_columns: int, *, figsize: Any = None, height_ratios: Any = None
) -> tuple[list[Axes], Any]:
    """Return n_rows * n_columns panels with a shared x axis, and their figure.

    They are on a new figure if `ax` is None, the given Axes, or subdivisions of a single given Axes.

    Raises
    ------
    InputError
        If the number of Axes is wrong, or a single Axes is not part of a grid of subplots.
    """
    if ax is None:
        figure = plt.figure(figsize=figsize, layout="constrained")
        return _shared_x_subplots(figure.add_gridspec(n_rows, n_columns, height_ratios=height_ratios)), figure
    given = [ax] if isinstance(ax, Axes) else list(np.ravel(ax))
    if len(given) == n_rows * n_columns:
        return given, given[0].figure
    grid_cell = given[0].get_subplotspec() if len(given) == 1 else None
    if grid_cell is None:
        n = n_rows * n_columns
        hint = f"give {n}, or one of plt.subplots() to be divided"
        raise InputError(f"has {len(given)} Axes", parameter="ax", expected=f"{n}", hint=hint)
    given[0].set_axis_off()
    return _shared_x_subplots(grid_cell.subgridspec(n_rows, n_columns, height_ratios=height_ratios)), given[0].figure


def _shared_x_subplots(grid: Any) -> list[Axes]:
    """Return the subplots of a grid, row by row."""
    return list(grid.subplots(sharex=True, squeeze=False).flat)


def as_matrix(values: Any, name: str, shape: str) -> Array:
    """Convert a two-dimensional array, tensor or table to float64 on the CPU.

    The result may share memory with `values`, so it must not be written to.

    Raises
    ------
    InputError
        If values are not numeric, not finite or not two-dimensional.
    """
    try:
        is_tensor = hasattr(values, "detach")
        array = np.asarray(values.detach().cpu().double() if is_tensor else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        hint = f"give numbers of shape {shape}"
        raise InputError(f"is not numeric ({error})", parameter=name, hint=hint) from error
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"has shape {array.shape}", parameter=name, expected=shape, hint="reshape it")
    if not np.isfinite(array).all():
        problem, hint = "has missing or infinite values", "drop or impute those rows"
        raise InputError(problem, parameter=name, expected="finite ones", hint=hint)
    return array


def check_predictions(X: Any, resp: Any, centers: Any) -> tuple[Array, Array, Array]:
    """Return data (n, d), memberships (n, k) and centers (k, d) as arrays, after checking their shapes."""
    X, centers = as_matrix(X, "X", "(n, d)"), as_matrix(centers, "centers", "(k, d)")
    if X.shape[1] != centers.shape[1]:
        problem = Message(f"has {X.shape[1]} features and ", Setting("centers"), f" {centers.shape[1]}")
        raise InputError(problem, parameter="X", hint="give both with the same features")
    return X, as_memberships(resp, "resp", (len(X), len(centers))), centers


def as_memberships(values: Any, name: str, shape: tuple[int, int]) -> Array:
    """Return memberships of a shape as an array, after checking their values; rows may add up to less than 1."""
    resp = as_matrix(values, name, str(shape))
    if resp.shape != shape:
        hint = "give a row per sample and a column per center"
        raise InputError(f"has shape {resp.shape}", parameter=name, expected=f"{shape}", hint=hint)
    low, total = resp.min(), resp.sum(axis=1).max()
    if low < 0 or total > 1.001:
        problem = f"has values down to {low:.3g} and rows that add up to {total:.3g}"
        hint = "give memberships, not distances or logits"
        raise InputError(problem, parameter=name, expected="probabilities", hint=hint)
    return resp


def cluster_colors(colors: Any, numbers: NDArray[np.int64]) -> Array:
    """Return the colors of clusters in OKLab (k, 3): the given ones, or those of the palette with these numbers (k,).

    Raises
    ------
    InputError
        If there is not one color for each cluster.
    """
    lab = to_lab(to_rgba_array(np.array(PALETTE)[numbers] if colors is None else colors)[:, :3])
    if len(lab) != len(numbers):
        problem = f"has {len(lab)} colors for {len(numbers)} clusters"
        raise InputError(problem, parameter="colors", hint="give one color per cluster")
    return lab


def sequential_colormap(color: str) -> ListedColormap:
    """Return a colormap from white to a darker shade of a color."""
    white, full = to_lab(np.ones(3)), to_lab(to_rgba_array(color)[0, :3])
    fraction = np.linspace(0, 1, 256)[:, None]
    return ListedColormap(to_rgb(white + fraction * (full * [0.75, 1, 1] - white)))


def average_neighbors(values: Array, max_rows: int) -> tuple[Array, float]:
    """Average neighboring rows of (n, c) so that at most max_rows remain; return them, and the rows per average."""
    n = len(values)
    if n <= max_rows:
        return values, 1.0
    starts = np.arange(max_rows) * n // max_rows
    sizes = np.diff(starts, append=n)
    return np.add.reduceat(values, starts, axis=0) / sizes[:, None], n / max_rows


def describe_rows(n: int, rows_per_line: float) -> str:
    """Return a label with the number of rows, and the number averaged for each drawn line if above 1."""
    return f"{n} rows" if rows_per_line == 1 else f"{n} rows, each line a mean of {rows_per_line:.2g}"


class Shown(NamedTuple):
    """What a picture shows of a model.

    Attributes
    ----------
    estimator : object
        The estimator, without the transformers in front of it.
    rows, centers : array or table (n, d) and array (k, d)
        Rows and centers, in the units of the data, or those that the estimator receives.
    names : list of d str or None
        Names of the features.
    space : str
        What the rows are if they are not the data, such as "standardized data"; else "".
    resp : array or tensor (n, k)
        The memberships.
    predict_proba : callable
        Function from rows (m, d) to memberships (m, k).
    """

    estimator: Any
    rows: Any
    centers: Any
    names: list[str] | None
    space: str
    resp: Any
    predict_proba: Callable[[Array], Any]


def shown(model: Any, X: Any, *, in_data_units: bool = True) -> Shown:
    """Return what a picture shows of a fitted model and data: of a pipeline, what its estimator receives.

    With ``in_data_units``, one or two features are shown in the units of the data, if these exist for each of them.

    Raises
    ------
    InputError
        If the model is not fitted, or has a step that is not supported.
    """
    if not isinstance(model, Pipeline):
        names = getattr(model, "feature_names_in_", None)
        names = None if names is None else list(names)
        centers, resp = fitted_attribute(model, "cluster_centers_"), fitted_attribute(model, "predict_proba")(X)
        return Shown(model, X, centers, names, "", resp, proba_function(model.predict_proba, X))
    preprocessing, estimator = split_pipeline(model)
    fitted_attribute(estimator, "cluster_centers_")
    rows = received_rows(model, X)
    resp = estimator.predict_proba(rows)
    if in_data_units and n_features_in(model) <= 2 and has_data_units(model) and not _has_missing(X):
        centers = centers_in_data_units(model)[1]
        predict_proba = proba_function(lambda grid: estimator.predict_proba(received_rows(model, grid)), X)
        return Shown(estimator, X, centers, feature_names(model), "", resp, _within(X, predict_proba))
    rows = as_rows(rows)
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    names = transformed_names(model)
    space, predict_proba = units(preprocessing), estimator.predict_proba
    return Shown(estimator, rows, estimator.cluster_centers_, names, space, resp, predict_proba)


def _within(X: Any, predict_proba: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """Return a function to memberships that also takes rows beside the data, where a logarithm may not be defined.

    There, memberships are those at the border of the data.
    """
    data = np.asarray(as_rows(X), dtype=np.float64)

    def predict(rows: Array) -> Any:
        try:
            with np.errstate(all="ignore"):
                return predict_proba(rows)
        except ValueError:
            return predict_proba(np.clip(rows, data.min(0), data.max(0)))

    return predict


def _has_missing(X: Any) -> bool:
    """Return whether numbers are missing, which a pipeline may fill and a picture can't show."""
    return bool(np.isnan(np.asarray(as_rows(X), dtype=np.float64)).any())


def proba_function(predict_proba: Callable[[Any], Any], X: Any) -> Callable[[Array], Any]:
    """Return a function from arrays (m, d) to memberships (m, k), of a function of tables like X."""
    frame = as_frame(X)

    def predict(rows: Array) -> Any:
        if frame is None:
            return predict_proba(rows)
        # an estimator fitted on a data frame warns if column names are missing
        table = nw.from_numpy(rows, schema=frame.columns, backend=frame.implementation)
        return predict_proba(table.to_native())

    return predict
