"""What an estimator does with the X it is given: rows as the library takes them, their features counted and named."""

from __future__ import annotations

__all__ = ["validated"]

from typing import Any

from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from .blocks import Rows
from .data.arrays import check_matrix
from .data.tables import as_frame, as_rows


def validated(estimator: Any, X: Any, *, reset: bool) -> Rows:
    """Rows of any table, with their number of features (and names) kept by the estimator, or compared."""
    frame = as_frame(X)
    rows = as_rows(X)
    if not isinstance(rows, Tensor):  # scikit-learn's words come first
        check_array(rows, accept_sparse="csr", dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")
    check_matrix(rows)
    named = rows if frame is None else frame.to_native()
    validate_data(estimator, named, reset=reset, skip_check_array=True)
    return rows
