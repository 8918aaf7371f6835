"""The functions of `kernels`, implemented by compiled kernels.

How rows are divided into chunks depends only on their number and width. Each chunk is one call of a kernel, in one of
several threads. The sums of chunks are added in order, so results are the same to the last bit for any number of
threads.
"""

from __future__ import annotations

__all__ = [
    "OutOfRangeError",
    "accumulate",
    "accumulate_distortion",
    "assign",
    "hessian_product",
    "lognorm",
    "min_distances",
    "nearest",
    "row_gradient",
    "serves",
    "unsupported_feature",
]

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.block import Block
from ...distances import Distance, SquaredEuclidean
from ...model.assignment import AssignmentRule, Softmax
from ...model.stats import DistortionStats, Stats
from .arguments import AccumulateArguments, DistortionArguments, HessianArguments, MinDistancesArguments
from .chunks import PassOverChunks
from .csr import CsrAccumulateArguments
from .members import RootUpdateArguments, UpdateArguments
from .partition import is_csr
from .prepare import (
    COMPILED_DISTANCES,
    FLOAT_TYPES,
    OutOfRangeError,
    PreparedPass,
    check_distances,
    direction_arrays,
    prepare_pass,
)
from .served import serves, unsupported_feature
from .strips import join_strips
from .tables import read_sums

Array = NDArray[Any]
T = TypeVar("T")

SOFTMAX = Softmax()


def _with_enough_range(block: Block, run: Callable[[int], T]) -> T:
    """Return run(32) for rows of floats with at most 32 bits; run(64) for other rows, or if float32 overflows."""
    floating = block.rows.is_floating_point() if isinstance(block.rows, Tensor) else block.rows.dtype.kind == "f"
    if floating and not is_csr(block) and block.rows.dtype.itemsize <= 4:
        try:
            return run(32)
        except OutOfRangeError:
            pass
    return run(64)


def accumulate(
    block: Block,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    distance: Distance,
    rule: AssignmentRule = SOFTMAX,
    *,
    signed: bool = False,
) -> Stats:
    """Return the sufficient statistics of a block's rows: see `reference.accumulate`.

    Parameters
    ----------
    signed : bool
        Whether weights may be negative.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> Stats:
        prepared = prepare_pass(block, c, beta, b, distance, bits, rule, has_csr=True)
        return _stats(*_sums("accumulate", block, prepared, signed=signed), signed=signed)

    return _with_enough_range(block, run)


def accumulate_distortion(block: Block, logits: Any, *, signed: bool = False) -> DistortionStats:
    """Return the statistics of a block's rows for the distortion: see `gradients.accumulate_distortion`.

    ``signed`` and the error are those of `accumulate`.
    """

    def run(bits: int) -> DistortionStats:
        prepared = _prepare_logits(block, logits, bits, has_csr=True)
        chunks, totals, prepared = _sums("accumulate_distortion", block, prepared, signed=signed)
        slope = chunks.total(totals, DistortionArguments.slope_total)
        biased = chunks.total(totals, DistortionArguments.slope_distortion_total)
        weight = 0.0 if prepared.has_updates else -prepared.beta * prepared.ratios * slope
        stats = _stats(chunks, totals, prepared, irls_weight=weight, signed=signed)
        factor, bias = prepared.distance_factor, 0.0 if prepared.member else prepared.bias
        return DistortionStats(
            **{field.name: getattr(stats, field.name) for field in fields(stats)},
            slope=torch.from_numpy(factor * slope),
            slope_distortion=torch.from_numpy(factor**2 * (biased - bias * slope)),
        )

    return _with_enough_range(block, run)


def _prepare_logits(block: Block, logits: Any, bits: int, *, has_csr: bool = False) -> PreparedPass:
    """Prepare a pass with `gradients.Logits` and, in its numbers, the distance of the noise cluster."""
    c, beta, b, distance, rule, noise_distance = logits
    prepared = prepare_pass(block, c, beta, b, distance, bits, rule, has_csr=has_csr)
    numbers = prepared.numbers._replace(noise_distance=noise_distance / prepared.distance_factor)
    return prepared._replace(numbers=numbers)


def _sums(
    kernel: str, block: Block, prepared: PreparedPass, *, signed: bool
) -> tuple[PassOverChunks, Array, PreparedPass]:
    """Run a kernel that computes sums; return the pass, the memory with the sums, and what the pass was prepared with.

    Without ``signed``, the kernel skips memberships by the weight that a cluster has so far.
    """
    if signed:
        prepared = prepared._replace(numbers=prepared.numbers._replace(skipped_fraction=0.0))
    chunks = PassOverChunks(kernel, block, prepared)
    return chunks, chunks.run(), prepared


def _stats(
    chunks: PassOverChunks, totals: Array, prepared: PreparedPass, irls_weight: Array | float = 0.0, *, signed: bool
) -> Stats:
    """Return the kernel's sums as `Stats`, with the shift to the kernel's origin undone.

    Parameters
    ----------
    irls_weight : ndarray (k,)
        What the weights of the weighted sums have in addition to the memberships, in total.

    Raises
    ------
    OutOfRangeError
        If the distances are mostly rounding errors.
    """
    factor = prepared.distance_factor
    weight = chunks.total(totals, AccumulateArguments.weight_total)
    log_total_sum, distance_sum, n = chunks.total(totals, AccumulateArguments.objective_sums)
    distortion = chunks.total(totals, AccumulateArguments.distortion_total)
    if prepared.has_softmax:
        distortion = (distortion - weight * prepared.bias) / prepared.ratios
    if not signed:
        distortion = np.maximum(distortion, 0.0)  # the difference may be only rounding
        if n > 0 and not prepared.has_updates:
            check_distances(chunks.numbers, float(distortion.sum() / n))
    update_weight, kink_weight = weight, np.zeros_like(weight)
    if prepared.has_updates:
        update_weight = chunks.total(totals, UpdateArguments.update_total)
    if prepared.has_kink:
        kink_weight = chunks.total(totals, RootUpdateArguments.kink_total)
    irls_weight = factor * (update_weight + irls_weight)
    weighted_sum = _weighted_sum(chunks, totals, factor, irls_weight, prepared.origin)
    objective = math.log(2) * log_total_sum - prepared.beta * distance_sum
    if not prepared.has_softmax:
        objective = -factor * distance_sum
    chunks.free(totals)
    return Stats(
        weight=torch.from_numpy(weight),
        irls_weight=torch.from_numpy(irls_weight),
        weighted_sum=torch.from_numpy(weighted_sum),
        kink_weight=torch.from_numpy(kink_weight),
        distortion=torch.from_numpy(factor * distortion),
        objective=torch.tensor(objective, dtype=torch.float64, device="cpu"),
        n=torch.tensor(n, dtype=torch.float64, device="cpu"),
    )


def hessian_product(
    block: Block,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    distance: Distance,
    direction: tuple[Tensor, Tensor, Tensor],
    *,
    signed: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the product of the Hessian of the summed log-partition functions with a direction in c, beta and b.

    The rows and their weights do not move.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """
    v, of_beta, of_b = (part.numpy() for part in direction)

    def run(bits: int) -> tuple[Tensor, Tensor, Tensor]:
        prepared = prepare_pass(block, c, beta, b, distance, bits)
        factor, bias = prepared.distance_factor, 0.0 if prepared.member else prepared.bias
        natural_beta = prepared.beta * prepared.ratios
        prepared = prepared._replace(arrays=prepared.arrays | direction_arrays(prepared, c.numpy(), v, of_beta, of_b))
        if signed:
            prepared = prepared._replace(numbers=prepared.numbers._replace(skipped_fraction=0.0))
        chunks = PassOverChunks("hessian_product", block, prepared)
        totals = chunks.run()
        weight = chunks.total(totals, AccumulateArguments.weight_total)
        slope = chunks.total(totals, HessianArguments.slope_total)
        biased = chunks.total(totals, HessianArguments.slope_distortion_total)
        counts = -factor * of_beta * weight - natural_beta * slope  # of the weighted sums
        sums = _weighted_sum(chunks, totals, 1.0, counts, prepared.origin)
        chunks.free(totals)
        of_c = 2 * (counts[:, None] * c.numpy() - sums - (natural_beta * weight)[:, None] * v)
        parts = of_c, -factor * (biased - bias * slope), slope
        return torch.from_numpy(parts[0]), torch.from_numpy(parts[1]), torch.from_numpy(parts[2])

    return _with_enough_range(block, run)


def row_gradient(block: Block, logits: Any, *, of_distortion: bool) -> Tensor:
    """Return the gradient (m, d) with respect to unscaled rows: see `gradients.row_gradient`.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> Tensor:
        prepared = _prepare_logits(block, logits, bits)
        if not of_distortion:
            factor = -2 * prepared.beta
            prepared = prepared._replace(numbers=prepared.numbers._replace(gradient_factor=factor))
        gradient = np.empty((len(block), logits.c.shape[1]), FLOAT_TYPES[bits])
        name = "row_gradient_distortion" if of_distortion else "row_gradient"
        chunks = PassOverChunks(name, block, prepared, out_gradient=gradient)
        chunks.free(chunks.run())
        result = torch.from_numpy(gradient)
        return result if chunks.weight_unit == 1 else result.mul_(chunks.weight_unit)

    return _with_enough_range(block, run)


def _weighted_sum(chunks: PassOverChunks, totals: Array, factor: float, weight: Array, origin: Array) -> Array:
    """Return the weighted sums (k, d) of the block's rows times a factor, with the shift to the origin (d,) undone."""
    numbers = chunks.numbers
    if numbers.is_csr:
        sums = chunks.call.layout.view(totals, CsrAccumulateArguments.weighted_sum_total)
        return read_sums(sums, factor * chunks.weight_unit, weight, origin)
    if numbers.has_few_features:
        sums = chunks.total(totals, AccumulateArguments.weighted_sum_total)
    else:
        strips = chunks.total(totals, AccumulateArguments.weighted_sum_strips)
        sums = np.ascontiguousarray(join_strips(strips, numbers.lanes)[: numbers.k, : numbers.d])
    if factor != 1:
        sums *= factor
    sums += weight[:, None] * origin
    return sums


def assign(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> tuple[Array, Array]:
    """Return the memberships (m, k) of rows, and the distance (m,) of float64 to each row's nearest center.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> tuple[Array, Array]:
        prepared, least, _, resp = _assign(block, (c, beta, b, distance, rule), bits, with_resp=True)
        return resp, prepared.distance_factor * least

    return _with_enough_range(block, run)


def lognorm(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Array:
    """Return the log-normalizer (m,) of float64 of each row's memberships; the error is that of `assign`."""

    def run(bits: int) -> Array:
        prepared, least, log_total, _ = _assign(block, (c, beta, b, distance, rule), bits, with_resp=False)
        if prepared.has_softmax:
            return math.log(2) * log_total.astype(np.float64) - prepared.beta * least
        return -prepared.distance_factor * least

    return _with_enough_range(block, run)


def _assign(block: Block, logits: Any, bits: int, *, with_resp: bool) -> tuple[PreparedPass, Array, Array, Array]:
    """Run the kernel `kernels.assign`: return what it was prepared with, and what it has written.

    That is the distance (m,) to the nearest center or, for fuzzy memberships, the objective; the logarithm of the sum
    of unnormalized memberships (m,); and the memberships (m, k), or (m, 0) without ``with_resp``.
    """
    c, beta, b, distance, rule = logits
    prepared = prepare_pass(block, c, beta, b, distance, bits, rule, has_csr=True)
    prepared = prepared._replace(numbers=prepared.numbers._replace(with_resp=with_resp))
    m, dtype = len(block), FLOAT_TYPES[bits]
    least, log_total, resp = np.empty(m, dtype), np.empty(m, dtype), np.empty((m, len(c) if with_resp else 0), dtype)
    chunks = PassOverChunks("assign", block, prepared, out_distance=least, out_log_total=log_total, out_resp=resp)
    chunks.free(chunks.run())
    return prepared, least.astype(np.float64, copy=False), log_total, resp


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Array, Array]:
    """Return the index (m,) of each row's nearest center, the lower one in a tie, and its distance (m,).

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """
    is_root = COMPILED_DISTANCES[type(distance)].is_root

    def run(bits: int) -> tuple[Array, Array]:
        squared = SquaredEuclidean() if is_root else distance
        prepared = prepare_pass(block, c, 1.0, c.new_zeros(len(c)), squared, bits, has_csr=True)
        label, least = np.empty(len(block), np.int64), np.empty(len(block), FLOAT_TYPES[bits])
        chunks = PassOverChunks("nearest", block, prepared, out_label=label, out_distance=least)
        chunks.free(chunks.run())
        factor = prepared.distance_factor
        least = least.astype(np.float64, copy=False)
        return label, np.sqrt(least) if is_root else least if factor == 1 else factor * least

    return _with_enough_range(block, run)


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Evaluate candidates for the next center: see `reference.min_distances`. It uses differences of coordinates.

    Raises
    ------
    OutOfRangeError
        If squares overflow in float64.
    """

    def run(bits: int) -> tuple[Tensor, Tensor]:
        prepared = prepare_pass(block, c, 1.0, c.new_zeros(len(c)), distance, bits, has_csr=True)
        factor = prepared.distance_factor
        closest_squared = closest.numpy().astype(FLOAT_TYPES[bits], copy=False) / FLOAT_TYPES[bits](factor)
        updated = np.empty((len(c), len(block)), FLOAT_TYPES[bits])
        chunks = PassOverChunks(
            "min_distances", block, prepared, row_axis=-1, closest=closest_squared, out_distances=updated
        )
        totals = chunks.run()
        potential = chunks.total(totals, MinDistancesArguments.weight_total) * factor
        chunks.free(totals)
        distances = torch.from_numpy(updated)
        return distances if factor == 1 else distances.mul_(factor), torch.tensor(potential, device="cpu")

    return _with_enough_range(block, run)
