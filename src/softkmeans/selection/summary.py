"""Summaries of a fitted model as small text tables, as the command line prints them."""

from __future__ import annotations

__all__ = [
    "agreement",
    "cluster_columns",
    "figures",
    "fit_figures",
    "print_centers",
    "print_columns",
    "print_figures",
    "short_names",
    "summarize",
]

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.metrics import adjusted_rand_score

from .._utils.text import printable, shortened
from ..errors import Message, PythonOnly
from ..estimators.data_units import centers_in_data_units, units
from ..estimators.pipeline import Model, split_pipeline
from ..temperature import as_temperature
from .diagnostics import diagnose, softer
from .softness import Softness, describe_softness, spread
from .stability import Stability

OWN_COLUMNS = ("cluster", "size", "stability", "temperature")  # columns of a table of centers that are no features
MAX_FEATURES = 24  # of centers that are printed
MAX_WIDTH = 120  # of a table of centers, in characters
MAX_NAME = 24  # characters of a feature's name


def figures(model: Model, softness: Softness | None = None) -> dict[str, str]:
    """Return what a person asks first about a fit, as names and formatted values: above all how soft it is.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    softness : Softness, optional
        The largest memberships of its rows.

    Returns
    -------
    dict of str to str
        Values by name; values that the model does not have are left out. Those that name parameters are messages, which
        the command line writes with options.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> figures(SoftKMeans(2, temperature=2.0, random_state=0).fit([[0.0], [1.0], [5.0], [6.0]]))["memberships"]
    'nearly hard: a row is spread over 1.00 clusters on average'
    """
    preprocessing, estimator = split_pipeline(model)
    values, of_what = vars(estimator), units(preprocessing)
    suffix = f" (of {of_what})" if of_what else ""
    t = values.get("temperature_", math.nan)
    result = {
        "sizes": "sums of the memberships in each cluster" if "cluster_weights_" in values else "",
        "centers": _why_not_printed(model) or "",
        "memberships": describe_softness(estimator, softness),
        "for softer ones": softer(estimator) or "",
        "temperature": f"{t:.6g}{suffix}" if np.ndim(t) == 0 else f"one per cluster{suffix}",
    }
    if "fuzzifier" in values:
        result["fuzzifier"] = f"{values['fuzzifier']:g}"
    if "history_" in values and values["noise_distance"]:
        result["noise"] = f"{values['noise_weight_']:.1f} rows"
    return {name: value for name, value in result.items() if value and not value.startswith("nan")}


def fit_figures(model: Model) -> dict[str, str]:
    """Return the objective of a fit, F, E, H and the number of passes, as names and values with their meaning.

    F, E and H are sums over the rows.

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
    >>> fit_figures(SoftKMeans(2, temperature=2.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]]))["distortion E"]
    '0.04 (distances of rows from centers, weighted by memberships)'
    """
    _, estimator = split_pipeline(model)
    values = vars(estimator)
    if "history_" not in values:
        return {}
    n = estimator.cluster_weights_.sum() + values.get("noise_weight_", 0.0)
    ending = "converged" if estimator.converged_ else "not converged"
    result = {
        "loss per row": f"{estimator.objective_ / n:.6g} (what the fit minimizes)",
        "free energy F": f"{values.get('free_energy_', math.nan):.6g} (E - T H, for equal priors)",
        "distortion E": f"{estimator.distortion_:.6g} (distances of rows from centers, weighted by memberships)",
        "entropy H": f"{values.get('entropy_', math.nan):.6g} (a row is spread over {spread(estimator):.2f} clusters)",
        "steps": f"{estimator.n_iter_} passes over the rows ({ending})",
    }
    if _has_temperature_equation(values):  # then the objective is a residual, not a loss
        del result["loss per row"]
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
        The index, with its meaning.

    Examples
    --------
    >>> agreement([0, 0, 1, 1], [1, 1, 0, 0])
    {'adjusted Rand index': '1.0000 (agreement with the known classes: 1 if they are the same, 0 by chance)'}
    """
    meaning = "agreement with the known classes: 1 if they are the same, 0 by chance"
    return {"adjusted Rand index": f"{adjusted_rand_score(known, found):.4f} ({meaning})"}


def summarize(model: Model, stability: Stability | None = None, *, verbose: bool = False) -> str:
    """Return a text with the centers of a fit, how soft it is, and the warnings of `selection.diagnose`.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    stability : Stability, optional
        The result of `softkmeans.stability` for this model.
    verbose : bool, default=False
        Whether to add the objective, F, E, H and the number of passes.

    Returns
    -------
    str
        Lines of text. A size is the sum of the memberships in a cluster.

    Examples
    --------
    >>> from softkmeans import SoftKMeans, summarize
    >>> print(summarize(SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [2.0], [8.0], [10.0]])))
    cluster  size  feature 0
    ...
    warning: the temperature given is so low that memberships are hard (a row is spread over 1.0000 clusters): ...
    """
    warnings = [f"warning: {warning}" for warning in diagnose(split_pipeline(model)[1], stability)]
    shown = figures(model) | (fit_figures(model) if verbose else {})
    return "\n".join([_centers(model, stability), *filter(None, [_figures(shown)]), *warnings])


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
    are more features than clusters. Centers of more than 24 features, or whose table is wider than 120 characters, are
    left out.

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
    columns = cluster_columns(model, stability)
    own = {name: columns[name] for name in OWN_COLUMNS if name in columns}
    return _fitting_table(columns) or _table_of_clusters(_formatted(own))


def _why_not_printed(model: Model) -> Message | None:
    """Return why `print_centers` leaves the centers out, and where they are; None if it prints them."""
    columns = cluster_columns(model)
    if _fitting_table(columns):
        return None
    n = sum(name not in OWN_COLUMNS for name in columns)
    return Message(
        f"of {n} features in {len(columns['cluster'])} clusters, too many to print: ",
        PythonOnly(
            "`estimators.centers_in_data_units` returns them", "`fit` and `info` write them to a file with --centers"
        ),
    )


def cluster_columns(model: Model, stability: Stability | None = None) -> dict[str, Any]:
    """Return the columns of a table of the clusters: their numbers, sizes and centers, and what else is known.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    stability : Stability, optional
        The result of `softkmeans.stability` for this model.

    Returns
    -------
    dict of str to ndarray (k,)
        Columns by name: "cluster", "size" (Σ w r), "stability", the features, and "temperature" if each cluster has its
        own. A feature that has one of these names becomes ``feature 'size'``, and so on.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> list(cluster_columns(SoftKMeans(2, random_state=0).fit([[0.0], [2.0], [8.0], [10.0]])))
    ['cluster', 'size', 'feature 0']
    """
    (names, centers), (_, estimator) = centers_in_data_units(model), split_pipeline(model)
    centers = np.asarray(centers, dtype=np.float64).copy()
    centers[np.abs(centers) < 1e-9 * np.abs(centers).max(0)] = 0  # hide rounding errors
    fitted = vars(estimator)
    columns: dict[str, Any] = {"cluster": np.arange(len(centers))}
    if "cluster_weights_" in fitted:
        columns["size"] = fitted["cluster_weights_"]
    if stability is not None:
        columns["stability"] = stability.clusters
    names = [f"feature {name!r}" if name in OWN_COLUMNS else name for name in names]
    columns |= dict(zip(names, centers.T, strict=True))
    if np.ndim(fitted.get("temperature_", 0.0)):
        columns["temperature"] = fitted["temperature_"]
    return columns


def _formatted(columns: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return columns with their numbers as text, and short names."""
    formats = {"cluster": "d", "size": ".1f", "stability": ".2f"}
    texts = [[f"{value:{formats.get(name, '.4g')}}" for value in column] for name, column in columns.items()]
    return dict(zip(short_names(columns), texts, strict=True))


def short_names(names: Iterable[str]) -> list[str]:
    """Return the names of features as tables and lines show them.

    Parameters
    ----------
    names : iterable of str
        Different names.

    Examples
    --------
    >>> short_names(["height", "mean temperature of the outer wall"])
    ['height', 'mean tempera… outer wall']
    """
    return shortened([printable(name) for name in names], MAX_NAME)


def _fitting_table(columns: Mapping[str, Any]) -> str:
    """Return the table with one row per cluster or per feature; "" if centers are too many or too wide."""
    if len(columns) - sum(name in columns for name in OWN_COLUMNS) > MAX_FEATURES:
        return ""
    shown = _formatted(columns)
    layouts = [_table_of_clusters, _table_of_features]
    if len(columns) - 1 > len(columns["cluster"]):
        layouts.reverse()
    tables = (layout(shown) for layout in layouts)
    return next((table for table in tables if len(table.splitlines()[1]) <= MAX_WIDTH), "")


def _table_of_clusters(columns: Mapping[str, list[str]]) -> str:
    """Return the table with one row per cluster."""
    return _table(list(columns), list(columns.values()))


def _table_of_features(columns: Mapping[str, list[str]]) -> str:
    """Return the table with one column per cluster."""
    (head, clusters), *rows = columns.items()
    return _table([head, *clusters], [[name for name, _ in rows], *zip(*(values for _, values in rows), strict=True)])


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
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())
