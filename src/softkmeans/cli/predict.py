"""The `predict` command: write labels and memberships."""

from __future__ import annotations

__all__ = ["predict"]

import sys
from pathlib import Path
from typing import Annotated

import typer

import softkmeans as sk

from .._utils.text import printable
from .input_rows import is_read_in_blocks
from .options import DataFiles, ModelFile, Stream
from .outputs import TABLES, check_outputs
from .row_options import RowOptions, with_row_options
from .rows_for_model import load_model, read_for, scan_for


@with_row_options
def predict(
    model_file: ModelFile,
    file: DataFiles,
    row_options: RowOptions,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Output file ({TABLES.listed()}); by default standard output.", show_default=False),
    ] = None,
    stream: Stream = None,
) -> None:
    """Write the label of each row, and its memberships p0, p1, ... in cluster 0, cluster 1, and so on."""
    check_outputs(file, [(out, TABLES)])
    model = load_model(model_file, file)
    if is_read_in_blocks(file, stream):
        rows = read = scan_for(model, file, row_options)
        carried = None  # the scan has them
    else:
        read = read_for(model, file, row_options)
        rows, carried = read.frame(), read.carried
    for note in read.notes:
        typer.echo(printable(note), err=True)
    sk.write_assignments(model, rows, out or sys.stdout.buffer, carried=carried)
