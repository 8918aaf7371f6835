"""Summaries of a fitted model as small text tables, as the command line prints them."""

from __future__ import annotations

__all__ = ["agreement", "figures", "print_centers", "print_columns", "print_figures", "summarize"]

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.metrics import adjusted_rand_score

from .._utils.text import printable
from ..estimators.data_units import centers_in_data_units, units
from ..estimators.pipeline import Model, split_pipeline
from ..temperature import as_temperature
from .diagnostics import diagnose
from .stability import Stability

OWN_COLUMNS = ("cluster", "size", "stability", "temperature")  # columns of a table of centers that are no features
MAX_FEATURE_ROWS = 25  # of a table of centers with one row per feature


def figures(model: Model) -> dict[str, str]:
    """Return the results of a fit as names and formatted values; F, E and H are sums over the rows.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Returns
    -------
    dict of str to str
        Values by name; values that the model does not have are left out.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> figures(SoftKMeans(2, temperature=2.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]]))["distortion E"]
    '0.04'
    """
    preprocessing, estimator = split_pipeline(model)
    values, of_what = vars(estimator), units(preprocessing)
    suffix = f" (of {of_what})" if of_what else ""
    t = values.get("temperature_", math.nan)
    result = {"temperature": f"{t:.6g}{suffix}" if np.ndim(t) == 0 else f"one per cluster{suffix}"}
    if "fuzzifier" in values:
        result["fuzzifier"] = f"{values['fuzzifier']:g}"
    if "history_" in values:
        n = estimator.cluster_weights_.sum() + values.get("noise_weight_", 0.0)
        entropy = values.get("entropy_", math.nan)
        if not _has_temperature_equation(values):  # else the objective is a residual, not a loss
            result["loss per row"] = f"{estimator.objective_ / n:.6g}"
        result["free energy F"] = f"{values.get('free_energy_', math.nan):.6g}"
        result["distortion E"] = f"{estimator.distortion_:.6g}"
        result["entropy H"] = f"{entropy:.6g} (a row is spread over {math.exp(entropy / n):.2f} clusters)"
        if values["noise_distance"]:
            result["noise"] = f"{values['noise_weight_']:.1f} rows"
        result["steps"] = f"{estimator.n_iter_} ({'converged' if estimator.converged_ else 'not converged'})"
    return {name: value for name, value in result.items() if not value.startswith("nan")}


def _has_temperature_equation(values: Mapping[str, Any]) -> bool:
    """Return whether the temperature is defined by an equation, so that the fit does not minimize an objective."""
    return "temperature" in values and as_temperature(values["temperature"]).solves_equation


def agreement(known: ArrayLike, found: ArrayLike) -> dict[str, str]:
    """Return the name and formatted value of the adjusted Rand index between two labelings of the same rows.

    Parameters
    ----------
    known, found : array-like (n,)
        Labels.

    Returns
    -------
    dict of str to str
        The index: 1 for the same partition, about 0 for unrelated ones.

    Examples
    --------
    >>> agreement([0, 0, 1, 1], [1, 1, 0, 0])
    {'adjusted Rand index': '1.0000'}
    """
    return {"adjusted Rand index": f"{adjusted_rand_score(known, found):.4f}"}


def summarize(model: Model, stability: Stability | None = None) -> str:
    """Return a text with the centers and results of a fit, and the warnings of `selection.diagnose`.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    stability : Stability, optional
        The result of `softkmeans.stability` for this model.

    Returns
    -------
    str
        Lines of text.

    Examples
    --------
    >>> from softkmeans import SoftKMeans, summarize
    >>> print(summarize(SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [2.0], [8.0], [10.0]])))
    cluster  size  feature 0
    ...
    warning: the temperature given is so low that memberships are hard (a row is spread over 1.0000 clusters): ...
    """
    warnings = [f"warning: {warning}" for warning in diagnose(split_pipeline(model)[1], stability)]
    return "\n".join([_centers(model, stability), _figures(figures(model)), *warnings])


def print_figures(rows: Mapping[str, str]) -> None:
    """Print names and values, one pair per line.

    Parameters
    ----------
    rows : mapping of str to str
        Values by name.

    Examples
    --------
    >>> print_figures({"temperature": "2"})
    temperature  2
    """
    print(_figures(rows), flush=True)  # noqa: T201 -- meant for standard output


def print_centers(model: Model, stability: Stability | None = None) -> None:
    """Print a table of the clusters: their weights Σ w r and stability, if known, and their centers.

    The centers are in the units of the data, as far as the steps of a pipeline can be undone (see
    `softkmeans.estimators.centers_in_data_units`). The table has one row per cluster, or one row per feature if there
    are more features than clusters.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    stability : Stability, optional
        The result of `softkmeans.stability` for this model.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> print_centers(SoftKMeans(2, random_state=0).fit([[0.0], [2.0], [8.0], [10.0]]))
    cluster  size  feature 0
    ...
    """
    print(_centers(model, stability), flush=True)  # noqa: T201 -- meant for standard output


def print_columns(columns: Mapping[str, Sequence[str]] | Sequence[tuple[str, Sequence[str]]]) -> None:
    """Print a table of columns with their names; the first column is left-aligned, the others right-aligned.

    Parameters
    ----------
    columns : mapping of str to sequence of str, or sequence of pairs
        Cells of each column, by name. Names in pairs may repeat.

    Examples
    --------
    >>> print_columns({"k": ["1", "2"], "bic": ["9.5", "8.25"]})
    k  bic
    ...
    """
    pairs = list(columns.items()) if isinstance(columns, Mapping) else columns
    print(_table([name for name, _ in pairs], [cells for _, cells in pairs]), flush=True)  # noqa: T201 -- meant for standard output


def _figures(rows: Mapping[str, str]) -> str:
    """Return the text of `print_figures`."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(printable(name), printable(value))
    return _text(table)


def _centers(model: Model, stability: Stability | None) -> str:
    """Return the text of `print_centers`."""
    (names, centers), (_, estimator) = centers_in_data_units(model), split_pipeline(model)
    centers = centers.astype(np.float64)
    centers[np.abs(centers) < 1e-9 * np.abs(centers).max(0)] = 0  # hide rounding errors
    names = [f"feature {name!r}" if name in OWN_COLUMNS else name for name in names]
    columns = [(name, [f"{value:.4g}" for value in values]) for name, values in zip(names, centers.T, strict=True)]
    if stability is not None:
        columns.insert(0, ("stability", [f"{value:.2f}" for value in stability.clusters]))
    if hasattr(estimator, "cluster_weights_"):
        columns.insert(0, ("size", [f"{size:.1f}" for size in estimator.cluster_weights_]))
    temperature = vars(estimator).get("temperature_", 0.0)
    if np.ndim(temperature):
        columns.append(("temperature", [f"{t:.4g}" for t in temperature]))
    clusters = [str(k) for k in range(len(centers))]
    if len(columns) <= len(clusters):
        return _table(["cluster", *(name for name, _ in columns)], [clusters, *(values for _, values in columns)])
    rows = columns[:MAX_FEATURE_ROWS]
    row_names, row_values = [name for name, _ in rows], [values for _, values in rows]
    text = _table(["cluster", *clusters], [row_names, *zip(*row_values, strict=True)])
    if len(columns) > MAX_FEATURE_ROWS:
        text += f"\n... and {len(columns) - MAX_FEATURE_ROWS} more features"
    return text


def _table(heads: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    """Return a table with a header as text."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(printable(head), justify="right" if number else "left")
    for row in zip(*columns, strict=True):
        table.add_row(*map(printable, row))
    return _text(table)


def _text(table: Table) -> str:
    """Return the text of a table."""
    # Wider than any table: a terminal may wrap lines, but no number is truncated.
    file = io.StringIO()
    # In a notebook, a console would display the table and leave the file empty.
    Console(file=file, force_jupyter=False, highlight=False, markup=False, width=10_000).print(table)
    return file.getvalue().removesuffix("\n")
