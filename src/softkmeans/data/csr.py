"""Rows of a CSR matrix: checks, parts that share its memory, and sums over rows from its stored values.

Everywhere else in the library, the columns of each row are in increasing order, and none occurs twice.
"""

from __future__ import annotations

__all__ = ["as_csr", "column_sums", "products", "rows_between", "split_entries", "transposed_products"]

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]
Indices = Any  # columns of numbers: an array, or a slice

MAX_ENTRIES = 2**17  # stored values that are worked on at a time: 1 MB in float64


def as_csr(x: Any) -> Any:
    """Convert a sparse matrix to CSR with ordered columns, none of which occurs twice in a row.

    A matrix that is so already is not copied.

    Raises
    ------
    InputError
        If the arrays of a CSR matrix contradict each other, as SciPy does not check.
    """
    rows = x.tocsr()
    n, d = rows.shape
    starts, columns = rows.indptr, rows.indices
    is_valid = len(starts) == n + 1 and starts[0] == 0 and bool((np.diff(starts) >= 0).all())
    is_valid = is_valid and starts[-1] <= min(len(columns), len(rows.data))
    if is_valid and starts[-1]:
        used = columns[: starts[-1]]
        is_valid = used.min() >= 0 and used.max() < d
    if not is_valid:
        problem = "is a sparse matrix whose indices contradict each other, or lie outside of its shape"
        raise InputError(problem, parameter="the data", hint="x.check_format() says where")
    if not _is_ordered(rows):
        rows = rows.copy()
        rows.has_sorted_indices = rows.has_canonical_format = False
        rows.sum_duplicates()
    return rows


def _is_ordered(rows: Any) -> bool:
    """Return whether the columns of each row increase. SciPy remembers an answer, which may be outdated."""
    steps = np.diff(rows.indices[: rows.indptr[-1]])
    begins = rows.indptr[1:-1]  # of all rows but the first
    steps[begins[(begins > 0) & (begins <= len(steps))] - 1] = 1
    return bool((steps > 0).all())


def rows_between(rows: Any, start: int, stop: int) -> Any:
    """Return the rows from start to stop of a CSR matrix; they share its memory, but SciPy copies small parts."""
    start, stop, _ = slice(start, stop).indices(rows.shape[0])
    starts = rows.indptr[start : max(start, stop) + 1]
    begin, end = starts[0], starts[-1]
    parts = rows.data[begin:end], rows.indices[begin:end], starts - begin
    return type(rows)(parts, shape=(len(starts) - 1, rows.shape[1]), copy=False)


def split_entries(rows: Any) -> Iterator[tuple[int, int]]:
    """Yield where parts of the rows begin and end, which have at most `MAX_ENTRIES` stored values, or are one row."""
    n, start = rows.shape[0], 0
    while start < n:
        stop = int(np.searchsorted(rows.indptr, rows.indptr[start] + MAX_ENTRIES, "right")) - 1
        stop = min(max(stop, start + 1), n)
        yield start, stop
        start = stop


def column_sums(rows: Any, weights: Array | None, functions: list[Callable[[Array, Indices], Array]]) -> Array:
    """Return Σ w f(x) over the rows for functions f of one number and its column, also of the zeros that are omitted.

    Parameters
    ----------
    rows : CSR matrix (n, d)
        The rows.
    weights : ndarray (n,) or None
        Their weights.
    functions : list of callable
        Functions of numbers (m,) and their columns (m,), an index of arrays (d,).

    Returns
    -------
    sums : ndarray (f, d)
        The sums.

    Examples
    --------
    >>> import scipy.sparse
    >>> column_sums(scipy.sparse.csr_array([[1.0, 0.0], [3.0, 4.0]]), None, [lambda x, j: (x - 1) ** 2])
    array([[ 4., 10.]])
    """
    n, d = rows.shape
    sums, stored, counts = np.zeros((len(functions), d)), np.zeros(d), np.zeros(d, np.int64)
    for start, stop in split_entries(rows):
        entries = slice(rows.indptr[start], rows.indptr[stop])
        x, columns = rows.data[entries].astype(np.float64), rows.indices[entries]
        w = None if weights is None else np.repeat(weights[start:stop], np.diff(rows.indptr[start : stop + 1]))
        for total, function in zip(sums, functions, strict=True):
            values = function(x, columns)
            total += np.bincount(columns, values if w is None else w * values, d)
        counts += np.bincount(columns if w is None else columns[w > 0], minlength=d)
        if w is not None:
            stored += np.bincount(columns, w, d)
    if weights is None:
        omitted = (n - counts).astype(np.float64)
    else:  # a difference of sums is not exactly 0 where no row is omitted
        omitted = np.where(counts == (weights > 0).sum(), 0.0, np.maximum(weights.sum() - stored, 0.0))
    for total, function in zip(sums, functions, strict=True):
        total += omitted * function(np.zeros(d), slice(None))
    return sums


def products(rows: Any, shift: Array, scale: float, vectors: Array) -> Array:
    """Return the products (n, m) of vectors (d, m) and the rows less a shift (d,), over a scale."""
    result: Array = (rows @ vectors - shift @ vectors) / scale
    return result


def transposed_products(rows: Any, shift: Array, scale: float, vectors: Array) -> Array:
    """Return the sums (d, m) of the rows less a shift (d,), over a scale, times the numbers of vectors (n, m)."""
    result: Array = (rows.T @ vectors - np.outer(shift, vectors.sum(0))) / scale
    return result
