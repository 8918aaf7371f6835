"""What commands read, and how it is checked before any work."""

from __future__ import annotations

__all__ = ["check_rows", "read_for", "report_rows", "scan_for", "standardized"]

from pathlib import Path
from typing import Any

import numpy as np
import typer

import softkmeans as sk

from .._utils.checks import check_known
from ..errors import InputError


def read_for(model: Any, file: Path) -> Any:
    """Read the columns that a model was fitted on, by name where both have names, else by place."""
    names = sk.estimators.feature_names(model)
    if names is not None and file.suffix.lower() not in (".npy", ".npz"):
        return sk.data.read_table(file, columns=names)
    table = sk.data.read_table(file)
    _check_number(model, file, table.x.shape[1])
    return table._replace(columns=None if names is None else tuple(names))


def scan_for(model: Any, file: Path) -> Any:
    """Open the same to be read in blocks."""
    names, scan = sk.estimators.feature_names(model), sk.data.scan(file)
    if names is not None and scan.columns is not None:
        return sk.data.scan(file, columns=names)
    _check_number(model, file, scan.n_features)
    scan.columns = None if names is None else tuple(names)
    return scan


def _check_number(model: Any, file: Path, found: int) -> None:
    expected = sk.estimators.parts(model)[1].n_features_in_
    if found != expected:
        raise InputError(f"{file} has {found} numeric columns, but the model was fitted on {expected}")


def check_rows(x: Any, n_clusters: int, option: str = "--n-clusters") -> None:
    """Refuse rows (n, d) that can't be squared, or of which fewer are distinct than there are to be clusters."""
    largest = float(np.abs(x).max())  # float32 would overflow in the comparison
    if largest > 1e150:
        raise InputError(f"the data holds values as large as {largest:.3g}, too large to square: rescale it")
    n_distinct = sk.data.count_distinct(x)
    if 1 <= n_distinct < n_clusters:
        raise InputError(f"the data has {n_distinct} distinct rows, fewer than {option} {n_clusters}: lower it")


def report_rows(table: Any) -> None:
    """Print how many rows and features there are, and which columns were left out."""
    if table.ignored:
        typer.echo(f"left out, not numeric: {', '.join(name or '(unnamed)' for name in table.ignored)}")
    typer.echo(f"rows: {len(table.x)}, features: {table.x.shape[1]}")


def standardized(table: Any, scale: str) -> tuple[Any, Any]:
    """Give a fitted standardizer, or None, and the rows as it leaves them."""
    check_known("scale", scale, sk.estimators.SCALES)
    rows = table.frame()
    if scale == "none":
        return None, rows
    from sklearn.preprocessing import StandardScaler  # here, so that --help answers at once

    scaler = StandardScaler().fit(rows, sample_weight=table.weights)
    return scaler, scaler.transform(rows)
