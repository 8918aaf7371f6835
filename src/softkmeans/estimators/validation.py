"""Validate the X of an estimator: convert it to rows, check its feature count and feature names."""

from __future__ import annotations

__all__ = ["validate_rows"]

from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from ..data.convert import as_source
from ..data.distributed.dask_source import check_collection
from ..data.files.block_readers.streams import is_stream
from ..data.frames import as_frame, as_rows, is_dask
from ..data.source import Source
from ..data.validation import check_matrix
from ..errors import InputError


def validate_rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return the rows of any table, a Source, or a Dask collection, after checking them.

    With ``reset``, the number and names of the features are stored in the estimator; otherwise they are compared with
    the stored ones. A Source is returned as it is, and a data loader as a Source. Of Dask collections, only the
    metadata is checked.
    """
    if is_dask(X):
        check_collection(X)
        meta = X._meta if hasattr(X, "columns") else np.empty((0, X.shape[1]))
        validate_data(estimator, meta, reset=reset, skip_check_array=True)
        return X
    if isinstance(X, str | PathLike):
        raise InputError(
            f"X={str(X)!r} is a file name, expected rows: use softkmeans.data.scan(X) or read_table(X).frame()"
        )
    if isinstance(X, Source) or is_stream(X):
        source = as_source(X, device=estimator.device)
        _validate_source(estimator, source, reset=reset)
        return source
    frame = as_frame(X)
    rows = as_rows(X)
    if not isinstance(rows, Tensor):  # before our checks, so that users see scikit-learn's messages
        check_array(rows, accept_sparse="csr", dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")
    check_matrix(rows)
    rows_with_names = rows if frame is None else frame.to_native()
    validate_data(estimator, rows_with_names, reset=reset, skip_check_array=True)
    return rows


def _validate_source(estimator: Any, source: Source, *, reset: bool) -> None:
    names = None if source.columns is None else np.array(source.columns, dtype=object)
    fitted_names = getattr(estimator, "feature_names_in_", None)
    if reset or names is None or fitted_names is None:
        validate_data(estimator, np.empty((0, source.n_features)), reset=reset, skip_check_array=True)
        if reset and names is not None:
            estimator.feature_names_in_ = names
    elif list(names) != list(fitted_names):
        raise InputError(
            f"the columns are {list(names)}, but the model was fitted on {list(fitted_names)}: select these columns"
        )
