"""Helpers for models that are an estimator, or a pipeline of a ``StandardScaler`` and an estimator."""

from __future__ import annotations

__all__ = [
    "Model",
    "centers_in_data_units",
    "feature_names",
    "fit_scaler",
    "make_model",
    "split_pipeline",
    "standardize_source",
]

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .._utils.checks import check_known
from .._utils.reductions import total
from ..data.block import Block, as_tensor
from ..data.source import MappedSource, Source
from ..data.validation import check_signs
from ..errors import InputError
from ..nn.layer import SoftKMeansLayer
from .base import SoftClusterer

Model: TypeAlias = "SoftClusterer | Pipeline"

SCALES = ("none", "standard")


def make_model(estimator: SoftClusterer, scale: str) -> Model:
    """Return a pipeline of a ``StandardScaler`` and an estimator, or the estimator alone.

    Parameters
    ----------
    estimator : SoftKMeans or FuzzyCMeans
        The estimator.
    scale : {"none", "standard"}
        "standard" scales every feature to mean 0 and variance 1; "none" returns the estimator.

    Returns
    -------
    SoftKMeans, FuzzyCMeans or Pipeline
        The estimator itself, or a pipeline.

    Raises
    ------
    InputError
        If ``scale`` is unknown.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> [name for name, _ in make_model(SoftKMeans(2), "standard").steps]
    ['standardscaler', 'softkmeans']
    """
    check_known("scale", scale, SCALES)
    return make_pipeline(StandardScaler(), estimator) if scale == "standard" else estimator


def split_pipeline(model: Any) -> tuple[StandardScaler | None, SoftClusterer]:
    """Split a model into its scaler, if any, and its estimator.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A model, fitted or not.

    Returns
    -------
    scaler : StandardScaler or None
        The scaler, if the model is a pipeline.
    estimator : SoftKMeans or FuzzyCMeans
        The estimator.

    Raises
    ------
    InputError
        If the model is neither an estimator of this package nor a pipeline of a StandardScaler and one.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> split_pipeline(SoftKMeans(2))
    (None, SoftKMeans(n_clusters=2))
    """
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    match steps:
        case [SoftClusterer() as estimator]:
            return None, estimator
        case [StandardScaler() as scaler, SoftClusterer() as estimator]:
            return scaler, estimator
    hint = "use SoftKMeans.from_layer to convert it" if isinstance(model, SoftKMeansLayer) else ""
    expected = "a SoftKMeans, a FuzzyCMeans or a pipeline of StandardScaler and one of these"
    raise InputError(f"the model is of type {type(model).__name__}", expected=expected, hint=hint)


def centers_in_data_units(model: Model) -> NDArray[Any]:
    """Return the centers (k, d) in the data's original units, before standardization.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Returns
    -------
    ndarray (k, d)
        The centers.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = make_model(SoftKMeans(2, random_state=0), "standard").fit([[0.0], [2.0], [8.0], [10.0]])
    >>> centers_in_data_units(model).round(1).tolist()
    [[1.0], [9.0]]
    """
    scaler, estimator = split_pipeline(model)
    centers = np.asarray(estimator.cluster_centers_)
    return centers if scaler is None else np.asarray(scaler.inverse_transform(centers))


def feature_names(model: Model) -> list[str] | None:
    """Return the names of the columns that the model was fitted on, or None if they had no names.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> import pyarrow
    >>> from softkmeans import SoftKMeans
    >>> feature_names(SoftKMeans(1).fit(pyarrow.table({"length": [1.0, 2.0]})))
    ['length']
    """
    scaler, estimator = split_pipeline(model)
    names = getattr(scaler or estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def fit_scaler(source: Source) -> StandardScaler:
    """Fit a ``StandardScaler`` to the rows of a source, in two passes.

    Parameters
    ----------
    source : Source
        The rows, with their weights.

    Returns
    -------
    StandardScaler
        The fitted scaler.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> fit_scaler(as_source([[0.0, 5.0], [2.0, 5.0]])).scale_
    array([1., 1.])
    """

    def moments(center: torch.Tensor) -> torch.Tensor:
        """Return the weighted means of x - center and of its square, and Σw, for each feature (3, d)."""

        def weighted_sums(piece: Block) -> torch.Tensor:
            x, w = piece.x - center, piece.w[:, None]
            return torch.stack([total(w * x), total(w * x * x), total(w.expand_as(x))])

        first, second, weight = source.sum(lambda block: block.sum(weighted_sums))
        check_signs(0, int(weight.any()))
        return torch.stack([first / weight, second / weight, weight])

    mean = moments(torch.zeros(source.n_features, dtype=source.dtype, device=source.device))[0]
    offset, squares, weight = moments(mean)  # offset: the rounding error of the mean
    variance = squares - offset * offset
    rounding = weight * torch.finfo(mean.dtype).eps
    constant = variance <= rounding * variance + (rounding * mean) ** 2  # scikit-learn's criterion
    scaler = StandardScaler()
    scaler.mean_, scaler.var_ = mean.cpu().numpy(), variance.cpu().numpy()
    scaler.scale_ = torch.where(constant, 1.0, variance.sqrt()).cpu().numpy()
    scaler.n_features_in_, scaler.n_samples_seen_ = source.n_features, source.n_rows
    if source.columns is not None:
        scaler.feature_names_in_ = np.array(source.columns, dtype=object)
    return scaler


def standardize_source(source: Source, scaler: StandardScaler) -> Source:
    """Return a source whose rows are standardized by a fitted ``StandardScaler`` when they are read.

    Parameters
    ----------
    source : Source
        The rows.
    scaler : StandardScaler
        A scaler fitted to data with the same number of features.

    Returns
    -------
    Source
        The standardized rows, float64, without column names.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> source = as_source([[1.0], [5.0]])
    >>> standardize_source(source, fit_scaler(source)).take(torch.tensor([0, 1]))[:, 0]
    tensor([-1.,  1.], dtype=torch.float64)
    """
    mean = 0.0 if scaler.mean_ is None else as_tensor(scaler.mean_).to(source.device)
    scale = 1.0 if scaler.scale_ is None else as_tensor(scaler.scale_).to(source.device)

    def standardize(block: Block) -> Block:
        rows = as_tensor(block.rows).to(source.device, torch.float64)
        return replace(block, rows=(rows - mean) / scale)

    standardized = MappedSource(source, standardize)
    standardized.columns = None  # scikit-learn's scalers return arrays, which have no column names
    return standardized
