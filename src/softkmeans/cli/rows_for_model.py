"""Read the rows that a saved model is applied to."""

from __future__ import annotations

__all__ = ["load_model", "read_for", "scan_for"]

from pathlib import Path
from typing import Any

import softkmeans as sk

from ..errors import InputError
from .row_options import RowOptions


def load_model(model_file: Path, file: Path) -> Any:
    """Load a model; raise an InputError if the names of the model and of the data are swapped."""
    try:
        return sk.load(model_file)
    except InputError:
        if model_file.exists() and _is_model(file):
            problem = f"{model_file} is not a model file, but {file} is"
            raise InputError(problem, hint="the model comes first, and then the data") from None
        raise


def _is_model(file: Path) -> bool:
    try:
        sk.load(file)
    except InputError:
        return False
    return True


def read_for(model: Any, file: Path, options: RowOptions, *, with_labels: bool = False) -> Any:
    """Read the columns that a model was fitted on, by name if both have names, otherwise by position."""
    from ..data.files.tables import read_frame  # imported here to keep --help fast

    names = sk.estimators.feature_names(model)
    by_name = names if names is not None and options.known_names(file) else None
    arguments = options.for_model(file, by_name)
    labels = [options.label_column] if with_labels and options.label_column is not None else []
    columns = sk.estimators.input_columns(model)
    if by_name and (columns.texts or columns.unused or sk.estimators.fills_missing(model)):
        read = read_frame(file, columns, carry=[*arguments["carry"], *labels], dialect=arguments["dialect"])
        _check_transformable(model, file, read.rows)
        return read
    if with_labels:
        arguments["label_column"] = options.label_column
    table = sk.data.read_table(file, **arguments)
    _check_n_columns(model, file, table.x.shape[1])
    return table._replace(columns=None if names is None else tuple(names))


def _check_transformable(model: Any, file: Path, rows: Any) -> None:
    """Raise an InputError if scikit-learn's transformers refuse rows, such as those with unknown categories."""
    try:
        sk.estimators.received_rows(model, rows)
    except InputError:
        raise
    except ValueError as error:
        reason = " ".join(str(error).split())
        hint = "correct them, or fit the model on such rows"
        raise InputError(f"{file}: the model can't take these rows ({reason})", hint=hint) from error


def scan_for(model: Any, file: Path, options: RowOptions) -> Any:
    """Open the columns that a model was fitted on, to be read in blocks."""
    names = sk.estimators.feature_names(model)
    by_name = names if names is not None and options.known_names(file) else None
    scan = sk.data.scan(file, **options.for_model(file, by_name, blocks=True))
    if by_name is not None:
        return scan
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
