"""The `info` command: describe a saved model."""

from __future__ import annotations

__all__ = ["info"]

import typer

import softkmeans as sk

from .messages import print_warnings
from .options import ModelFile


def info(context: typer.Context, model_file: ModelFile) -> None:
    """Print the centers, parameters and fit results of a saved model."""
    model = sk.load(model_file)
    _, estimator = sk.estimators.split_pipeline(model)
    sk.selection.summary.print_centers(model)
    properties = {
        "features": str(sk.estimators.n_features_in(model)),
        "scaling": sk.estimators.describe_scaling(model),
        "distance": str(estimator.distance),
    }
    sk.selection.summary.print_figures(properties | sk.selection.summary.figures(model))
    print_warnings(context, estimator)
