"""Dask arrays and data frames as a source, and lazy results for their rows."""

from __future__ import annotations

__all__ = ["DaskSource", "check_collection", "map_partitions"]

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from ...errors import InputError
from ..block import Block
from ..frames import as_rows, dtype_of, is_dask
from ..source import ArraySource, Source
from ..validation import (
    NOT_EMPTY,
    check_finite,
    check_matrix,
    check_signs,
    check_weights,
    find_not_finite,
    raise_not_finite,
)
from .dask_partitions import (
    CPU,
    DTYPE,
    Partition,
    PersistedPartitions,
    as_weights,
    compute,
    delayed,
    make_block,
    pack,
    sum_partitions,
    unpack,
)

T = TypeVar("T")


class DaskSource(Source):
    """The rows of a Dask array or data frame, in partitions that workers hold or compute.

    A first pass counts and checks the rows. Nothing is persisted: if the caller did not persist the collection, every
    pass reads or computes it again.

    Parameters
    ----------
    x : dask array (n, d) or data frame
        Rows of finite real numbers; their number may be unknown.
    sample_weight : dask array or series (n,) in the same partitions, or column (n,) in memory, optional
        Weights, 0 or more and not all 0.
    finite : bool, default=True
        Whether to check for NaN and infinity.

    Raises
    ------
    InputError
        If the rows or the weights are not valid.

    Examples
    --------
    >>> import dask.array as da
    >>> x = da.from_array(np.array([[0.0], [0.2], [5.0], [5.1], [5.2]]), chunks=(2, 1))
    >>> source = DaskSource(x)
    >>> source.n_rows
    5
    >>> source.sum(lambda block: block.x.sum(0))
    tensor([15.5000], dtype=torch.float64)
    """

    in_memory = False
    device, dtype = CPU, DTYPE

    def __init__(self, x: Any, sample_weight: Any = None, *, finite: bool = True) -> None:
        check_collection(x)
        self.n_features = x.shape[1]
        self.columns = tuple(map(str, x.columns)) if hasattr(x, "columns") else None
        x, lazy_weights = _merge_column_chunks(x), is_dask(sample_weight)
        rows = _delayed_partitions(x)
        weights = _delayed_weights(sample_weight, x) if lazy_weights else [None] * len(rows)
        summaries = compute([delayed(_summarize)(*pair, finite) for pair in zip(rows, weights, strict=True)])
        ends = np.cumsum([summary.length for summary in summaries]).tolist()
        self.n_rows = ends[-1]
        if not self.n_rows:
            problem = f"has shape {(0, self.n_features)}"
            raise InputError(problem, parameter="the data", hint=NOT_EMPTY)
        _check(summaries, self.n_features)
        if sample_weight is not None and not lazy_weights:
            weights = _split_weights(check_weights(sample_weight, self.n_rows), ends)
        partitions = map(Partition, range(len(rows)), rows, weights, [0, *ends[:-1]], ends)
        self.partitions = [part for part in partitions if part.start < part.stop]
        self.persisted = PersistedPartitions(x, sample_weight)
        self.collection = x

    @property
    @override
    def given_rows(self) -> Any:
        return self.collection

    @override
    def blocks(self) -> Iterator[Block]:
        return (compute([part.apply(make_block)])[0] for part in self.partitions)

    @override
    def batches(self) -> Iterator[Source]:
        return map(self._single_partition, self.partitions)

    def _single_partition(self, part: Partition) -> DaskSource:
        """Return a source of one partition, which stays on its worker."""
        source = copy.copy(self)
        source.partitions, source.n_rows = [part], part.stop - part.start
        return source

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        """Sum an additive function of a block over all partitions, in an order that does not depend on the workers."""
        total: T = sum_partitions(self.partitions, fn, self.persisted)
        return total


class _PartitionSummary(NamedTuple):
    """Result of the checks of one partition; for entries that are not finite, their number and the first position."""

    length: int
    not_finite: tuple[int, tuple[int, int] | None]
    n_weights: int
    weights_not_finite: tuple[int, tuple[int, int] | None]
    n_negative: int
    n_positive: int


def check_collection(x: Any) -> None:
    """Raise an InputError unless x is a Dask array (n, d) or data frame of real numbers."""
    if not hasattr(type(x), "to_delayed") or not hasattr(type(x), "ndim"):
        problem = f"is a Dask {type(x).__name__}"
        raise InputError(problem, parameter="the data", expected="a Dask array or data frame", hint="convert it")
    if x.ndim != 2:
        hint = f"use {'x.reshape(-1, 1)' if hasattr(x, 'chunks') else 'x.to_frame()'} for one feature"
        raise InputError(f"has {x.ndim} dimensions", parameter="the data", expected="(n, d)", hint=hint)
    if not x.shape[1]:
        raise InputError("has no columns", parameter="the data", hint=NOT_EMPTY)
    check_matrix(np.empty((1, 1), dtype_of(x)))  # dtype_of raises if a data frame has columns that are not numeric


def map_partitions(x: Any, fn: Callable[[Source], Tensor], empty: Tensor) -> Any:
    """Apply a function of a source to each partition of x, lazily; ``empty`` is its value for a partition without rows.

    The function returns a value for each row. The result has the partitions of x.
    """
    no_rows, packed = _to_numpy(empty), delayed(pack(fn))
    if hasattr(x, "columns"):
        return x.map_partitions(_apply, packed, no_rows, meta=no_rows)
    x = _merge_column_chunks(x)
    shape = {"drop_axis": 1} if no_rows.ndim == 1 else {"chunks": (x.chunks[0], (no_rows.shape[1],))}
    return x.map_blocks(_apply, packed, no_rows, dtype=no_rows.dtype, meta=no_rows, **shape)


# These functions run on workers.


def _summarize(rows: Any, weights: Any, finite: bool) -> _PartitionSummary:
    array = as_rows(rows)
    length, not_finite = array.shape[0], find_not_finite(array) if finite else (0, None)
    if weights is None:
        return _PartitionSummary(length, not_finite, length, (0, None), 0, 1)
    w = as_weights(weights)
    n_negative, n_positive = int((w < 0).sum()), int((w > 0).sum())
    return _PartitionSummary(length, not_finite, len(w), find_not_finite(w[:, None]), n_negative, n_positive)


@torch.no_grad()
def _apply(rows: Any, packed: bytes, no_rows: NDArray[Any]) -> NDArray[Any]:
    array = as_rows(rows)
    if not array.shape[0]:
        return no_rows
    check_finite(array, "a partition")
    return _to_numpy(unpack(packed)(ArraySource(array, None, CPU, DTYPE)))


def _to_numpy(x: Tensor) -> NDArray[Any]:
    return x.float().numpy() if x.dtype == torch.bfloat16 else x.numpy()  # NumPy does not support bfloat16


# These functions run in the process of the caller.


def _check(summaries: list[_PartitionSummary], n_features: int) -> None:
    """Raise an InputError if the rows or the weights are not valid."""
    for number, summary in enumerate(summaries):
        if summary.n_weights != summary.length:
            raise InputError(
                f"has {summary.n_weights} values in partition {number}",
                parameter="sample_weight",
                expected=f"{summary.length}",
                hint="give one weight per row, in the same partitions",
            )
    _check_finite("the data", [(summary.length, *summary.not_finite) for summary in summaries], n_features)
    _check_finite("sample_weight", [(summary.length, *summary.weights_not_finite) for summary in summaries], 1)
    check_signs(sum(summary.n_negative for summary in summaries), sum(summary.n_positive for summary in summaries))


def _check_finite(name: str, partitions: list[tuple[int, int, tuple[int, int] | None]], n_columns: int) -> None:
    """Raise an InputError if a partition, given as (length, count, first position), has entries that are not finite."""
    start = 0
    for number, (length, _, first) in enumerate(partitions):
        if first is not None:
            n_not_finite = sum(count for _, count, _ in partitions)
            size = sum(length for length, _, _ in partitions) * n_columns
            row, column = first
            position = f"in row {start + row}, column {column}, which is row {row} of partition {number}"
            raise_not_finite(name, n_not_finite, size, position)
        start += length


def _merge_column_chunks(x: Any) -> Any:
    """Rechunk a Dask array so that its chunks are whole rows; return data frames unchanged."""
    return x.rechunk({1: -1}) if hasattr(x, "chunks") and len(x.chunks[1]) > 1 else x


def _delayed_partitions(x: Any) -> list[Any]:
    partitions = x.to_delayed()
    return partitions.ravel().tolist() if isinstance(partitions, np.ndarray) else list(partitions)


def _delayed_weights(w: Any, x: Any) -> list[Any]:
    """Return the weights in the partitions of the rows; rechunk them if all lengths are known."""
    if getattr(w, "ndim", None) != 1:
        problem, expected = f"is a Dask {type(w).__name__}", "an array (n,) or a series"
        raise InputError(problem, parameter="sample_weight", expected=expected, hint="give one weight per row")
    are_arrays = hasattr(w, "chunks") and hasattr(x, "chunks")
    if are_arrays and w.chunks[0] != x.chunks[0] and not np.isnan([*w.shape, x.shape[0]]).any():
        if w.shape[0] != x.shape[0]:
            problem, expected = f"has shape {w.shape}", f"({x.shape[0]},)"
            raise InputError(problem, parameter="sample_weight", expected=expected, hint="give one weight per row")
        w = w.rechunk((x.chunks[0],))
    if w.npartitions != x.npartitions:
        problem = f"has {w.npartitions} partitions, but the data has {x.npartitions}"
        raise InputError(problem, parameter="sample_weight", hint="use the same for both")
    return _delayed_partitions(w)


def _split_weights(w: Any, ends: list[int]) -> list[NDArray[Any]]:
    """Split in-memory weights at the ends of the partitions."""
    array = w.cpu().numpy() if isinstance(w, Tensor) else w
    return np.split(array, ends[:-1])
