"""The `report` command: one page of HTML to explore and to send to others."""

from __future__ import annotations

__all__ = ["report"]

from pathlib import Path
from typing import Annotated

import typer

from .input_rows import is_read_in_blocks
from .options import DataFiles, ModelFile, Stream
from .outputs import PAGES, check_outputs, write_and_report
from .report_page import make_report, print_shown
from .row_options import RowOptions, with_row_options
from .rows_for_model import load_model, read_for, scan_for


@with_row_options
def report(
    model_file: ModelFile,
    file: DataFiles,
    row_options: RowOptions,
    out: Annotated[Path, typer.Option("--out", "-o", help=f"Write the report to this file ({PAGES.listed()}).")] = Path(
        "report.html"
    ),
    title: Annotated[
        str, typer.Option(help="Title of the report; by default the name of the data.", show_default=False)
    ] = "",
    with_path: Annotated[
        bool, typer.Option("--with-path", help="Show how clusters split as the temperature falls.")
    ] = False,
    with_selection: Annotated[
        bool, typer.Option("--with-selection", help="Show the criteria of the number of clusters, from 1 to 10.")
    ] = False,
    stream: Stream = None,
) -> None:
    """Write a report: one HTML file with a map, a temperature to change, and all figures of a model."""
    check_outputs(file, [(out, PAGES)])
    model = load_model(model_file, file)
    if is_read_in_blocks(file, stream):
        rows, table = scan_for(model, file, row_options), None
    else:
        table = read_for(model, file, row_options, with_labels=True)
        rows = table.frame()
    made = make_report(
        model,
        rows,
        table,
        file,
        row_options,
        title=title,
        with_path=with_path,
        with_selection=with_selection,
    )
    write_and_report({out: lambda path: made.save(path)}, lambda: print_shown(made))
