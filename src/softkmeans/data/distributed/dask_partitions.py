"""Sums over the partitions of a Dask collection, computed by the workers that hold them.

The order of summation does not depend on the workers. Only Dask's public interface is used: delayed calls, and futures
of persisted collections. The active Dask scheduler runs the calls, on threads or on the workers of a cluster.
"""

from __future__ import annotations

__all__ = [
    "CPU",
    "DTYPE",
    "Partition",
    "PersistedPartitions",
    "as_weights",
    "compute",
    "delayed",
    "make_block",
    "pack",
    "sum_partitions",
    "unpack",
]

import functools
import importlib
import io
import itertools
import operator
import pickle
import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ..block import Block, working_dtype
from ..frames import as_rows, as_vector, is_dask

CPU = torch.device("cpu")
DTYPE = working_dtype(CPU)
Position = tuple[int, int, int]  # number of a partition, index of its first row, index after its last row
TERMS_PER_SUM = 8  # added by one task
MAX_GROUPED_PARTITIONS = 64
MAX_INLINE_BYTES = 2**16  # of a pickled function that is sent with every task


class Partition(NamedTuple):
    """A partition that has rows: its rows and weights, delayed (weights may also be an array), and its position."""

    number: int
    rows: Any
    weights: Any
    start: int
    stop: int

    def apply(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Return a delayed call of a function of rows, weights, position and further arguments."""
        return delayed(fn)(self.rows, self.weights, self.position, *args)

    @property
    def position(self) -> Position:
        """The partition's number, the index of its first row, and the index after its last row."""
        return self.number, self.start, self.stop

    @property
    def keys(self) -> list[Any]:
        """Dask's keys of the rows and the weights."""
        return [value.key for value in (self.rows, self.weights) if is_dask(value)]


def sum_partitions(partitions: list[Partition], fn: Callable[[Block], Any], persisted: PersistedPartitions) -> Any:
    """Sum an additive function of a block over partitions."""
    packed = pack(fn)
    is_small = len(packed) <= MAX_INLINE_BYTES
    if len(partitions) <= MAX_GROUPED_PARTITIONS and is_small and persisted.contains(partitions):
        terms = _add_in_groups(persisted.terms(partitions, packed), _add)
    else:
        # A large function becomes a task of its own: one worker gets it and sends it to the others. A small one is sent
        # with every task; as a task of its own it would attract all other tasks to its worker.
        shared = packed if is_small else delayed(packed)
        terms = compute(_add_in_groups([part.apply(_term, shared) for part in partitions], delayed(_add)))
    return functools.reduce(operator.add, map(unpack, terms))


def _add_in_groups(terms: list[Any], add: Callable[..., Any]) -> list[Any]:
    """Add terms in groups until few are left. The caller adds these: one more task would take longer."""
    while len(terms) > TERMS_PER_SUM:
        terms = [add(*terms[i : i + TERMS_PER_SUM]) for i in range(0, len(terms), TERMS_PER_SUM)]
    return terms


class PersistedPartitions:
    """The persisted parts of collections on a cluster, and the workers that hold them.

    Dask releases persisted data when its last future is deleted, so the futures are kept here. A pass submits one task
    for each thread of the workers that hold partitions; with one task per partition, the overhead would exceed the
    computation.
    """

    def __init__(self, *collections: Any) -> None:
        distributed: Any = sys.modules.get("distributed")
        futures = [] if distributed is None else distributed.futures_of(collections)
        self.futures = {future.key: future for future in futures}
        self.threads: dict[str, int] = {}
        self.holders: dict[Any, Any] = {}
        self.tasks: list[Any] = []

    def contains(self, partitions: list[Partition]) -> bool:
        """Return whether all partitions themselves were persisted, not only data that they are computed from."""
        return bool(self.futures) and all(key in self.futures for part in partitions for key in part.keys)

    def terms(self, partitions: list[Partition], packed: bytes) -> list[bytes]:
        """Compute a packed function of each partition, and return its packed values in order."""
        client = next(iter(self.futures.values())).client
        threads = client.nthreads()
        if threads != self.threads:  # workers started or ended
            self.threads, self.holders = threads, client.who_has(list(self.futures.values()))
        groups = _group_by_thread(partitions, self.holders, threads)
        tasks = client.map(_terms, [self._arguments(group) for group in groups], packed=packed, pure=False)
        terms = itertools.chain(*client.gather(tasks))
        # Keep these tasks until the next ones are submitted: their release would delay the next pass by 10 ms.
        self.tasks = tasks
        numbers = (part.number for group in groups for part in group)
        return [term for _, term in sorted(zip(numbers, terms, strict=True), key=operator.itemgetter(0))]

    def _arguments(self, group: list[Partition]) -> list[Any]:
        """Return the positions, pickled so that Dask does not search them for futures, and each partition's data."""
        delayed_values = [value for part in group for value in (part.rows, part.weights)]
        positions = pickle.dumps([part.position for part in group])
        return [positions, *(self.futures[value.key] if is_dask(value) else value for value in delayed_values)]


def _group_by_thread(
    partitions: list[Partition], holders: dict[Any, Any], threads: dict[str, int]
) -> list[list[Partition]]:
    """Group partitions by worker, and divide each worker's partitions among its threads."""
    by_worker = defaultdict(list)
    for part in partitions:
        by_worker[min(holders.get(part.rows.key) or [""])].append(part)
    with_threads = [(held, threads.get(worker, 1)) for worker, held in by_worker.items()]
    return [held[i::n] for held, n in with_threads for i in range(min(n, len(held)))]


def make_block(rows: Any, weights: Any, position: Position) -> Block:
    """Convert a partition to a block, on the worker that holds it."""
    array, (number, start, stop) = as_rows(rows), position
    if array.shape[0] != stop - start:
        raise InputError(
            f"partition {number} has {array.shape[0]} rows, but had {stop - start} in an earlier pass",
            hint="persist the collection, or build it from data that does not change",
        )
    return Block(array, None if weights is None else as_weights(weights), CPU, DTYPE, start=start)


# These functions run on workers.


@torch.no_grad()
def _term(rows: Any, weights: Any, position: Position, packed: bytes) -> bytes:
    return pack(unpack(packed)(make_block(rows, weights, position)))


def _terms(arguments: list[Any], packed: bytes) -> list[bytes]:
    positions, *values = arguments
    parts = zip(values[::2], values[1::2], unpack(positions), strict=True)
    return [_term(rows, weights, position, packed) for rows, weights, position in parts]


def _add(*terms: bytes) -> bytes:
    return pack(functools.reduce(operator.add, map(unpack, terms)))


def as_weights(weights: Any) -> NDArray[Any]:
    """Convert a partition's weights to an array."""
    return np.asarray(as_vector(weights, "sample_weight"), np.float64)


# These functions run in the process of the caller.


def delayed(value: Any) -> Any:
    """Wrap a function for delayed calls, or a value for use in several tasks."""
    return _dask().delayed(value, pure=False, traverse=False)


def compute(tasks: list[Any]) -> list[Any]:
    """Return the results of delayed calls."""
    return list(_dask().compute(*tasks, optimize_graph=False))


def _dask() -> Any:
    return importlib.import_module("dask")  # already loaded by the caller, who has a Dask collection


def pack(value: Any) -> bytes:
    """Pickle a value, functions included, and tensors as arrays: PyTorch takes 0.3 ms to pickle a tensor."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            plain = type(value) is Tensor and value.device.type == "cpu" and value.layout == torch.strided
            if plain and value.dtype != torch.bfloat16:  # NumPy does not support it
                return torch.from_numpy, (value.detach().resolve_neg().numpy(),)
            return super().reducer_override(value)

    Pickler(file := io.BytesIO(), protocol=5).dump(value)
    return file.getvalue()


def unpack(packed: bytes) -> Any:
    """Restore a packed value."""
    return pickle.loads(packed)  # noqa: S301  (the data is from Dask, which runs any code it receives)
