"""What an estimator does with the X it is given: rows as the library takes them, their features counted and named."""

from __future__ import annotations

__all__ = ["validated"]

from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from ..data.convert import as_source
from ..data.distributed.dask_source import check_collection
from ..data.files.readers.streams import is_stream
from ..data.frames import as_frame, as_rows, is_dask
from ..data.source import Source
from ..data.validation import check_matrix
from ..errors import InputError


def validated(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Rows of any table, with their number of features (and names) kept by the estimator, or compared.

    A Source passes through, and a loader becomes one. Of Dask's collections, only what they say of themselves is looked
    at.
    """
    if is_dask(X):
        check_collection(X)
        meta = X._meta if hasattr(X, "columns") else np.empty((0, X.shape[1]))
        validate_data(estimator, meta, reset=reset, skip_check_array=True)
        return X
    if isinstance(X, str | PathLike):
        raise InputError(
            f"the data is the name {str(X)!r}: give softkmeans.data.scan of it, or read_table(...).frame()"
        )
    if isinstance(X, Source) or is_stream(X):
        source = as_source(X, device=estimator.device)
        _validate_source(estimator, source, reset=reset)
        return source
    frame = as_frame(X)
    rows = as_rows(X)
    if not isinstance(rows, Tensor):  # scikit-learn's words come first
        check_array(rows, accept_sparse="csr", dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")
    check_matrix(rows)
    named = rows if frame is None else frame.to_native()
    validate_data(estimator, named, reset=reset, skip_check_array=True)
    return rows


def _validate_source(estimator: Any, source: Source, *, reset: bool) -> None:
    names = None if source.columns is None else np.array(source.columns, dtype=object)
    known = getattr(estimator, "feature_names_in_", None)
    if reset or names is None or known is None:
        validate_data(estimator, np.empty((0, source.n_features)), reset=reset, skip_check_array=True)
        if reset and names is not None:
            estimator.feature_names_in_ = names
    elif list(names) != list(known):
        raise InputError(f"the columns are {list(names)}, but the model was fitted on {list(known)}: choose these")
