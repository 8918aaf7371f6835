"""Commands for a model that is there: predict, plot, info."""

from __future__ import annotations

__all__ = ["info", "plot", "predict"]

import sys
from pathlib import Path
from typing import Annotated

import typer

import softkmeans as sk

from ..errors import InputError
from .inputs import read_for, scan_for
from .messages import warn_of
from .options import Data, DataFiles, ModelFile, Stream
from .outputs import PICTURES, TABLES, check_outputs, draw_clusters, picture_of, write_all
from .rows import is_read_in_blocks


def predict(
    model_file: ModelFile,
    file: DataFiles,
    out: Annotated[
        Path | None, typer.Option(help="CSV, TSV or Parquet; standard output by default.", show_default=False)
    ] = None,
    stream: Stream = None,
) -> None:
    """Write each row's label and its probability for every cluster."""
    check_outputs(file, [(out, TABLES)])
    model = sk.load(model_file)
    rows = scan_for(model, file) if is_read_in_blocks(file, stream) else read_for(model, file).frame()
    sk.write_assignments(model, rows, out or sys.stdout.buffer)


def plot(
    model_file: ModelFile,
    file: Data,
    out: Annotated[Path, typer.Option(help="PNG, PDF, SVG or JPG.")] = Path("clusters.png"),
    regions: Annotated[bool, typer.Option("--regions", help="Shade the plane by cluster (two features only).")] = False,
    loss: Annotated[Path | None, typer.Option(help="Draw the loss curve here, too.", show_default=False)] = None,
) -> None:
    """Draw the rows of a file as a model clusters them."""
    check_outputs(file, [(out, PICTURES), (loss, PICTURES)])
    model = sk.load(model_file)
    table = read_for(model, file)
    if regions and table.x.shape[1] != 2:
        raise InputError(f"--regions came with {table.x.shape[1]} features, expected 2: leave it out")
    outputs = {out: picture_of(lambda: draw_clusters(model, table, regions=regions))}
    if loss:
        estimator = sk.estimators.parts(model)[1]
        if not hasattr(estimator, "history_"):
            raise InputError(f"{model_file} came from a module, without the loss of its training: leave --loss out")
        outputs[loss] = picture_of(lambda: sk.LossDisplay.from_estimator(estimator))
    write_all(outputs)


def info(model_file: ModelFile) -> None:
    """Say what is in a model."""
    model = sk.load(model_file)
    scaler, estimator = sk.estimators.parts(model)
    sk.selection.summary.print_centers(model)
    about = {
        "features": str(estimator.n_features_in_),
        "scaling": "none" if scaler is None else "standard",
        "distance": str(estimator.distance),
    }
    sk.selection.summary.print_figures(about | sk.selection.summary.figures(model))
    warn_of(estimator)
