"""Dask's arrays and data frames: their partitions are worked on where they lie, and the sums of these brought together.

Of Dask only what is public is used: collections become delayed partitions, and a pass delayed calls on these. Whoever
does Dask's work does ours, threads or the workers of a cluster.
"""

from __future__ import annotations

__all__ = ["DaskSource", "by_partition", "check_collection", "dtype_of"]

import copy
import functools
import importlib
import io
import itertools
import operator
import pickle
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from ..blocks import Block
from ..errors import InputError
from ..kernels import working_dtype
from .arrays import check_finite, check_matrix, check_signs, check_weights, find_not_finite, raise_not_finite
from .source import ArraySource, Source
from .tables import as_rows, as_vector, is_dask

T = TypeVar("T")

CPU = torch.device("cpu")
BRANCHES = 8  # how many sums are added at a time
FEW = 64  # partitions
SMALL = 2**16  # bytes of a function and what it holds


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
    device, dtype = CPU, working_dtype(CPU)

    def __init__(self, x: Any, sample_weight: Any = None, *, finite: bool = True) -> None:
        check_collection(x)
        self.kept = x, sample_weight  # or partitions that were persisted would go
        self.n_features = x.shape[1]
        self.columns = tuple(map(str, x.columns)) if hasattr(x, "columns") else None
        x, lazy = _in_one_column(x), is_dask(sample_weight)
        rows = _delayed_parts(x)
        weights = _delayed_weights(sample_weight, x) if lazy else [None] * len(rows)
        surveys = _compute([_delayed(_survey)(*pair, finite) for pair in zip(rows, weights, strict=True)])
        ends = np.cumsum([survey.length for survey in surveys]).tolist()
        self.n_rows = ends[-1]
        if not self.n_rows:
            raise InputError(f"the data has shape {(0, self.n_features)}: at least one row and one feature are needed")
        _check(surveys, self.n_features)
        if sample_weight is not None and not lazy:
            weights = _cut(check_weights(sample_weight, self.n_rows), ends)
        parts = map(_Part, range(len(rows)), rows, weights, [0, *ends[:-1]], ends)
        self.parts = [part for part in parts if part.start < part.stop]

    @override
    def blocks(self) -> Iterator[Block]:
        return (_compute([part.apply(_block)])[0] for part in self.parts)

    @override
    def batches(self) -> Iterator[Source]:
        return map(self._only, self.parts)

    def _only(self, part: _Part) -> DaskSource:
        """Make a source of one partition, which stays where it lies."""
        source = copy.copy(self)
        source.parts, source.n_rows = [part], part.stop - part.start
        return source

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        """Sum an additive function of a block over all partitions, in an order that no worker has a say in."""
        sent = _sent(fn)
        held = self._held() if isinstance(sent, bytes) and len(self.parts) <= FEW else None
        if held:
            last = _last(_found_where_held(self.parts, held, sent), _added)
        else:
            last = _compute(_last([part.apply(_term, sent) for part in self.parts], _delayed(_added)))
        total: T = functools.reduce(operator.add, map(_unpacked, last))
        return total

    def _held(self) -> dict[Any, Any] | None:
        """Give the futures of all partitions by their keys, if the caller has persisted them on a cluster."""
        distributed = sys.modules.get("distributed")
        if distributed is None:
            return None
        futures = {future.key: future for future in distributed.futures_of(self.kept)}
        return futures if all(key in futures for part in self.parts for key in part.keys) else None


class _Part(NamedTuple):
    """A partition that has rows, delayed, with the numbers of its first row and of that after its last."""

    number: int
    rows: Any
    weights: Any
    start: int
    stop: int

    def apply(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Delay a function of the partition."""
        return _delayed(fn)(self.rows, self.weights, self.number, self.start, self.stop, *args)

    @property
    def keys(self) -> list[Any]:
        """What Dask knows it by."""
        return [each.key for each in (self.rows, self.weights) if is_dask(each)]

    def held(self, futures: dict[Any, Any]) -> tuple[Any, ...]:
        """Give the same with futures of what is delayed."""
        rows, weights = (futures[each.key] if is_dask(each) else each for each in (self.rows, self.weights))
        return rows, weights, self.number, self.start, self.stop


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
    if not (hasattr(x, "to_delayed") and hasattr(x, "ndim")):
        raise InputError(f"the data is a Dask {type(x).__name__}, expected a Dask array or data frame: convert it")
    if hasattr(x, "columns"):
        as_rows(x._meta_nonempty)  # complains of columns that are not numeric
    shape = tuple("n" if np.isnan(size) else size for size in x.shape) if hasattr(x, "chunks") else ("n",) * x.ndim
    if x.ndim != 2:
        raise InputError(
            f"the data has shape ({', '.join(map(str, shape))}), expected (n, d): use x.reshape(-1, 1), or "
            "x.to_frame(), for one feature"
        )
    if x.shape[1] == 0:
        raise InputError("the data has no columns: at least one row and one feature are needed")
    check_matrix(np.empty((1, 1), dtype_of(x)))


def dtype_of(x: Any) -> np.dtype[Any]:
    """Give the type that the rows of a Dask array or data frame have in memory."""
    found: Any = x if hasattr(x, "chunks") else as_rows(x._meta_nonempty)
    return np.dtype(found.dtype)


def by_partition(x: Any, fn: Callable[[Source], Tensor], width: int | None, dtype: torch.dtype) -> Any:
    """Give what a function gives of rows, ``(m, width)`` or ``(m,)``, as a lazy Dask array of the same partitions."""
    empty = torch.empty((0,) if width is None else (0, width), dtype=dtype).numpy()
    x, sent = _in_one_column(x), _sent(fn)
    if not hasattr(x, "chunks"):
        return x.map_partitions(_answer, sent, empty, meta=empty)
    shape = {"drop_axis": 1} if width is None else {"chunks": (x.chunks[0], (width,))}
    return x.map_blocks(_answer, sent, empty, dtype=empty.dtype, meta=empty, **shape)


# What runs on workers.


def _block(rows: Any, weights: Any, number: int, start: int, stop: int) -> Block:
    found = as_rows(rows)
    if found.shape[0] != stop - start:
        raise InputError(
            f"partition {number} has {found.shape[0]} rows now and had {stop - start} before: persist the collection, "
            "or make it of something that stays the same"
        )
    return Block(found, None if weights is None else _weights(weights), CPU, DaskSource.dtype, start=start)


def _term(rows: Any, weights: Any, number: int, start: int, stop: int, sent: bytes) -> bytes:
    return _terms(sent, (rows, weights, number, start, stop))[0]


@torch.no_grad()
def _terms(sent: bytes, *parts: tuple[Any, ...]) -> list[bytes]:
    fn = _unpacked(sent)
    return [_packed(fn(_block(*part))) for part in parts]


def _added(*terms: bytes) -> bytes:
    return _packed(functools.reduce(operator.add, map(_unpacked, terms)))


def _survey(rows: Any, weights: Any, finite: bool) -> _Survey:
    found = as_rows(rows)
    length, not_finite = found.shape[0], find_not_finite(found) if finite else (0, None)
    if weights is None:
        return _Survey(length, not_finite, length, (0, None), 0, 1)
    w = _weights(weights)
    return _Survey(length, not_finite, len(w), find_not_finite(w[:, None]), int((w < 0).sum()), int((w > 0).sum()))


def _weights(weights: Any) -> NDArray[Any]:
    return np.asarray(as_vector(weights, "sample_weight"), np.float64)


@torch.no_grad()
def _answer(rows: Any, sent: bytes, empty: NDArray[Any]) -> NDArray[Any]:
    found = as_rows(rows)
    if not found.shape[0]:
        return empty
    check_finite(found, "a partition")
    answer: Tensor = _unpacked(sent)(ArraySource(found, None, CPU, DaskSource.dtype))
    return answer.numpy()


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


def _last(terms: list[Any], added: Callable[..., Any]) -> list[Any]:
    """Add terms up until a few are left, which whoever asked adds: one more task would take longer than these do."""
    while len(terms) > BRANCHES:
        terms = [added(*terms[i : i + BRANCHES]) for i in range(0, len(terms), BRANCHES)]
    return terms


def _found_where_held(parts: list[_Part], futures: dict[Any, Any], sent: bytes) -> list[bytes]:
    """Give what a function finds in each partition, in order, in a task for each thread that has some at hand.

    With a task for each partition, more time would go into tasks than into rows.
    """
    client = next(iter(futures.values())).client
    groups = _shared_out(parts, client.who_has(list(futures.values())), client.nthreads())
    tasks = [client.submit(_terms, sent, *(part.held(futures) for part in group), pure=False) for group in groups]
    found = itertools.chain(*client.gather(tasks))
    numbers = (part.number for group in groups for part in group)
    return [term for _, term in sorted(zip(numbers, found, strict=True), key=operator.itemgetter(0))]


def _shared_out(parts: list[_Part], holders: dict[Any, Any], threads: dict[str, int]) -> list[list[_Part]]:
    shelves = defaultdict(list)
    for part in parts:
        shelves[min(holders.get(part.rows.key) or [""])].append(part)
    split = [(shelf, threads.get(worker, 1)) for worker, shelf in shelves.items()]
    return [shelf[i::n] for shelf, n in split for i in range(min(n, len(shelf)))]


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


def _delayed(thing: Any) -> Any:
    return _dask().delayed(thing, pure=False, traverse=False)


def _compute(delayed: list[Any]) -> list[Any]:
    return list(_dask().compute(*delayed, optimize_graph=False))


def _dask() -> Any:
    return importlib.import_module("dask")  # loaded already, or no collection would have come


def _sent(fn: Callable[..., Any]) -> Any:
    """Make a function ready to travel, as bytes, which the scheduler needn't understand.

    What is small goes along with each partition's task. What is large goes to one worker, and from there to the others;
    a small one would wait there for an answer, and draw small partitions to where it is.
    """
    sent = _packed(fn)
    return sent if len(sent) <= SMALL else _delayed(sent)


def _packed(value: Any) -> bytes:
    """Pickle functions, and tensors as arrays: PyTorch takes a third of a millisecond for each of its own."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            plain = type(value) is Tensor and value.device.type == "cpu" and value.layout == torch.strided
            if plain and value.dtype != torch.bfloat16:  # which NumPy lacks
                return torch.from_numpy, (value.detach().resolve_neg().numpy(),)
            return super().reducer_override(value)

    Pickler(file := io.BytesIO(), protocol=5).dump(value)
    return file.getvalue()


def _unpacked(packed: bytes) -> Any:
    return pickle.loads(packed)  # noqa: S301  (it comes from Dask, which runs any code that comes)
