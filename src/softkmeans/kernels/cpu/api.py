"""The verbs of `kernels`, done by compiled kernels.

Rows are cut into chunks by their number and width alone. A chunk is one call of a kernel, in one of several threads,
and what chunks give is added up in order: the result has the same bits whatever the number of threads.
"""

from __future__ import annotations

__all__ = ["Description", "OutOfRangeError", "accumulate", "describe", "lacks", "min_distances"]

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.block import Block, as_tensor
from ...distances import Distance
from ...model.assignment import AssignmentRule, Softmax
from ...model.stats import Stats
from . import kernels
from .arguments import FLOATS, FUSED, OutOfRangeError, Problem, make_problem, round_up, scratch
from .codegen import register_bytes
from .jit import function
from .panels import FEW
from .threads import in_order

Array = NDArray[Any]
T = TypeVar("T")


def lacks(distance: Distance, beta: Tensor | None, rule: AssignmentRule) -> str:
    """Name what of a pass the compiled kernels don't know; nothing if they serve."""
    if type(distance) not in FUSED:
        return f"the {distance.name} distance"
    if rule != Softmax():
        return "a cluster of noise" if isinstance(rule, Softmax) else "fuzzy memberships"
    return "" if beta is None or bool((beta == beta[0]).all()) else "a temperature for each cluster"


class Call:
    """A kernel ready to be run on chunks of a block.

    Parameters
    ----------
    name : str
        Its name in `kernels.KERNELS`, but for the number of features.
    block : Block
        The rows.
    problem : Problem
        The centers.
    by : int
        The axis of its outputs along which rows lie.
    outputs : dict of ndarray
        What it writes.
    """

    def __init__(self, name: str, block: Block, problem: Problem, *, by: int = 0, **outputs: Array) -> None:
        self.block, self.problem, self.by, self.outputs = block, problem, by, outputs
        d = problem.numbers["d"]
        self.kernel = function(f"{name}_{d if d <= FEW else 'many'}", problem.bits)
        self.unit_weight = 1.0 if block.weights is None else 2.0 ** math.frexp(float(block.weights.max()))[1]
        self.places, self.bytes, self.spare = {}, 0, list[Array]()
        for key, (size, width) in scratch(problem).items():
            self.places[key] = self.bytes
            self.bytes += round_up(size * width, 64)
        self.fixed = {key: array.ctypes.data for key, array in problem.arrays.items()}
        self.fixed |= problem.numbers | {"weighted": int(block.weights is not None), "wanted": 0}
        self.order = [key for names in kernels.ARGUMENTS.values() for key in names]

    def __call__(self, start: int, stop: int) -> Array:
        """Run on some rows; give the scratch memory."""
        rows, weights = self._rows(start, stop), self._weights(start, stop)
        memory = self._memory()
        base = memory.ctypes.data
        here = {key: base + place for key, place in self.places.items()}
        here |= {"x": rows.ctypes.data, "weights": weights.ctypes.data, "stop": stop - start}
        here |= {key: array.ctypes.data + start * array.strides[self.by] for key, array in self.outputs.items()}
        given = self.fixed | here
        self.kernel(*[given.get(key, 0) for key in self.order])
        if memory[self.places["far"]]:
            raise OutOfRangeError
        return memory

    def _memory(self) -> Array:
        """Zeros to work in, where a cache line begins; what another chunk is done with, if there is some."""
        try:
            memory = self.spare.pop()
        except IndexError:
            memory = np.empty(self.bytes + 64, np.uint8)
            memory = memory[-memory.ctypes.data % 64 :][: self.bytes]
        memory.fill(0)
        return memory

    def total(self, totals: Array, name: str, *shape: int) -> Array:
        """Take a total out of what a run has given."""
        begin = (self.places[name] - self.places["weight_total"]) // 8
        return totals[begin : begin + math.prod(shape)].reshape(shape)

    def run(self) -> Array:
        """Run on all chunks, in as many threads as PyTorch uses; give what they add up, in order."""
        starts = range(0, len(self.block), self.problem.chunk)
        stops = [min(start + self.problem.chunk, len(self.block)) for start in starts]
        totals, first = np.empty(0), self.places["weight_total"]
        for memory in in_order(self, list(zip(starts, stops, strict=True))):
            found = memory[first:].view(np.float64)
            if len(totals):
                totals += found
                self.spare.append(memory)
            else:
                totals = found
        return totals

    def _rows(self, start: int, stop: int) -> Array:
        """Rows of the kernel's floats, one after the other; copied only where they do not lie so already."""
        rows = self.block.rows[start:stop]
        if not isinstance(rows, np.ndarray):
            rows = as_tensor(rows).to(torch.float32 if self.problem.bits == 32 else torch.float64).numpy(force=True)
        return np.ascontiguousarray(rows, FLOATS[self.problem.bits])

    def _weights(self, start: int, stop: int) -> Array:
        """Weights in a unit that none exceeds."""
        if self.block.weights is None:
            return np.empty(0)
        weights = as_tensor(self.block.weights[start:stop]).double().numpy() / self.unit_weight
        return weights.astype(FLOATS[self.problem.bits])


def _wherever_it_fits(block: Block, solve: Callable[[int], T]) -> T:
    """Solve in the rows' own floats, if these are float32, or in float64 where that does not suffice."""
    floating = block.rows.is_floating_point() if isinstance(block.rows, Tensor) else block.rows.dtype.kind == "f"
    if floating and block.rows.dtype.itemsize <= 4:
        try:
            return solve(32)
        except OutOfRangeError:
            pass
    return solve(64)


def accumulate(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance) -> Stats:
    """Sum up rows into Stats, as `reference.accumulate` does.

    Raises
    ------
    OutOfRangeError
        If float64 can't hold the squares.
    """

    def solve(bits: int) -> Stats:
        problem = make_problem(block, c, float(beta[0]), b, distance, bits)
        call = Call("accumulate", block, problem)
        return _stats(call, call.run() * call.unit_weight, b.numpy())

    return _wherever_it_fits(block, solve)


def _stats(call: Call, totals: Array, b: Array) -> Stats:
    """Bring sums back into the block's frame."""
    problem, k, d = call.problem, call.problem.numbers["k"], call.problem.numbers["d"]
    weight = call.total(totals, "weight_total", k)
    entropic, distant, n = call.total(totals, "objective", 3)
    moment = _unstrip(call, totals) if d > FEW else call.total(totals, "moment_total", k, d)
    distortion = call.total(totals, "distortion_total", k) + weight * b / problem.beta
    irls_weight = problem.proportion * weight
    return Stats(
        weight=torch.tensor(weight),
        irls_weight=torch.tensor(irls_weight),
        weighted_sum=torch.tensor(problem.proportion * moment + irls_weight[:, None] * problem.origin),
        kink_weight=torch.zeros(k, dtype=torch.float64),
        distortion=torch.tensor(problem.proportion * distortion),
        objective=torch.tensor(math.log(2) * entropic - problem.beta * distant),
        n=torch.tensor(n),
    )


def _unstrip(call: Call, totals: Array) -> Array:
    """Put the strips that `dense.add_products` adds up side by side."""
    fours, padded, k, d = (call.problem.numbers[name] for name in ("fours", "padded", "k", "d"))
    sums, lanes, strips, done = (
        call.total(totals, "sums", fours * padded),
        register_bytes() * 8 // call.problem.bits,
        [],
        0,
    )
    while done < padded:
        left = (padded - done) // lanes
        width = lanes * (3 if left == 3 or left > 4 else min(left, 2))
        strips.append(sums[done * fours : (done + width) * fours].reshape(fours, width))
        done += width
    return np.concatenate(strips, axis=1)[:k, :d]


class Description(NamedTuple):
    """What `describe` says of m rows.

    Attributes
    ----------
    label : Tensor (m,) of int64
        The nearest center, the lower one where two are as near.
    distance : Tensor (m,) of float64
        How far it is.
    lognorm : Tensor (m,) of float64
        The log-normalizer of the memberships.
    resp : Tensor (m, k)
        Memberships, if wanted, else (m, 0).
    """

    label: Tensor
    distance: Tensor
    lognorm: Tensor
    resp: Tensor


def describe(
    block: Block, c: Tensor, beta: Tensor | None, b: Tensor, distance: Distance, *, wanted: bool = False
) -> Description:
    """Say of each row where it belongs; without ``beta``, only which center is nearest, and how far it is.

    Raises
    ------
    OutOfRangeError
        If float64 can't hold the squares.
    """

    def solve(bits: int) -> Description:
        softness, flush = (1.0, 0.0) if beta is None else (float(beta[0]), None)
        problem = make_problem(block, c, softness, b, distance, bits, flush)
        m, dtype = len(block), FLOATS[bits]
        label, least, log_total = np.empty(m, np.int64), np.empty(m, dtype), np.empty(m, dtype)
        resp = np.empty((m, len(c) if wanted else 0), dtype)
        outputs: dict[str, Any] = {
            "out_label": label, "out_distance": least, "out_log_total": log_total, "out_resp": resp,
        }  # fmt: skip
        call = Call("describe", block, problem, **outputs)
        call.fixed["wanted"] = int(wanted)
        call.run()
        far = torch.from_numpy(least).double()
        lognorm = math.log(2) * torch.from_numpy(log_total).double() - problem.beta * far
        return Description(torch.from_numpy(label), problem.proportion * far, lognorm, torch.from_numpy(resp))

    return _wherever_it_fits(block, solve)


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Compare rows' distances to centers, taken by differences, with what they have: see `reference.min_distances`.

    Raises
    ------
    OutOfRangeError
        If float64 can't hold the squares.
    """

    def solve(bits: int) -> tuple[Tensor, Tensor]:
        problem, k = make_problem(block, c, 1.0, c.new_zeros(len(c)), distance, bits), len(c)
        had = closest.numpy().astype(FLOATS[bits], copy=False) / FLOATS[bits](problem.proportion)
        out = np.empty((k, len(block)), FLOATS[bits])
        call = Call("min_distances", block, problem, by=-1, closest=had, out_resp=out)
        potential = call.total(call.run(), "weight_total", k) * call.unit_weight * problem.proportion
        options = torch.from_numpy(out)
        return options if problem.proportion == 1 else options.mul_(problem.proportion), torch.tensor(potential)

    return _wherever_it_fits(block, solve)
