"""The `plot` command: plot the clusters of a saved model."""

from __future__ import annotations

__all__ = ["plot"]

from pathlib import Path
from typing import Annotated

import typer

import softkmeans as sk

from ..errors import InputError, Message, Setting
from .options import Data, ModelFile, output_option
from .outputs import PICTURES, check_outputs, draw_clusters, figure_writer, write_all
from .row_options import RowOptions, with_row_options
from .rows_for_model import load_model, read_for


@with_row_options
def plot(
    model_file: ModelFile,
    file: Data,
    row_options: RowOptions,
    out: Annotated[Path, typer.Option(help=f"Plot the clusters to this file ({PICTURES.listed()}).")] = Path(
        "clusters.png"
    ),
    regions: Annotated[
        bool, typer.Option("--regions", help="Shade the plane by cluster; for two features only.")
    ] = False,
    loss: Annotated[Path | None, output_option("Plot the loss of the fit to this file, too", PICTURES)] = None,
) -> None:
    """Plot the rows of a file, colored by their memberships, and the centers of a model."""
    check_outputs(file, [(out, PICTURES), (loss, PICTURES)])
    model = load_model(model_file, file)
    table = read_for(model, file, row_options)
    n_features = sk.estimators.n_features_in(model)
    if regions and n_features != 2:
        problem = f"is not supported with {n_features} features"
        raise InputError(problem, parameter="regions", expected="2", hint="remove it")
    outputs = {out: figure_writer(lambda: draw_clusters(model, table, regions=regions))}
    if loss:
        estimator = sk.estimators.split_pipeline(model)[1]
        if not hasattr(estimator, "history_"):
            reason = f" {loss} is not supported with {model_file}, a model without training history"
            raise InputError(Message(Setting("loss"), reason), hint="remove it")
        outputs[loss] = figure_writer(lambda: sk.LossDisplay.from_estimator(estimator))
    write_all(outputs)
