"""The `predict` command: write labels and memberships."""

from __future__ import annotations

__all__ = ["predict"]

import sys
from pathlib import Path
from typing import Annotated

import typer

import softkmeans as sk

from .input_rows import is_read_in_blocks
from .options import DataFiles, ModelFile, Stream
from .outputs import TABLES, check_outputs
from .rows_for_model import read_for, scan_for


def predict(
    model_file: ModelFile,
    file: DataFiles,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Output file ({TABLES.listed()}); by default standard output.", show_default=False),
    ] = None,
    stream: Stream = None,
) -> None:
    """Write the label of each row and its membership in every cluster."""
    check_outputs(file, [(out, TABLES)])
    model = sk.load(model_file)
    rows = scan_for(model, file) if is_read_in_blocks(file, stream) else read_for(model, file).frame()
    sk.write_assignments(model, rows, out or sys.stdout.buffer)
