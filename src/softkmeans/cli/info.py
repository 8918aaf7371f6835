"""The `info` command: describe a saved model."""

from __future__ import annotations

__all__ = ["info"]

from typing import Any

import typer

import softkmeans as sk

from .messages import print_fit_figures, print_warnings
from .options import Centers, ModelFile, Verbose
from .outputs import TABLES, check_outputs, write_and_report
from .provenance import print_strongest


def info(context: typer.Context, model_file: ModelFile, centers: Centers = None, verbose: Verbose = False) -> None:
    """Print the centers, parameters and fit results of a saved model."""
    model = sk.load(model_file)
    check_outputs(model_file, [(centers, TABLES)])
    _, estimator = sk.estimators.split_pipeline(model)
    summary = sk.selection.summary
    properties = {
        "features": str(sk.estimators.n_features_in(model)),
        "scaling": sk.estimators.describe_scaling(model),
        "distance": str(estimator.distance),
    }

    def print_results() -> None:
        summary.print_centers(model)
        print_strongest(model)
        details = summary.fit_figures(model) if verbose else {}
        print_fit_figures(context, properties | summary.figures(model) | details | _made(model))
        print_warnings(context, estimator)

    write_and_report({centers: lambda path: sk.data.write_table(path, summary.cluster_columns(model))}, print_results)


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
