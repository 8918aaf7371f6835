"""What an estimator does with the X it is given: rows as the library takes them, their features counted and named."""

from __future__ import annotations

__all__ = ["validated"]

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import validate_data
from torch import Tensor

from .data.arrays import Array, check_matrix
from .errors import InputError


def validated(estimator: Any, X: ArrayLike | Tensor, *, reset: bool) -> Array:
    """Rows as a 2-D array or tensor, with their number of features (and names) kept by the estimator, or compared."""
    if not isinstance(X, Tensor):
        kinds = [np.float64, np.float32, np.float16]
        rows: Array = validate_data(estimator, X, reset=reset, dtype=kinds, ensure_all_finite=False, order=None)
        return rows
    check_matrix(X)
    if reset:
        estimator.n_features_in_ = X.shape[1]
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_  # names of an earlier fit
    if X.shape[1] != estimator.n_features_in_:
        name = type(estimator).__name__
        raise InputError(f"X has {X.shape[1]} features, but {name} was fitted with {estimator.n_features_in_}")
    return X
