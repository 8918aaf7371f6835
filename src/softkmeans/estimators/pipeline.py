"""Helpers for models that are an estimator, or a pipeline of scikit-learn's transformers and an estimator."""

from __future__ import annotations

__all__ = [
    "SCALES",
    "InputColumns",
    "Model",
    "feature_names",
    "fills_missing",
    "fit_weights",
    "input_columns",
    "make_model",
    "make_preprocessing",
    "n_features_in",
    "received_rows",
    "split_pipeline",
    "with_preprocessing",
]

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.validation import has_fit_parameter

from .._utils.checks import check_known
from ..data.convert import as_source
from ..data.frames import as_frame
from ..errors import InputError
from ..nn.layer import SoftKMeansLayer
from .base import SoftClusterer
from .preprocessing import (
    SCALES,
    check_preprocessing,
    first_step,
    input_names,
    make_log,
    n_inputs,
    preprocess_source,
    record_of,
)

Model: TypeAlias = "SoftClusterer | Pipeline"


def make_preprocessing(scale: str) -> Any:
    """Return the transformer of a scale, not fitted.

    Parameters
    ----------
    scale : {"none", "standard", "robust", "log"}
        "standard" scales every feature to mean 0 and variance 1; "robust" subtracts the median and divides by the
        interquartile range; "log" standardizes log(1 + x), for values of 0 or more.

    Returns
    -------
    StandardScaler, RobustScaler, Pipeline or None
        The transformer; None for "none".

    Raises
    ------
    InputError
        If the scale is unknown.

    Examples
    --------
    >>> make_preprocessing("robust")
    RobustScaler()
    """
    check_known("scale", scale, SCALES)
    if scale == "log":
        return make_pipeline(make_log(), StandardScaler())
    return {"none": None, "standard": StandardScaler(), "robust": RobustScaler()}[scale]


def make_model(estimator: SoftClusterer, scale: str) -> Model:
    """Return a pipeline of the transformer of a scale and an estimator, or the estimator alone.

    Parameters
    ----------
    estimator : SoftKMeans or FuzzyCMeans
        The estimator.
    scale : {"none", "standard", "robust", "log"}
        The scale, as in `make_preprocessing`; "none" returns the estimator.

    Returns
    -------
    SoftKMeans, FuzzyCMeans or Pipeline
        The estimator itself, or a pipeline. With "log", its ``fit`` and ``predict`` raise an InputError if a value is
        negative; the error names the column.

    Raises
    ------
    InputError
        If the scale is unknown.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> [name for name, _ in make_model(SoftKMeans(2), "log").steps]
    ['functiontransformer', 'standardscaler', 'softkmeans']
    """
    return with_preprocessing(estimator, make_preprocessing(scale))


def with_preprocessing(estimator: SoftClusterer, preprocessing: Any) -> Model:
    """Return a pipeline of a transformer, such as one of `fit_preprocessing`, and an estimator.

    Parameters
    ----------
    estimator : SoftKMeans or FuzzyCMeans
        The estimator.
    preprocessing : transformer or None
        The transformer, fitted or not. The steps of a pipeline become steps of the result.

    Returns
    -------
    SoftKMeans, FuzzyCMeans or Pipeline
        The pipeline, or the estimator itself if there is no transformer.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> with_preprocessing(SoftKMeans(2), None)
    SoftKMeans(n_clusters=2)
    """
    if preprocessing is None:
        return estimator
    steps = [step for _, step in preprocessing.steps] if isinstance(preprocessing, Pipeline) else [preprocessing]
    return make_pipeline(*steps, estimator)


def split_pipeline(model: Any) -> tuple[Any, SoftClusterer]:
    """Split a model into the transformer in front, if any, and its estimator.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A model, fitted or not.

    Returns
    -------
    preprocessing : transformer, Pipeline or None
        The transformer, or a pipeline if there are several; None if the model is an estimator.
    estimator : SoftKMeans or FuzzyCMeans
        The estimator.

    Raises
    ------
    InputError
        If the model is neither an estimator of this package nor a pipeline that ends in one, or if a step before it is
        not supported. Supported are the transformers in `softkmeans.estimators.preprocessing.RECORDS`.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> split_pipeline(SoftKMeans(2))
    (None, SoftKMeans(n_clusters=2))
    >>> split_pipeline(make_model(SoftKMeans(2), "standard"))
    (StandardScaler(), SoftKMeans(n_clusters=2))
    """
    steps = list(model.steps) if isinstance(model, Pipeline) else [("", model)]
    *front, (_, estimator) = steps
    if not isinstance(estimator, SoftClusterer):
        raise _not_a_model(model, estimator)
    if not front:
        return None, estimator
    pipeline = Pipeline(front)
    check_preprocessing(pipeline, "")
    is_one = len(front) == 1 and front[0][1] not in (None, "passthrough")
    return front[0][1] if is_one else pipeline, estimator


def _not_a_model(model: Any, last: Any) -> InputError:
    expected = "a SoftKMeans, a FuzzyCMeans or a pipeline that ends in one of these"
    if model is not last:
        return InputError(f"the model is a pipeline that ends in a {type(last).__name__}", expected=expected)
    hint = "use SoftKMeans.from_layer to convert it" if isinstance(model, SoftKMeansLayer) else ""
    return InputError(f"the model is of type {type(model).__name__}", expected=expected, hint=hint)


def n_features_in(model: Model) -> int:
    """Return the number of columns that a model was fitted on.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> n_features_in(SoftKMeans(1).fit([[0.0, 1.0]]))
    2
    """
    preprocessing, estimator = split_pipeline(model)
    n = None if preprocessing is None else n_inputs(preprocessing)
    return int(estimator.n_features_in_) if n is None else n


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
    preprocessing, estimator = split_pipeline(model)
    first = None if preprocessing is None else first_step(preprocessing)
    return input_names(estimator if first is None else first)


class InputColumns(NamedTuple):
    """The columns that a fitted model takes, by name.

    Attributes
    ----------
    numbers, texts : list of str
        The columns of numbers and of text.
    unused : list of str
        Columns that the model was fitted on, and drops.
    """

    numbers: list[str]
    texts: list[str]
    unused: list[str]


def input_columns(model: Model) -> InputColumns:
    """Return the names of the columns that a fitted model takes, grouped by what they hold; none if they have no names.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> import pyarrow
    >>> from softkmeans import SoftKMeans
    >>> input_columns(SoftKMeans(1).fit(pyarrow.table({"length": [1.0, 2.0]}))).numbers
    ['length']
    """
    (preprocessing, _), names = split_pipeline(model), feature_names(model) or []
    record = None if preprocessing is None else record_of(preprocessing)
    unused = record.unused_columns(preprocessing) if record else set()
    texts = record.text_columns(preprocessing) - unused if record else set()
    numbers = [name for column, name in enumerate(names) if column not in texts | unused]
    by_kind = [[name for column, name in enumerate(names) if column in found] for found in (texts, unused)]
    return InputColumns(numbers, *by_kind)


def fills_missing(model: Model) -> bool:
    """Return whether a fitted model replaces missing values.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> fills_missing(SoftKMeans(1).fit([[1.0], [2.0]]))
    False
    """
    preprocessing, _ = split_pipeline(model)
    return preprocessing is not None and record_of(preprocessing).fills_missing(preprocessing)


def received_rows(model: Model, X: Any) -> Any:
    """Return the rows that the estimator of a model receives from the transformers in front of it.

    This also works for Arrow tables, whose columns a ColumnTransformer of scikit-learn can't always select.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    X : array-like, sparse matrix or frame (n, d)
        The rows.

    Returns
    -------
    ndarray, sparse matrix or frame (n, m)
        The rows as they are if there are no transformers.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = make_model(SoftKMeans(1), "standard").fit([[0.0], [2.0]])
    >>> received_rows(model, [[3.0]])
    array([[2.]])
    """
    preprocessing, _ = split_pipeline(model)
    if preprocessing is None:
        return X
    frame = as_frame(X) if isinstance(first_step(preprocessing), ColumnTransformer) else None
    if frame is None or frame.implementation.is_pandas() or frame.implementation.is_polars():
        return preprocessing.transform(X)
    if record_of(preprocessing).text_columns(preprocessing):
        return preprocessing.transform(frame.to_pandas())
    names = feature_names(model) or frame.columns
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(f"the column {missing[0]!r} is missing", hint="give the columns that the model was fitted on")
    source = preprocess_source(as_source(frame.select(names).to_native()), preprocessing)
    return np.concatenate([block.x.cpu().numpy() for block in source.blocks()])


def fit_weights(model: Any, sample_weight: Any) -> dict[str, Any]:
    """Return keyword arguments for ``fit`` that give weights to every step of a model that takes them.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans, transformer or Pipeline
        The model, or its transformers.
    sample_weight : array-like (n,) or None
        The weights.

    Returns
    -------
    dict
        The arguments; none if there are no weights.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> list(fit_weights(make_model(SoftKMeans(2), "log"), [1.0, 2.0]))
    ['standardscaler__sample_weight', 'softkmeans__sample_weight']
    """
    if sample_weight is None:
        return {}
    steps = model.steps if isinstance(model, Pipeline) else [("", model)]
    names = [name for name, step in steps if has_fit_parameter(step, "sample_weight")]
    return {f"{name}__sample_weight" if name else "sample_weight": sample_weight for name in names}
