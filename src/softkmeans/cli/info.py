"""The `info` command: describe a saved model."""

from __future__ import annotations

__all__ = ["info"]

from typing import Any

import typer

import softkmeans as sk

from .messages import print_warnings
from .options import ModelFile
from .provenance import strongest_features


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
    sk.selection.summary.print_figures(
        properties | sk.selection.summary.figures(model) | strongest_features(model) | _made(model)
    )
    print_warnings(context, estimator)


def _made(model: Any) -> dict[str, str]:
    """Return how the model was made, as far as its file says it."""
    from ..estimators.provenance import provenance_of  # imported here to keep --help fast

    made = provenance_of(model)
    values = {
        "made by": made.command,
        "made from": f"{made.data}, {made.n_rows} rows, SHA-256 {made.data_hash[:12]}" if made.data else "",
        "made with": ", ".join(f"{name} {version}" for name, version in made.versions.items()),
    }
    return {name: value for name, value in values.items() if value}
