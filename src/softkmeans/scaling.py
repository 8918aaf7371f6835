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

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> [name for name, _ in with_scaling(SoftKMeans(2), "standard").steps]
    ['standardscaler', 'softkmeans']
    """
    check_known("scale", scale, SCALES)
    return make_pipeline(StandardScaler(), estimator) if scale == "standard" else estimator


def parts(model: Any) -> tuple[StandardScaler | None, SoftClusterer]:
    """Take a model apart into its scaler, if any, and its estimator.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted or not.

    Raises
    ------
    InputError
        If it is no estimator of ours, nor a pipeline of a StandardScaler and one.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> parts(SoftKMeans(2))
    (None, SoftKMeans(n_clusters=2))
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
    """Give the centres (k, d) in the data's own units, standardising undone.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = with_scaling(SoftKMeans(2, random_state=0), "standard").fit([[0.0], [2.0], [8.0], [10.0]])
    >>> centers_in_units(model).round(1).tolist()
    [[1.0], [9.0]]
    """
    scaler, estimator = parts(model)
    centers = np.asarray(estimator.cluster_centers_)
    return centers if scaler is None else np.asarray(scaler.inverse_transform(centers))


def feature_names(model: Model) -> list[str] | None:
    """Give the names of the columns the model was fitted on, or None if they had none.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted.

    Examples
    --------
    >>> import pyarrow
    >>> from softkmeans import SoftKMeans
    >>> feature_names(SoftKMeans(1).fit(pyarrow.table({"length": [1.0, 2.0]})))
    ['length']
    """
    scaler, estimator = parts(model)
    names = getattr(scaler or estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
