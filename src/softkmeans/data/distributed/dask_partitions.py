"""Dask's partitions, and the sum over them: made where they lie, in an order that does not depend on who makes it.

Of Dask only what is public is used: delayed calls, and futures of what was persisted. Whoever does Dask's work does
ours, threads or the workers of a cluster.
"""

from __future__ import annotations

__all__ = [
    "CPU",
    "DTYPE",
    "Held",
    "Part",
    "block_of",
    "compute",
    "delayed",
    "packed",
    "summed",
    "unpacked",
    "weights_of",
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
Place = tuple[int, int, int]
BRANCHES = 8  # how many terms are added at a time
FEW = 64  # partitions
SMALL = 2**16  # bytes of a function and what it holds


class Part(NamedTuple):
    """A partition that has rows: these and their weights delayed, or weights as an array, and its place among all."""

    number: int
    rows: Any
    weights: Any
    start: int
    stop: int

    def apply(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Delay a function of the partition."""
        return delayed(fn)(self.rows, self.weights, self.place, *args)

    @property
    def place(self) -> Place:
        """Its number, and those of its first row and of that after its last."""
        return self.number, self.start, self.stop

    @property
    def keys(self) -> list[Any]:
        """What Dask knows it by."""
        return [each.key for each in (self.rows, self.weights) if is_dask(each)]


def summed(parts: list[Part], fn: Callable[[Block], Any], held: Held) -> Any:
    """Sum an additive function of a block over partitions."""
    sent = packed(fn)
    if len(parts) <= FEW and len(sent) <= SMALL and held.has(parts):
        few = _last(held.terms(parts, sent), _added)
    else:
        # What is large goes to one worker, and from there to the others. Small, it would draw all work to that one.
        shared = sent if len(sent) <= SMALL else delayed(sent)
        few = compute(_last([part.apply(_term, shared) for part in parts], delayed(_added)))
    return functools.reduce(operator.add, map(unpacked, few))


def _last(terms: list[Any], added: Callable[..., Any]) -> list[Any]:
    """Add terms up until a few are left, which whoever asked adds: one more task would take longer than these do."""
    while len(terms) > BRANCHES:
        terms = [added(*terms[i : i + BRANCHES]) for i in range(0, len(terms), BRANCHES)]
    return terms


class Held:
    """What was persisted on a cluster, which goes when no one holds its futures, and where it lies.

    A pass over it takes a task for each thread that has partitions at hand: with one for each partition, more time
    would go into tasks than into rows.
    """

    def __init__(self, *collections: Any) -> None:
        distributed: Any = sys.modules.get("distributed")
        futures = [] if distributed is None else distributed.futures_of(collections)
        self.futures = {future.key: future for future in futures}
        self.threads: dict[str, int] = {}
        self.holders: dict[Any, Any] = {}
        self.tasks: list[Any] = []

    def has(self, parts: list[Part]) -> bool:
        """Tell whether these are partitions that were persisted, not what is made of such."""
        return bool(self.futures) and all(key in self.futures for part in parts for key in part.keys)

    def terms(self, parts: list[Part], sent: bytes) -> list[bytes]:
        """Give the term of each partition, in order."""
        client = next(iter(self.futures.values())).client
        threads = client.nthreads()
        if threads != self.threads:  # workers came or went
            self.threads, self.holders = threads, client.who_has(list(self.futures.values()))
        groups = _shared_out(parts, self.holders, threads)
        tasks = client.map(_terms, [self._arguments(group) for group in groups], sent=sent, pure=False)
        found = itertools.chain(*client.gather(tasks))
        self.tasks = tasks  # to go when the next ones have been sent: a word about these would hold them up by 10 ms
        numbers = (part.number for group in groups for part in group)
        return [term for _, term in sorted(zip(numbers, found, strict=True), key=operator.itemgetter(0))]

    def _arguments(self, group: list[Part]) -> list[Any]:
        """List the places as bytes, which Dask doesn't look into for futures, then rows and weights in turn."""
        known = [each for part in group for each in (part.rows, part.weights)]
        places = pickle.dumps([part.place for part in group])
        return [places, *(self.futures[each.key] if is_dask(each) else each for each in known)]


def _shared_out(parts: list[Part], holders: dict[Any, Any], threads: dict[str, int]) -> list[list[Part]]:
    """Group partitions by the thread that is to work on them, where they lie."""
    shelves = defaultdict(list)
    for part in parts:
        shelves[min(holders.get(part.rows.key) or [""])].append(part)
    split = [(shelf, threads.get(worker, 1)) for worker, shelf in shelves.items()]
    return [shelf[i::n] for shelf, n in split for i in range(min(n, len(shelf)))]


def block_of(rows: Any, weights: Any, place: Place) -> Block:
    """Make a block of a partition, on the worker that has it."""
    found, (number, start, stop) = as_rows(rows), place
    if found.shape[0] != stop - start:
        raise InputError(
            f"partition {number} has {found.shape[0]} rows now and had {stop - start} before: persist the collection, "
            "or make it of something that stays the same"
        )
    return Block(found, None if weights is None else weights_of(weights), CPU, DTYPE, start=start)


@torch.no_grad()
def _term(rows: Any, weights: Any, place: Place, sent: bytes) -> bytes:
    return packed(unpacked(sent)(block_of(rows, weights, place)))


def _terms(arguments: list[Any], sent: bytes) -> list[bytes]:
    places, *known = arguments
    pairs = zip(known[::2], known[1::2], unpacked(places), strict=True)
    return [_term(rows, weights, place, sent) for rows, weights, place in pairs]


def _added(*terms: bytes) -> bytes:
    return packed(functools.reduce(operator.add, map(unpacked, terms)))


def weights_of(weights: Any) -> NDArray[Any]:
    """Give a partition's weights as an array."""
    return np.asarray(as_vector(weights, "sample_weight"), np.float64)


def delayed(thing: Any) -> Any:
    """Make a function ready for calls by whoever does Dask's work, or a value for its tasks."""
    return _dask().delayed(thing, pure=False, traverse=False)


def compute(tasks: list[Any]) -> list[Any]:
    """Give what comes of delayed calls."""
    return list(_dask().compute(*tasks, optimize_graph=False))


def _dask() -> Any:
    return importlib.import_module("dask")  # loaded already, or no collection would have come


def packed(value: Any) -> bytes:
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


def unpacked(packed: bytes) -> Any:
    """Give what was packed."""
    return pickle.loads(packed)  # noqa: S301  (it comes from Dask, which runs any code that comes)
