"""Validate the X of an estimator: convert it to a source, check its feature count and feature names."""

from __future__ import annotations

__all__ = ["check_fitted", "check_warm_start", "is_lazy", "validate_collection", "validate_source"]

from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..data.convert import as_source
from ..data.distributed.dask_source import check_collection
from ..data.files.block_readers.streams import is_stream
from ..data.frames import as_frame, as_rows, is_dask
from ..data.source import Source
from ..errors import InputError


def validate_source(estimator: Any, X: Any, sample_weight: Any = None, *, reset: bool) -> Source:
    """Convert any table, Dask collection or loader to a source, after checking it; return a source unchanged.

    With ``reset``, the number and names of the features are stored in the estimator; otherwise they are compared with
    the stored ones.
    """
    if isinstance(X, np.ndarray | Tensor):
        source = _convert(estimator, X, sample_weight)
        known = vars(estimator)
        # Arrays have no names. What scikit-learn does for other tables takes as long as a pass over few rows.
        if reset:
            known.pop("feature_names_in_", None)
            estimator.n_features_in_ = source.n_features
        elif known.get("n_features_in_") != source.n_features or "feature_names_in_" in known:
            validate_data(estimator, np.empty((0, source.n_features)), reset=False, skip_check_array=True)
        return source
    if isinstance(X, str | PathLike):
        raise InputError(
            "is a file name",
            parameter="X",
            value=str(X),
            expected="rows",
            hint="use softkmeans.data.scan(X) or read_table(X).frame()",
        )
    if is_dask(X):
        validate_collection(estimator, X, reset=reset)
        return as_source(X, sample_weight, device=estimator.device)
    if isinstance(X, Source) or is_stream(X):
        source = as_source(X, sample_weight, device=estimator.device)
        _validate_features(estimator, source, reset=reset)
        return source
    source = _convert(estimator, X, sample_weight)
    frame = as_frame(X)
    has_lists = frame is not None and source.columns is not None and list(source.columns) != frame.columns
    if frame is None or (frame.implementation.is_pandas() and not has_lists):
        carrier = np.empty((0, source.n_features)) if frame is None else frame.to_native()
        validate_data(estimator, carrier, reset=reset, skip_check_array=True)
    else:  # before version 1.9, scikit-learn does not find the names of columns in all kinds of frames
        _validate_features(estimator, source, reset=reset)
    return source


def check_fitted(estimator: Any) -> None:
    """Raise scikit-learn's error unless an estimator is fitted; its own check takes as long as several rows."""
    if "cluster_centers_" not in vars(estimator):
        check_is_fitted(estimator)


def _convert(estimator: Any, X: Any, sample_weight: Any) -> Source:
    """Convert a table to a source. If that fails, raise scikit-learn's error, which its users know, if it has one."""
    try:
        return as_source(X, sample_weight, device=estimator.device)
    except InputError:
        rows = as_rows(X)
        if not isinstance(rows, Tensor):
            check_array(
                rows, accept_sparse="csr", dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X"
            )
        raise


def is_lazy(X: Any) -> bool:
    """Return whether X is a Dask collection, whose results are lazy, too."""
    return not isinstance(X, np.ndarray | Tensor) and is_dask(X)


def validate_collection(estimator: Any, X: Any, *, reset: bool) -> None:
    """Check the metadata of a Dask collection, and its feature count and feature names."""
    check_collection(X)
    meta = X._meta if hasattr(X, "columns") else np.empty((0, X.shape[1]))
    validate_data(estimator, meta, reset=reset, skip_check_array=True)


def _validate_features(estimator: Any, source: Source, *, reset: bool) -> None:
    names = None if source.columns is None else np.array(source.columns, dtype=object)
    fitted_names = getattr(estimator, "feature_names_in_", None)
    if reset or names is None or fitted_names is None:
        validate_data(estimator, np.empty((0, source.n_features)), reset=reset, skip_check_array=True)
        if reset and names is not None:
            estimator.feature_names_in_ = names
    elif list(names) != list(fitted_names):
        raise InputError(
            f"the columns are {list(names)}, but the model was fitted on {list(fitted_names)}",
            hint="select these columns",
        )


def check_warm_start(estimator: Any, source: Source) -> None:
    """Raise an InputError if the centers of the previous fit do not go with the parameters and the rows."""
    shape, expected = tuple(estimator.cluster_centers_.shape), (estimator.n_clusters, source.n_features)
    if shape != expected:
        raise InputError(
            f"with centers of shape {shape} from the previous fit",
            parameter="warm_start",
            value=True,
            expected=f"{expected}",
            hint="set it to False",
        )
