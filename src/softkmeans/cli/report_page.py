"""The report of a model and the rows of a file, as the commands `report` and `fit` make it."""

from __future__ import annotations

__all__ = ["make_report", "print_shown"]

from pathlib import Path
from typing import Any

import typer

from .provenance import hash_data
from .row_options import RowOptions


def make_report(
    model: Any,
    rows: Any,
    table: Any,
    file: Path,
    row_options: RowOptions,
    *,
    title: str = "",
    with_path: bool = False,
    with_selection: bool = False,
) -> Any:
    """Return the report of a model and the rows of a file, with their labels and names if they are in memory."""
    from ..reports import Extras, Report, collect  # imported here to keep --help fast

    carried = _texts(getattr(table, "carried", None))
    labels = getattr(table, "labels", None)
    extras = Extras(
        title=title or file.name,
        labels=carried.get(row_options.label_column) if labels is None else labels,
        label_name=row_options.label_column or "label",
        ids=carried.get(row_options.id_column),
        data=file.name,
        data_hash=hash_data(file),
        with_path=with_path,
        with_selection=with_selection,
    )
    return Report(collect(model, rows, getattr(table, "weights", None), extras))


def _texts(carried: Any) -> dict[str | None, list[str]]:
    """Return columns that are carried, as texts, by name."""
    columns = {} if carried is None else {name: carried.column(name) for name in carried.column_names}
    return {name: [str(value) for value in column.to_pylist()] for name, column in columns.items()}


def print_shown(made: Any) -> None:
    """Print how many rows a report shows, if it does not show all."""
    n, n_rows = made.content["rows"]["n"], made.content["n_rows"]
    if n < n_rows:
        typer.echo(f"the report shows a stratified random sample of {n} of {n_rows} rows")
