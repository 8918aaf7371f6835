"""A model with or without standardising before it: what the two have in common for those who save, draw or report."""

from __future__ import annotations

__all__ = ["Model", "centers_in_units", "feature_names", "parts", "with_scaling"]

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .checks import check_known
from .clusterer import SoftClusterer
from .errors import InputError
from .layer import SoftKMeansLayer

Model: TypeAlias = "SoftClusterer | Pipeline"

SCALES = ("none", "standard")


def with_scaling(estimator: SoftClusterer, scale: str) -> Model:
    """Put a ``StandardScaler`` before an estimator, or not.

    Parameters
    ----------
    estimator : SoftKMeans or FuzzyCMeans
        The estimator.
    scale : {"none", "standard"}
        "standard" brings every feature to mean 0 and variance 1.

    Returns
    -------
    SoftKMeans, FuzzyCMeans or Pipeline
        The estimator itself, or a pipeline of the two.

    Raises
    ------
    InputError
        If there is no scaling of that name.
    """
    check_known("scale", scale, SCALES)
    return make_pipeline(StandardScaler(), estimator) if scale == "standard" else estimator


def parts(model: Any) -> tuple[StandardScaler | None, SoftClusterer]:
    """Take a model apart into its scaler, if any, and its estimator.

    Raises
    ------
    InputError
        If it is no estimator of ours, nor a pipeline of a StandardScaler and one.
    """
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    match steps:
        case [SoftClusterer() as estimator]:
            return None, estimator
        case [StandardScaler() as scaler, SoftClusterer() as estimator]:
            return scaler, estimator
    hint = "; SoftKMeans.from_layer makes one of a module" if isinstance(model, SoftKMeansLayer) else ""
    expected = "a SoftKMeans, a FuzzyCMeans or a pipeline of StandardScaler and one of these"
    raise InputError(f"a {type(model).__name__} came, expected {expected}{hint}")


def centers_in_units(model: Model) -> NDArray[Any]:
    """Give the centres (k, d) in the data's own units, standardising undone."""
    scaler, estimator = parts(model)
    centers = np.asarray(estimator.cluster_centers_)
    return centers if scaler is None else np.asarray(scaler.inverse_transform(centers))


def feature_names(model: Model) -> list[str] | None:
    """Give the names of the columns the model was fitted on, or None if they had none."""
    scaler, estimator = parts(model)
    names = getattr(scaler or estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
