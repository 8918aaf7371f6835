"""What the command line says of a model: small tables of text."""

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

from ..estimators.pipeline import Model, centers_in_units, feature_names, parts
from ..temperature import as_temperature
from .diagnostics import diagnose
from .stability import Stability

MOST = 25  # rows of a table of centers


def figures(model: Model) -> dict[str, str]:
    """Name and value of what a fit found; F, E and H are sums over the rows.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> figures(SoftKMeans(2, temperature=2.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]]))["distortion E"]
    '0.04'
    """
    scaler, estimator = parts(model)
    values = vars(estimator)
    units = "" if scaler is None else " (of standardized data)"
    temperature = values.get("temperature_", math.nan)
    found: dict[str, str] = {
        "temperature": f"{temperature:.6g}{units}" if np.ndim(temperature) == 0 else f"one a cluster{units}"
    }
    found |= {"fuzzifier": f"{values['fuzzifier']:g}"} if "fuzzifier" in values else {}
    if "history_" in values:
        n = estimator.cluster_weights_.sum() + values.get("noise_weight_", 0.0)
        entropy = values.get("entropy_", math.nan)
        found |= {
            **({} if _is_solved(values) else {"loss per row": f"{estimator.objective_ / n:.6g}"}),
            "free energy F": f"{values.get('free_energy_', math.nan):.6g}",
            "distortion E": f"{estimator.distortion_:.6g}",
            "entropy H": f"{entropy:.6g} (a row is spread over {math.exp(entropy / n):.2f} clusters)",
            **({"noise": f"{values['noise_weight_']:.1f} rows"} if values["noise_distance"] else {}),
            "steps": f"{estimator.n_iter_} ({'converged' if estimator.converged_ else 'not converged'})",
        }
    return {name: value for name, value in found.items() if not value.startswith("nan")}  # what the model has not


def _is_solved(values: Mapping[str, Any]) -> bool:
    """Whether what the fit followed says how far it is from where it stays, and is no loss."""
    return "temperature" in values and as_temperature(values["temperature"]).solved


def agreement(known: ArrayLike, found: ArrayLike) -> dict[str, str]:
    """Name and value of the adjusted Rand index (1 for the same partition, 0 for chance) between two labelings (n,).

    Parameters
    ----------
    known, found : array-like (n,)
        Labels.

    Examples
    --------
    >>> agreement([0, 0, 1, 1], [1, 1, 0, 0])
    {'adjusted Rand index': '1.0000'}
    """
    return {"adjusted Rand index": f"{adjusted_rand_score(known, found):.4f}"}


def summarize(model: Model, stability: Stability | None = None) -> str:
    """Give a text of what a fit found, with warnings of what speaks against trusting it (`selection.diagnose`).

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted.
    stability : Stability, optional
        What `softkmeans.stability` found for it.

    Examples
    --------
    >>> from softkmeans import SoftKMeans, summarize
    >>> print(summarize(SoftKMeans(2, temperature=0.1, random_state=0).fit([[0.0], [2.0], [8.0], [10.0]])))
    cluster  size  feature 0
    ...
    warning: the temperature given is so low that memberships are hard (a row is spread over 1.0000 clusters): ...
    """
    warnings = [f"warning: {doubt}" for doubt in diagnose(parts(model)[1], stability)]
    return "\n".join([_centers(model, stability), _figures(figures(model)), *warnings])


def print_figures(rows: Mapping[str, str]) -> None:
    """Print names and values, one a line.

    Parameters
    ----------
    rows : mapping of str to str
        What to print.

    Examples
    --------
    >>> print_figures({"temperature": "2"})
    temperature  2
    """
    print(_figures(rows))  # noqa: T201 -- for standard output


def print_centers(model: Model, stability: Stability | None = None) -> None:
    """Print the clusters' sizes Σ w r and stability, where known, and centers; clusters or features down, as suits.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted.
    stability : Stability, optional
        What `softkmeans.stability` found for it.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> print_centers(SoftKMeans(2, random_state=0).fit([[0.0], [2.0], [8.0], [10.0]]))
    cluster  size  feature 0
    ...
    """
    print(_centers(model, stability))  # noqa: T201 -- for standard output


def print_columns(columns: Mapping[str, Sequence[str]]) -> None:
    """Print a table of columns under their names, the first to the left.

    Parameters
    ----------
    columns : mapping of str to sequence of str
        What to print.

    Examples
    --------
    >>> print_columns({"k": ["1", "2"], "bic": ["9.5", "8.25"]})
    k  bic
    ...
    """
    print(_table(list(columns), list(columns.values())))  # noqa: T201 -- for standard output


def _figures(rows: Mapping[str, str]) -> str:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return _text(table)


def _centers(model: Model, stability: Stability | None) -> str:
    centers, (_, estimator) = centers_in_units(model).astype(np.float64), parts(model)
    names = feature_names(model) or [f"feature {j}" for j in range(centers.shape[1])]
    centers[np.abs(centers) < 1e-9 * np.abs(centers).max(0)] = 0  # what rounding leaves of 0
    columns = {name: [f"{value:.4g}" for value in values] for name, values in zip(names, centers.T, strict=True)}
    if stability is not None:
        columns = {"stability": [f"{value:.2f}" for value in stability.clusters]} | columns
    if hasattr(estimator, "cluster_weights_"):
        columns = {"size": [f"{size:.1f}" for size in estimator.cluster_weights_]} | columns
    if np.ndim(vars(estimator).get("temperature_", 0.0)):
        columns |= {"temperature": [f"{t:.4g}" for t in estimator.temperature_]}
    clusters = [str(number) for number in range(len(centers))]
    if len(columns) <= len(clusters):
        return _table(["cluster", *columns], [clusters, *columns.values()])
    rows = list(columns.items())[:MOST]
    found = _table(["cluster", *clusters], [[n for n, _ in rows], *zip(*(v for _, v in rows), strict=True)])
    return found if len(columns) <= MOST else f"{found}\n... and {len(columns) - MOST} more features"


def _table(heads: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="left" if head == heads[0] else "right")
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return _text(table)


def _text(table: Table) -> str:
    # Never narrower than the table: a terminal may wrap lines, but no number is cut.
    file = io.StringIO()
    Console(file=file, highlight=False, markup=False, width=10_000).print(table)
    return file.getvalue().removesuffix("\n")
