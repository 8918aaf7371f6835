"""Dask's arrays and data frames, as a source and for lazy answers."""

from __future__ import annotations

__all__ = ["DaskSource", "by_partition", "check_collection"]

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
from ..validation import check_finite, check_matrix, check_signs, check_weights, find_not_finite, raise_not_finite
from .dask_partitions import CPU, DTYPE, Held, Part, block_of, compute, delayed, packed, summed, unpacked, weights_of

T = TypeVar("T")


class DaskSource(Source):
    """The rows of a Dask array or data frame, in partitions that workers hold or can make.

    A first pass counts the rows and looks for what is wrong with them. Nothing is persisted: what the caller did not
    persist is read, or computed, anew in every pass.

    Parameters
    ----------
    x : dask array (n, d) or data frame
        Rows of finite real numbers; how many there are may be unknown.
    sample_weight : dask array or series (n,) in the same partitions, or column (n,) in memory, optional
        Weights, not negative and not all 0.
    finite : bool, default=True
        Whether to look for NaN and infinity.

    Raises
    ------
    InputError
        If the rows or the weights are none.

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
        x, lazy = _in_one_column(x), is_dask(sample_weight)
        rows = _delayed_parts(x)
        weights = _delayed_weights(sample_weight, x) if lazy else [None] * len(rows)
        surveys = compute([delayed(_survey)(*pair, finite) for pair in zip(rows, weights, strict=True)])
        ends = np.cumsum([survey.length for survey in surveys]).tolist()
        self.n_rows = ends[-1]
        if not self.n_rows:
            raise InputError(f"the data has shape {(0, self.n_features)}: at least one row and one feature are needed")
        _check(surveys, self.n_features)
        if sample_weight is not None and not lazy:
            weights = _cut(check_weights(sample_weight, self.n_rows), ends)
        parts = map(Part, range(len(rows)), rows, weights, [0, *ends[:-1]], ends)
        self.parts = [part for part in parts if part.start < part.stop]
        self.held = Held(x, sample_weight)

    @override
    def blocks(self) -> Iterator[Block]:
        return (compute([part.apply(block_of)])[0] for part in self.parts)

    @override
    def batches(self) -> Iterator[Source]:
        return map(self._only, self.parts)

    def _only(self, part: Part) -> DaskSource:
        """Make a source of one partition, which stays where it lies."""
        source = copy.copy(self)
        source.parts, source.n_rows = [part], part.stop - part.start
        return source

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        """Sum an additive function of a block over all partitions, in an order that no worker has a say in."""
        total: T = summed(self.parts, fn, self.held)
        return total


class _Survey(NamedTuple):
    """What a first look at a partition finds; of entries that are not finite, how many and where the first is."""

    length: int
    not_finite: tuple[int, tuple[int, int] | None]
    n_weights: int
    weights_not_finite: tuple[int, tuple[int, int] | None]
    n_negative: int
    n_positive: int


def check_collection(x: Any) -> None:
    """Raise an InputError unless x is a Dask array (n, d) or data frame of real numbers."""
    if not hasattr(type(x), "to_delayed") or not hasattr(type(x), "ndim"):
        raise InputError(f"the data is a Dask {type(x).__name__}, expected a Dask array or data frame: convert it")
    if x.ndim != 2:
        remedy = "x.reshape(-1, 1)" if hasattr(x, "chunks") else "x.to_frame()"
        raise InputError(f"the data has {x.ndim} dimensions, expected (n, d): use {remedy} for one feature")
    if not x.shape[1]:
        raise InputError("the data has no columns: at least one row and one feature are needed")
    check_matrix(np.empty((1, 1), dtype_of(x)))  # of frames, it complains of columns that are not numeric


def by_partition(x: Any, fn: Callable[[Source], Tensor], empty: Tensor) -> Any:
    """Give what a function finds for each row, lazily, in the partitions of x; ``empty`` is what it finds for none."""
    nothing, sent = _array(empty), delayed(packed(fn))
    if hasattr(x, "columns"):
        return x.map_partitions(_answer, sent, nothing, meta=nothing)
    x = _in_one_column(x)
    shape = {"drop_axis": 1} if nothing.ndim == 1 else {"chunks": (x.chunks[0], (nothing.shape[1],))}
    return x.map_blocks(_answer, sent, nothing, dtype=nothing.dtype, meta=nothing, **shape)


# What runs on workers.


def _survey(rows: Any, weights: Any, finite: bool) -> _Survey:
    found = as_rows(rows)
    length, not_finite = found.shape[0], find_not_finite(found) if finite else (0, None)
    if weights is None:
        return _Survey(length, not_finite, length, (0, None), 0, 1)
    w = weights_of(weights)
    return _Survey(length, not_finite, len(w), find_not_finite(w[:, None]), int((w < 0).sum()), int((w > 0).sum()))


@torch.no_grad()
def _answer(rows: Any, sent: bytes, nothing: NDArray[Any]) -> NDArray[Any]:
    found = as_rows(rows)
    if not found.shape[0]:
        return nothing
    check_finite(found, "a partition")
    return _array(unpacked(sent)(ArraySource(found, None, CPU, DTYPE)))


def _array(x: Tensor) -> NDArray[Any]:
    return x.float().numpy() if x.dtype == torch.bfloat16 else x.numpy()  # which NumPy lacks


# What runs where the collection is.


def _check(surveys: list[_Survey], n_features: int) -> None:
    """Raise an InputError that says what is wrong with the rows or the weights, and where."""
    for number, survey in enumerate(surveys):
        if survey.n_weights != survey.length:
            raise InputError(
                f"sample_weight has {survey.n_weights} values in partition {number}, expected {survey.length}: give "
                "one weight a row, in the same partitions"
            )
    _check_finite("the data", [(survey.length, *survey.not_finite) for survey in surveys], n_features)
    _check_finite("sample_weight", [(survey.length, *survey.weights_not_finite) for survey in surveys], 1)
    check_signs(sum(survey.n_negative for survey in surveys), sum(survey.n_positive for survey in surveys))


def _check_finite(name: str, found: list[tuple[int, int, tuple[int, int] | None]], n_columns: int) -> None:
    start = 0
    for number, (length, _, first) in enumerate(found):
        if first is not None:
            count, size = sum(count for _, count, _ in found), sum(length for length, _, _ in found) * n_columns
            row, column = first
            place = f"in row {start + row}, column {column}, which is row {row} of partition {number}"
            raise_not_finite(name, count, size, place)
        start += length


def _in_one_column(x: Any) -> Any:
    """Give a Dask array whose chunks are whole rows; data frames have no others."""
    return x.rechunk({1: -1}) if hasattr(x, "chunks") and len(x.chunks[1]) > 1 else x


def _delayed_parts(x: Any) -> list[Any]:
    parts = x.to_delayed()
    return parts.ravel().tolist() if isinstance(parts, np.ndarray) else list(parts)


def _delayed_weights(w: Any, x: Any) -> list[Any]:
    """Cut weights as the rows are, where it is known how; else they have to be so already."""
    if getattr(w, "ndim", None) != 1:
        raise InputError(f"sample_weight is a Dask {type(w).__name__}, expected an array or a series (n,)")
    both = hasattr(w, "chunks") and hasattr(x, "chunks")
    if both and w.chunks[0] != x.chunks[0] and not np.isnan([*w.shape, x.shape[0]]).any():
        if w.shape[0] != x.shape[0]:
            raise InputError(f"sample_weight has shape {w.shape}, expected ({x.shape[0]},): give one weight a row")
        w = w.rechunk((x.chunks[0],))
    if w.npartitions != x.npartitions:
        raise InputError(
            f"sample_weight has {w.npartitions} partitions, and the data has {x.npartitions}: give both the same"
        )
    return _delayed_parts(w)


def _cut(w: Any, ends: list[int]) -> list[NDArray[Any]]:
    """Cut weights in memory at the ends of the partitions."""
    array = w.cpu().numpy() if isinstance(w, Tensor) else w
    return np.split(array, ends[:-1])
