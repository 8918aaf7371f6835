"""What happens to the data before an estimator, and its centers in the units of the data."""

from __future__ import annotations

__all__ = ["centers_in_data_units", "describe_scaling", "has_data_units", "transformed_names", "units"]

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from .pipeline import Model, feature_names, make_preprocessing, n_features_in, split_pipeline
from .preprocessing import Undone, record_of

UNITS = {"standard": "standardized data", "robust": "robustly scaled data", "log": "standardized logarithms"}


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

    Scalers, power transformations, logarithms and PCA are undone. A one-hot encoded column is shown as the share of
    each category, with a name such as "color_red". If a step has no inverse, such as a Normalizer, it and the steps
    before it are not undone. Columns that a ColumnTransformer drops have no center.

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
    >>> from softkmeans.estimators import make_model
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
    >>> from sklearn.pipeline import make_pipeline
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
    >>> from sklearn.pipeline import make_pipeline
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
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from softkmeans import SoftKMeans
    >>> from softkmeans.estimators import make_model
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
    """Return the units in which an estimator receives the data, such as "standardized data"; "" for the data's own.

    Parameters
    ----------
    preprocessing : transformer or None
        The transformer in front of the estimator.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> units(StandardScaler())
    'standardized data'
    """
    scaling = _describe(preprocessing)
    return "" if scaling == "none" else UNITS.get(scaling, "transformed data")
