"""The command that draws the clusters of a saved model."""

from __future__ import annotations

__all__ = ["plot"]

from pathlib import Path
from typing import Annotated

import typer

import softkmeans as sk

from ..errors import InputError
from .inputs import read_for
from .options import Data, ModelFile
from .outputs import PICTURES, check_outputs, draw_clusters, picture_of, write_all


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
