"""Read the rows that a saved model is applied to."""

from __future__ import annotations

__all__ = ["read_for", "scan_for"]

from pathlib import Path
from typing import Any

import softkmeans as sk

from ..errors import InputError
from .row_options import RowOptions


def read_for(model: Any, file: Path, options: RowOptions, *, with_labels: bool = False) -> Any:
    """Read the columns that a model was fitted on, by name if both have names, otherwise by position."""
    from ..data.files.tables import column_names_of  # imported here to keep --help fast

    names = sk.estimators.feature_names(model)
    by_name = names if names is not None and column_names_of(file, options.dialect) else None
    arguments = options.for_model(file, by_name)
    if with_labels:
        arguments["label_column"] = options.label_column
    table = sk.data.read_table(file, **arguments)
    _check_n_columns(model, file, table.x.shape[1])
    return table._replace(columns=None if names is None else tuple(names))


def scan_for(model: Any, file: Path, options: RowOptions) -> Any:
    """Open the columns that a model was fitted on, to be read in blocks."""
    names, scan = sk.estimators.feature_names(model), sk.data.scan(file, **options.for_model(file, None, blocks=True))
    if names is not None and scan.columns is not None:
        return sk.data.scan(file, **options.for_model(file, names, blocks=True))
    _check_n_columns(model, file, scan.n_features)
    scan.columns = None if names is None else tuple(names)
    return scan


def _check_n_columns(model: Any, file: Path, n_columns: int) -> None:
    """Raise an InputError unless a file has as many numeric columns as the model was fitted on."""
    expected = sk.estimators.n_features_in(model)
    if n_columns != expected:
        raise InputError(
            f"{file} has {n_columns} numeric columns",
            expected=f"the {expected} that the model was fitted on",
            hint="give a file with these columns",
        )
