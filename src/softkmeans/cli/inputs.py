"""Reading of input files, with checks before any computation."""

from __future__ import annotations

__all__ = ["check_rows", "read_for", "report_rows", "scan_for", "standardize"]

from pathlib import Path
from typing import Any

import numpy as np
import typer

import softkmeans as sk

from .._utils.checks import check_known
from ..errors import InputError


def read_for(model: Any, file: Path) -> Any:
    """Read the columns that a model was fitted on, by name if both have names, otherwise by position."""
    names = sk.estimators.feature_names(model)
    if names is not None and file.suffix.lower() not in (".npy", ".npz"):
        return sk.data.read_table(file, columns=names)
    table = sk.data.read_table(file)
    _check_n_columns(model, file, table.x.shape[1])
    return table._replace(columns=None if names is None else tuple(names))


def scan_for(model: Any, file: Path) -> Any:
    """Open the columns that a model was fitted on, to be read in blocks."""
    names, scan = sk.estimators.feature_names(model), sk.data.scan(file)
    if names is not None and scan.columns is not None:
        return sk.data.scan(file, columns=names)
    _check_n_columns(model, file, scan.n_features)
    scan.columns = None if names is None else tuple(names)
    return scan


def _check_n_columns(model: Any, file: Path, n_columns: int) -> None:
    """Raise an InputError unless a file has as many numeric columns as the model was fitted on."""
    expected = sk.estimators.split_pipeline(model)[1].n_features_in_
    if n_columns != expected:
        raise InputError(
            f"{file} has {n_columns} numeric columns, expected the {expected} that the model was fitted on: "
            "give a file with these columns"
        )


def check_rows(x: Any, n_clusters: int, option: str = "--n-clusters") -> None:
    """Raise an InputError if values of rows (n, d) are too large to square, or distinct rows fewer than clusters."""
    largest = float(np.abs(x).max())  # a Python float, as the limit overflows in float32
    if largest > 1e150:
        raise InputError(f"the data has values as large as {largest:.3g}, too large to square: rescale it")
    n_distinct = sk.data.count_distinct(x)
    if 1 <= n_distinct < n_clusters:
        raise InputError(f"{option} {n_clusters} is more than the {n_distinct} distinct rows of the data: lower it")


def report_rows(table: Any) -> None:
    """Print the numbers of rows and features, and the names of ignored columns."""
    if table.ignored:
        typer.echo(f"ignored non-numeric columns: {', '.join(name or '(unnamed)' for name in table.ignored)}")
    typer.echo(f"rows: {len(table.x)}, features: {table.x.shape[1]}")


def standardize(table: Any, scale: str) -> tuple[Any, Any]:
    """Return a fitted StandardScaler and the scaled rows; None and the rows as they are for ``scale="none"``."""
    check_known("scale", scale, sk.estimators.SCALES)
    rows = table.frame()
    if scale == "none":
        return None, rows
    from sklearn.preprocessing import StandardScaler  # imported here to keep --help fast

    scaler = StandardScaler().fit(rows, sample_weight=table.weights)
    return scaler, scaler.transform(rows)
