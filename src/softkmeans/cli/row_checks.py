"""Check, report and standardize the rows of a command, before any fit."""

from __future__ import annotations

__all__ = ["check_rows", "check_scale", "report_notes", "report_rows", "standardize"]

from typing import Any

import numpy as np
import typer

import softkmeans as sk

from .._utils.text import printable
from ..errors import InputError, Message, Setting


def check_rows(x: Any, n_clusters: int, setting: Message | None = None) -> None:
    """Raise an InputError if values of rows (n, d) are too large to square, or distinct rows fewer than clusters.

    ``setting`` is how messages name the number of clusters, by default "n_clusters=3".
    """
    largest = float(np.abs(x).max())  # a Python float, as the limit overflows in float32
    if largest > 1e150:
        raise InputError(f"the data has values as large as {largest:.3g}, too large to square", hint="rescale it")
    n_distinct = sk.data.count_distinct(x)
    if 1 <= n_distinct < n_clusters:
        subject = setting or Message(Setting("n_clusters", n_clusters))
        raise InputError(Message(subject, f" is more than the {n_distinct} distinct rows of the data"), hint="lower it")


def check_scale(scale: str, weights: Any) -> None:
    """Raise an InputError for a scale that would ignore weights."""
    if scale == "robust" and weights is not None:
        problem = Message("is not supported with ", Setting("weight_column"), ", as its medians have no weights")
        raise InputError(problem, parameter="scale", value=scale, hint="choose standard or log")


def report_rows(table: Any) -> None:
    """Print how a file was read, the names of ignored columns, and the numbers of rows and features."""
    report_notes(table)
    typer.echo(f"rows: {len(table.x)}, features: {table.x.shape[1]}")


def report_notes(rows: Any) -> None:
    """Print how a file was read, and the names of columns that are ignored: text, row names, those without values."""
    for note in rows.notes:
        typer.echo(printable(note))
    if rows.ignored:
        typer.echo(f"ignored columns: {', '.join(printable(name) or '(unnamed)' for name in rows.ignored)}")


def standardize(table: Any, scale: str) -> tuple[Any, Any]:
    """Return the fitted transformer of a scale and the rows that it gives; None and the rows for ``scale="none"``."""
    check_scale(scale, table.weights)
    preprocessing, rows = sk.estimators.make_preprocessing(scale), table.frame()
    if preprocessing is None:
        return None, rows
    preprocessing.fit(rows, **sk.estimators.fit_weights(preprocessing, table.weights))
    return preprocessing, preprocessing.transform(rows)
