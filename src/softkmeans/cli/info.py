"""The command that describes a saved model."""

from __future__ import annotations

__all__ = ["info"]

import softkmeans as sk

from .messages import warn_of
from .options import ModelFile


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
