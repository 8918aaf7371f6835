"""The functions of `kernels`, implemented by compiled kernels.

How rows are divided into chunks depends only on their number and width. Each chunk is one call of a kernel, in one of
several threads. The sums of chunks are added in order, so results are the same to the last bit for any number of
threads.
"""

from __future__ import annotations

__all__ = ["OutOfRangeError", "RowAssignments", "accumulate", "assign", "min_distances", "unsupported_feature"]

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.block import Block, as_tensor
from ...distances import Distance
from ...model.assignment import AssignmentRule
from ...model.stats import Stats
from . import kernels
from .arguments import (
    COMPILED_DISTANCES,
    COMPILED_RULES,
    FLOAT_TYPES,
    KernelArguments,
    OutOfRangeError,
    make_arguments,
    round_up,
    scratch_arrays,
)
from .codegen import register_bytes
from .jit import load_kernel
from .panels import MAX_FEW_FEATURES
from .threads import map_in_order

Array = NDArray[Any]
T = TypeVar("T")


def unsupported_feature(distance: Distance, beta: Tensor | None, rule: AssignmentRule) -> str:
    """Return the name of a requested feature that the compiled kernels do not support, or an empty string."""
    if type(distance) not in COMPILED_DISTANCES:
        return f"the {distance.name} distance"
    if type(rule) not in COMPILED_RULES:
        return f"{rule.name} memberships"
    if rule.has_noise:
        return "a noise cluster"
    return "" if beta is None or bool((beta == beta[0]).all()) else "a temperature for each cluster"


class KernelCall:
    """A kernel with its arguments, to be run on chunks of a block.

    Parameters
    ----------
    name : str
        Name in `kernels.KERNELS`, without the number of features.
    block : Block
        The rows.
    arguments : KernelArguments
        The arguments that are equal for all chunks.
    row_axis : int
        The axis of the outputs along which rows lie.
    outputs : dict of ndarray
        Arrays by row, which the kernel writes or reads.
    """

    def __init__(
        self, name: str, block: Block, arguments: KernelArguments, *, row_axis: int = 0, **outputs: Array
    ) -> None:
        self.block, self.arguments, self.row_axis, self.outputs = block, arguments, row_axis, outputs
        d = arguments.numbers["d"]
        self.kernel = load_kernel(f"{name}_{d if d <= MAX_FEW_FEATURES else 'many'}", arguments.bits)
        self.weight_unit = 1.0 if block.weights is None else 2.0 ** math.frexp(float(block.weights.max()))[1]
        self.offsets = dict[str, int]()  # where each scratch array begins, in bytes
        self.scratch_bytes = 0
        self.free_scratch = list[Array]()
        for key, (size, width) in scratch_arrays(arguments).items():
            self.offsets[key] = self.scratch_bytes
            self.scratch_bytes += round_up(size * width, 64)
        self.fixed = {key: array.ctypes.data for key, array in arguments.arrays.items()}
        self.fixed |= arguments.numbers | {"has_weights": int(block.weights is not None), "with_resp": 0}
        self.order = [key for names in kernels.ARGUMENTS.values() for key in names]

    def __call__(self, start: int, stop: int) -> Array:
        """Run the kernel on the rows in [start, stop), and return the scratch memory, with its sums.

        Raises
        ------
        OutOfRangeError
            If a distance is too large for the kernel's floats.
        """
        rows, weights = self._rows(start, stop), self._weights(start, stop)
        scratch = self._scratch()
        base = scratch.ctypes.data
        by_chunk = {key: base + offset for key, offset in self.offsets.items()}
        by_chunk |= {"x": rows.ctypes.data, "weights": weights.ctypes.data, "chunk_rows": stop - start}
        by_chunk |= {
            key: array.ctypes.data + start * array.strides[self.row_axis] for key, array in self.outputs.items()
        }
        values = self.fixed | by_chunk
        self.kernel(*[values.get(key, 0) for key in self.order])
        if scratch[self.offsets["out_of_range"]]:
            raise OutOfRangeError
        return scratch

    def _scratch(self) -> Array:
        """Return scratch memory of zeros, aligned to a cache line; reuse that of a finished chunk if there is some."""
        try:
            memory = self.free_scratch.pop()
        except IndexError:
            memory = np.empty(self.scratch_bytes + 64, np.uint8)
            memory = memory[-memory.ctypes.data % 64 :][: self.scratch_bytes]
        memory.fill(0)
        return memory

    def total(self, totals: Array, name: str, *shape: int) -> Array:
        """Return one of the sums that a run has returned, as an array of a shape."""
        begin = (self.offsets[name] - self.offsets["weight_total"]) // 8
        return totals[begin : begin + math.prod(shape)].reshape(shape)

    def run(self) -> Array:
        """Run the kernel on all chunks, in as many threads as PyTorch uses, and return the sums over all chunks."""
        chunk_rows = self.arguments.chunk_rows
        starts = range(0, len(self.block), chunk_rows)
        stops = [min(start + chunk_rows, len(self.block)) for start in starts]
        totals, first = np.empty(0), self.offsets["weight_total"]
        for scratch in map_in_order(self, list(zip(starts, stops, strict=True))):
            chunk_totals = scratch[first:].view(np.float64)
            if len(totals):
                totals += chunk_totals
                self.free_scratch.append(scratch)
            else:
                totals = chunk_totals
        return totals

    def _rows(self, start: int, stop: int) -> Array:
        """Return contiguous rows of the kernel's float type; they are copied only if necessary."""
        rows = self.block.rows[start:stop]
        if not isinstance(rows, np.ndarray):
            dtype = torch.float32 if self.arguments.bits == 32 else torch.float64
            rows = as_tensor(rows).to(dtype).numpy(force=True)
        return np.ascontiguousarray(rows, FLOAT_TYPES[self.arguments.bits])

    def _weights(self, start: int, stop: int) -> Array:
        """Return weights over a power of two, so that none exceeds 1."""
        if self.block.weights is None:
            return np.empty(0)
        weights = as_tensor(self.block.weights[start:stop]).double().numpy() / self.weight_unit
        return weights.astype(FLOAT_TYPES[self.arguments.bits])


def _with_enough_range(block: Block, run: Callable[[int], T]) -> T:
    """Return run(32) for rows of floats with at most 32 bits; run(64) for other rows, or if float32 overflows."""
    floating = block.rows.is_floating_point() if isinstance(block.rows, Tensor) else block.rows.dtype.kind == "f"
    if floating and block.rows.dtype.itemsize <= 4:
        try:
            return run(32)
        except OutOfRangeError:
            pass
    return run(64)


def accumulate(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance) -> Stats:
    """Return the sufficient statistics of a block's rows: see `reference.accumulate`.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> Stats:
        arguments = make_arguments(block, c, float(beta[0]), b, distance, bits)
        call = KernelCall("accumulate", block, arguments)
        return _stats(call, call.run() * call.weight_unit, b.numpy())

    return _with_enough_range(block, run)


def _stats(call: KernelCall, totals: Array, b: Array) -> Stats:
    """Return the kernel's sums as `Stats`, with the shift to the kernel's origin undone."""
    arguments, k, d = call.arguments, call.arguments.numbers["k"], call.arguments.numbers["d"]
    factor = arguments.distance_factor
    weight = call.total(totals, "weight_total", k)
    log_total_sum, distance_sum, n = call.total(totals, "objective_sums", 3)
    many = d > MAX_FEW_FEATURES
    weighted_sum = _join_strips(call, totals) if many else call.total(totals, "weighted_sum_total", k, d)
    distortion = call.total(totals, "distortion_total", k) + weight * b / arguments.beta  # without the bias
    irls_weight = factor * weight
    return Stats(
        weight=torch.tensor(weight),
        irls_weight=torch.tensor(irls_weight),
        weighted_sum=torch.tensor(factor * weighted_sum + irls_weight[:, None] * arguments.origin),
        kink_weight=torch.zeros(k, dtype=torch.float64),
        distortion=torch.tensor(factor * distortion),
        objective=torch.tensor(math.log(2) * log_total_sum - arguments.beta * distance_sum),
        n=torch.tensor(n),
    )


def _join_strips(call: KernelCall, totals: Array) -> Array:
    """Return the weighted sums (k, d) from the strips that `dense.add_products` adds up; see `common.strips`."""
    padded_k, padded_d, k, d = (call.arguments.numbers[name] for name in ("padded_k", "padded_d", "k", "d"))
    sums = call.total(totals, "weighted_sum_strips", padded_k * padded_d)
    lanes = register_bytes() * 8 // call.arguments.bits
    strips, done = [], 0
    while done < padded_d:
        registers_left = (padded_d - done) // lanes
        width = lanes * (3 if registers_left == 3 or registers_left > 4 else min(registers_left, 2))
        strips.append(sums[done * padded_k : (done + width) * padded_k].reshape(padded_k, width))
        done += width
    return np.concatenate(strips, axis=1)[:k, :d]


class RowAssignments(NamedTuple):
    """The assignment of m rows to clusters.

    Attributes
    ----------
    label : Tensor (m,) of int64
        Index of the nearest center, the lower one in a tie.
    distance : Tensor (m,) of float64
        Distance to the nearest center.
    lognorm : Tensor (m,) of float64
        Log-normalizer of the memberships.
    resp : Tensor (m, k)
        Memberships if they were requested, else (m, 0).
    """

    label: Tensor
    distance: Tensor
    lognorm: Tensor
    resp: Tensor


def assign(
    block: Block, c: Tensor, beta: Tensor | None, b: Tensor, distance: Distance, *, with_resp: bool = False
) -> RowAssignments:
    """Return the assignment of each row; without ``beta``, only the nearest center and its distance are valid.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> RowAssignments:
        first_beta, max_exponent = (1.0, 0.0) if beta is None else (float(beta[0]), None)
        arguments = make_arguments(block, c, first_beta, b, distance, bits, max_exponent)
        m, dtype = len(block), FLOAT_TYPES[bits]
        label, min_distance, log_total = np.empty(m, np.int64), np.empty(m, dtype), np.empty(m, dtype)
        resp = np.empty((m, len(c) if with_resp else 0), dtype)
        outputs: dict[str, Any] = {
            "out_label": label, "out_distance": min_distance, "out_log_total": log_total, "out_resp": resp,
        }  # fmt: skip
        call = KernelCall("assign", block, arguments, **outputs)
        call.fixed["with_resp"] = int(with_resp)
        call.run()
        squared = torch.from_numpy(min_distance).double()
        lognorm = math.log(2) * torch.from_numpy(log_total).double() - arguments.beta * squared
        return RowAssignments(
            torch.from_numpy(label), arguments.distance_factor * squared, lognorm, torch.from_numpy(resp)
        )

    return _with_enough_range(block, run)


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Evaluate candidates for the next center: see `reference.min_distances`. It uses differences of coordinates.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> tuple[Tensor, Tensor]:
        arguments, k = make_arguments(block, c, 1.0, c.new_zeros(len(c)), distance, bits), len(c)
        factor = arguments.distance_factor
        closest_squared = closest.numpy().astype(FLOAT_TYPES[bits], copy=False) / FLOAT_TYPES[bits](factor)
        updated = np.empty((k, len(block)), FLOAT_TYPES[bits])
        call = KernelCall("min_distances", block, arguments, row_axis=-1, closest=closest_squared, out_resp=updated)
        potential = call.total(call.run(), "weight_total", k) * call.weight_unit * factor
        distances = torch.from_numpy(updated)
        return distances if factor == 1 else distances.mul_(factor), torch.tensor(potential)

    return _with_enough_range(block, run)
