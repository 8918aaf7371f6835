"""Helpers for models that are an estimator, or a pipeline of scikit-learn's transformers and an estimator."""

from __future__ import annotations

__all__ = [
    "SCALES",
    "Model",
    "centers_in_data_units",
    "describe_scaling",
    "feature_names",
    "fit_weights",
    "has_data_units",
    "make_model",
    "make_preprocessing",
    "n_features_in",
    "split_pipeline",
    "transformed_names",
    "units",
    "with_preprocessing",
]

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.validation import has_fit_parameter

from .._utils.checks import check_known
from ..errors import InputError
from ..nn.layer import SoftKMeansLayer
from .base import SoftClusterer
from .preprocessing import SCALES, Undone, check_preprocessing, make_log, n_inputs, record_of

Model: TypeAlias = "SoftClusterer | Pipeline"

UNITS = {"standard": "standardized data", "robust": "robustly scaled data", "log": "standardized logarithms"}


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
        The estimator itself, or a pipeline. One with "log" raises an InputError that names the column if a value is
        negative, when it is fitted and when it predicts.

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
    first: Any = estimator if preprocessing is None else preprocessing
    while isinstance(first, Pipeline):
        first = next((step for _, step in first.steps if step not in (None, "passthrough")), estimator)
    names = getattr(first, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _input_names(model: Model) -> list[str]:
    return feature_names(model) or [f"feature {j}" for j in range(n_features_in(model))]


def _undo(model: Model) -> Undone:
    preprocessing, estimator = split_pipeline(model)
    names, centers = _input_names(model), np.asarray(estimator.cluster_centers_)
    if preprocessing is None:
        return Undone(names, centers, list(range(len(names))))
    return record_of(preprocessing).undo(preprocessing, names, centers)


def centers_in_data_units(model: Model) -> tuple[list[str], NDArray[Any]]:
    """Return the centers in the data's original units, as far as the transformers have inverses, and their names.

    Scalers, power transformations, logarithms and PCA are undone. A one-hot encoded column stays as the share of each
    category, with a name such as "color_red". Steps before one that has no inverse, such as a Normalizer, stay, too.
    Columns that a ColumnTransformer drops have no center.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Returns
    -------
    names : list of m str
        Names of the columns; "feature 0" and so on for data without names.
    centers : ndarray (k, m)
        The centers.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = make_model(SoftKMeans(2, random_state=0), "standard").fit([[0.0], [2.0], [8.0], [10.0]])
    >>> names, centers = centers_in_data_units(model)
    >>> names, centers.round(1).tolist()
    (['feature 0'], [[1.0], [9.0]])
    """
    undone = _undo(model)
    return undone.names, undone.centers


def has_data_units(model: Model) -> bool:
    """Return whether each column of the data, and nothing else, is a column of `centers_in_data_units`.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> from sklearn.preprocessing import Normalizer
    >>> from softkmeans import SoftKMeans
    >>> has_data_units(make_pipeline(Normalizer(), SoftKMeans(1)).fit([[1.0, 2.0]]))
    False
    """
    return _undo(model).columns == list(range(n_features_in(model)))


def transformed_names(model: Model) -> list[str]:
    """Return the names of the columns that the estimator receives from the transformers.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from softkmeans import SoftKMeans
    >>> transformed_names(make_pipeline(PCA(1), SoftKMeans(1)).fit([[1.0, 2.0], [3.0, 5.0]]))
    ['pca0']
    """
    preprocessing, names = split_pipeline(model)[0], _input_names(model)
    return names if preprocessing is None else record_of(preprocessing).output_names(preprocessing, names)


def describe_scaling(model: Model) -> str:
    """Return what happens to the data before the estimator: a scale's name, or the classes of other transformers.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A model.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from softkmeans import SoftKMeans
    >>> describe_scaling(make_model(SoftKMeans(2), "log"))
    'log'
    >>> describe_scaling(make_pipeline(StandardScaler(), PCA(2), SoftKMeans(2)))
    'StandardScaler, PCA'
    """
    return _describe(split_pipeline(model)[0])


def _describe(preprocessing: Any) -> str:
    if preprocessing is None:
        return "none"
    steps = [s for _, s in preprocessing.steps] if isinstance(preprocessing, Pipeline) else [preprocessing]
    kinds = [type(step).__name__ for step in steps if step not in (None, "passthrough")]
    known = {("StandardScaler",): "standard", ("RobustScaler",): "robust", (): "none"}
    if tuple(kinds) in known:
        return known[tuple(kinds)]
    log, scaler = make_preprocessing("log")
    is_log = kinds == [type(log).__name__, type(scaler).__name__] and steps[0].func in (log.func, np.log1p)
    return "log" if is_log else ", ".join(kinds)


def units(preprocessing: Any) -> str:
    """Return in which units an estimator sees the data, such as "standardized data"; "" for those of the data.

    Parameters
    ----------
    preprocessing : transformer or None
        The transformer in front of the estimator.

    Examples
    --------
    >>> units(StandardScaler())
    'standardized data'
    """
    scaling = _describe(preprocessing)
    return "" if scaling == "none" else UNITS.get(scaling, "transformed data")


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
