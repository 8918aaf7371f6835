"""Prepare a pass: centers in the form that kernels need, settings, and the sizes of chunks and tiles."""

from __future__ import annotations

__all__ = [
    "COMPILED_DISTANCES",
    "COMPILED_RULES",
    "FLOAT_TYPES",
    "OutOfRangeError",
    "PreparedPass",
    "check_distances",
    "direction_arrays",
    "prepare_pass",
]

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...data.block import Block
from ...data.scaling import N_MEDIAN_CENTERS
from ...distances import Cosine, Distance, Euclidean, SquaredEuclidean
from ...model.assignment import AssignmentRule, Fuzzy, Softmax
from ..compiler import MIN_EXPONENT, lanes
from .arguments import MAX_DISTANCE, MAX_FEW_FEATURES, PassNumbers, group_size
from .members import FUZZY, MEMBERS, POWER, ROOT, SMALLEST, SOFTMAX, SQUARED, Part
from .partition import csr_partition, is_csr, partition
from .strips import table_columns
from .tables import write_table

Array = NDArray[Any]

FLOAT_TYPES: dict[int, Any] = {32: np.float32, 64: np.float64}


class CompiledDistance(NamedTuple):
    """How a distance is computed: the part of `members`, a factor, and whether rows are divided by their lengths."""

    part: Part = SQUARED
    factor: float = 1.0
    normalize: bool = False

    @property
    def is_root(self) -> bool:
        """True if the distance is the root of the squared one."""
        return self.part == ROOT


# The distances and assignment rules that kernels compute. A rule's part may depend on its settings.
COMPILED_DISTANCES: dict[type[Distance], CompiledDistance] = {
    SquaredEuclidean: CompiledDistance(),
    Cosine: CompiledDistance(factor=0.5, normalize=True),
    Euclidean: CompiledDistance(ROOT),
}
COMPILED_RULES: dict[type[AssignmentRule], Callable[[Any], Part]] = {
    Softmax: lambda rule: SOFTMAX,
    Fuzzy: lambda rule: FUZZY if rule.fuzzifier == 2 else POWER,
}

MAX_PRODUCT_ERROR = 1e-3  # the largest typical rounding error of a log-membership from a matrix product
MAX_SMALL_ERROR = 3e-4  # the same of a squared distance, relative to itself, if its root or its inverse is needed
MAX_DISTANCE_ERROR = 1e-3  # the same of a distance, relative to the mean distance; that of their sum is far smaller
SKIPPED_FRACTION = {32: 2.0**-26, 64: 2.0**-55}  # the largest fraction of a cluster's weight that may be skipped

MAX_CSR_ERROR = 1e-6  # of a log-membership of rows of a CSR matrix, computed in float64
MAX_SMALL_CSR_ERROR = 1e-8  # of a squared distance of such rows, relative to itself


class OutOfRangeError(ArithmeticError):
    """An error for rows or centers so far from the origin that squares overflow, or rounding hides the distances."""


class PreparedPass(NamedTuple):
    """What is equal for all chunks of a block.

    Attributes
    ----------
    numbers : PassNumbers
        The kernel's numbers, for a chunk of full size.
    arrays : dict of ndarray
        The inputs of `PassArguments` that are equal for all chunks, by name.
    origin : ndarray (d,)
        The median of the centers, transformed like the block's rows. It is subtracted from rows and centers, so that
        rows near the centers lose as few digits as possible to rounding.
    bias : ndarray (k,)
        -b / beta: the log-prior as a part of the kernel's squared distance.
    beta, distance_factor : float
        Factors from the kernel's distances to logits, for the largest inverse temperature, and to distances.
    ratios : ndarray (k,)
        The inverse temperatures, relative to the largest one.
    member : str
        The member of the family for which kernels are written: see `members.MEMBERS`.
    """

    numbers: PassNumbers
    arrays: dict[str, Array]
    origin: Array
    bias: Array
    beta: float
    distance_factor: float
    ratios: Array
    member: str

    @property
    def has_softmax(self) -> bool:
        """True if the assignment rule is the softmax."""
        return not self.member or SOFTMAX in MEMBERS[self.member]

    @property
    def has_kink(self) -> bool:
        """True if the distance has a kink at the center, and the update of the centers takes it into account."""
        return ROOT in MEMBERS[self.member] and self.numbers.slope_factor > 0

    @property
    def has_updates(self) -> bool:
        """True if rows count in the weighted sums by other weights than their memberships."""
        return MEMBERS[self.member] not in ((), (SQUARED, SOFTMAX))


def member_of(distance: Distance, beta: Array | float, rule: AssignmentRule) -> str:
    """Return the member of the family that a request needs: the key of `members.MEMBERS`."""
    parts = COMPILED_DISTANCES[type(distance)].part, COMPILED_RULES[type(rule)](rule)
    is_plain = parts == (SQUARED, SOFTMAX) and not rule.has_noise and np.max(beta) == np.min(beta)
    return next(name for name, known in MEMBERS.items() if known == (() if is_plain else parts))


def prepare_pass(
    block: Block,
    c: Tensor,
    beta: Tensor | float,
    b: Tensor,
    distance: Distance,
    bits: int,
    rule: AssignmentRule = Softmax(),  # noqa: B008 -- it is frozen
    *,
    has_csr: bool = False,
) -> PreparedPass:
    """Prepare centers (k, d) for kernels with floats of 32 or 64 bits.

    With ``has_csr``, the kernel has a variant for CSR matrices, which is used for such blocks (see `is_csr`). Without
    it, the rows of CSR matrices are converted to dense ones, chunk by chunk.

    Raises
    ------
    OutOfRangeError
        If squares, or their products with beta, overflow in floats of this size.
    """
    _, distance_factor, normalize = COMPILED_DISTANCES[type(distance)]
    betas = np.broadcast_to(np.asarray(beta, dtype=np.float64), len(c)) * distance_factor
    member, beta = member_of(distance, betas, rule), float(betas.max())
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        use_csr = has_csr and is_csr(block)
        high, low, origin, scale = (_block_shift if use_csr else _shift)(block, c, bits, normalize=normalize)
        bias = -b.numpy() / beta
        if use_csr:
            z = np.require(c.numpy(), np.float64, ["C", "A"])
            table, norms, products = write_table(z, origin, table_columns(len(z), lanes(bits)))
        else:
            z = (c.numpy() - origin).astype(FLOAT_TYPES[bits])
            norms = np.square(z, dtype=np.float64).sum(1)
    _check_range(bits, scale, beta, high, norms, bias)
    k, d = c.shape
    noise_dist = -rule.noise_logit / (beta if rule.uses_temperature else distance_factor)
    chunk_rows, tile_rows = (csr_partition if use_csr else partition)(block, c.shape, bits)
    shift_square = float(np.square(origin).sum()) if use_csr else 0.0
    largest_norm = math.sqrt(norms.max()) + 2 * math.sqrt(shift_square)
    settings = _settings(bits, d, scale, beta / math.log(2), largest_norm, chunk_rows)
    settings |= _member_settings(bits, (k, d), largest_norm, distance, rule, noise_dist)
    if use_csr:
        settings |= {
            "error_factor": settings["error_factor"] * MAX_PRODUCT_ERROR / MAX_CSR_ERROR,
            "small_ratio": settings["small_ratio"] * MAX_SMALL_ERROR / MAX_SMALL_CSR_ERROR,
            "shift_square": shift_square,
        }
    numbers = PassNumbers(
        bits=bits, lanes=lanes(bits), chunk_rows=chunk_rows, n=len(block), d=d, k=k, tile_rows=tile_rows,
        has_weights=block.weights is not None, normalize=normalize, is_csr=use_csr, **settings,
    )  # fmt: skip
    if use_csr:
        arrays = _csr_arrays(numbers, high, z, table, bias, norms - 2 * products, is_affine=not member)
    else:
        arrays = _center_arrays(numbers, high, low, z, bias, norms, is_affine=not member)
    ratios = betas / beta
    if SOFTMAX in MEMBERS[member]:
        arrays["ratios"] = _pad(ratios.astype(FLOAT_TYPES[bits]), numbers.padded_k)
    return PreparedPass(numbers, arrays, origin, bias, beta, distance_factor, ratios, member)


def _center_arrays(
    numbers: PassNumbers, high: Array, low: Array, z: Array, bias: Array, norms: Array, *, is_affine: bool
) -> dict[str, Array]:
    """Return shift, centers z (k, d) and their terms as inputs of `PassArguments`, by name."""
    k, padded_d, padded_k, dtype = numbers.k, numbers.padded_d, numbers.padded_k, FLOAT_TYPES[numbers.bits]
    center_terms = np.full(padded_k, np.finfo(dtype).max, dtype)
    center_terms[:k] = norms + bias if is_affine else norms
    groups = group_centers(numbers, _pad(-2 * z, padded_k, padded_d))
    return {
        "shift_high": _pad(high, padded_d), "shift_low": _pad(low, padded_d), "centers": _pad(z, k, padded_d),
        "center_groups": groups, "bias": _pad(bias.astype(dtype), padded_k), "center_terms": center_terms,
    }  # fmt: skip


def _csr_arrays(
    numbers: PassNumbers, shift: Array, z: Array, table: Array, bias: Array, terms: Array, *, is_affine: bool
) -> dict[str, Array]:
    """Return shift, centers z (k, d), their table and terms ‖c‖² + 2 s c as inputs of `CsrArguments`, by name."""
    padded_k, terms = numbers.padded_k, terms + bias if is_affine else terms
    return {
        "shift_high": shift, "shift_low": np.empty(0), "centers": z, "center_groups": table,
        "bias": _pad(bias, padded_k), "center_terms": _pad(terms, padded_k),
    }  # fmt: skip


def group_centers(numbers: PassNumbers, centers: Array) -> Array:
    """Return centers (padded_k, padded_d) by groups, whose numbers of each feature are contiguous.

    The last group may have four centers.
    """
    (padded_k, padded_d), wide = centers.shape, group_size(numbers.bits, numbers.lanes)
    full = padded_k // wide * wide
    parts = [(centers[:full], wide), (centers[full:], 4)]
    grouped = [part.reshape(-1, size, padded_d).transpose(0, 2, 1).ravel() for part, size in parts]
    return np.concatenate(grouped).reshape(padded_k, padded_d)


def direction_arrays(prepared: PreparedPass, c: Array, v: Array, of_beta: Array, of_b: Array) -> dict[str, Array]:
    """Return a direction v (k, d) in the centers c and in the coefficients of the logits as inputs of a kernel."""
    p, dtype, factor = prepared.numbers, FLOAT_TYPES[prepared.numbers.bits], prepared.distance_factor
    b_of_bias = 0.0 if prepared.member else factor * of_beta * prepared.bias  # the kernel's distances include the bias
    return {
        "direction_groups": group_centers(p, _pad((-2 * v).astype(dtype), p.padded_k, p.padded_d)),
        "direction_terms": _pad((2 * ((c - prepared.origin) * v).sum(1)).astype(dtype), p.padded_k),
        "direction_b": _pad((of_b + b_of_bias).astype(dtype), p.padded_k),
        "direction_beta": _pad((-factor * of_beta).astype(dtype), p.padded_k),
    }


def _shift(block: Block, c: Tensor, bits: int, *, normalize: bool) -> tuple[Array, Array, Array, float]:
    """Return the two parts (d,) of the shift of the rows, their sum transformed like the rows (d,), and the scale.

    Rows are shifted to the median of the centers; rows that are normalized keep the shift of the block.
    """
    block_shift, scale = (np.zeros(c.shape[1]), 1.0)
    if block.scaling is not None:
        block_shift, scale = block.scaling.shift.numpy(), block.scaling.scale
    shift = block_shift if normalize else block_shift + _middle(c.numpy()) * scale
    high = shift.astype(FLOAT_TYPES[bits])
    low = (shift - high).astype(FLOAT_TYPES[bits])
    return high, low, (high.astype(np.float64) + low - block_shift) / scale, scale


def _block_shift(block: Block, c: Tensor, bits: int, *, normalize: bool) -> tuple[Array, Array, Array, float]:
    """Return the same for rows of a CSR matrix, from which the kernel subtracts nothing: their origin is -s."""
    shift, scale = np.zeros(c.shape[1]), 1.0
    if block.scaling is not None:
        shift, scale = block.scaling.shift.numpy(), block.scaling.scale
    return shift, np.empty(0), -shift / scale, scale


def _middle(centers: Array) -> Array:
    """Return the median (d,) of each coordinate of some centers; np.median takes longer than a small pass."""
    some = np.array(centers[:: -(-len(centers) // N_MEDIAN_CENTERS)].T, order="C")  # a copy, which is partitioned
    low, high = (some.shape[1] - 1) // 2, some.shape[1] // 2
    some.partition((low, high))
    median: Array = (some[:, low] + some[:, high]) / 2
    return median


def _check_range(bits: int, scale: float, beta: float, high: Array, norms: Array, bias: Array) -> None:
    """Raise OutOfRangeError if squares or their products with beta overflow."""
    limit = MAX_DISTANCE[bits]
    fits = norms.max() < limit and np.abs(bias).max() < limit and np.isfinite(high).all() and beta < limit**0.9
    if not (fits and limit**-0.5 < scale < limit**0.5):
        raise OutOfRangeError


def _settings(bits: int, d: int, scale: float, beta: float, largest_norm: float, chunk_rows: int) -> dict[str, Any]:
    """Return the settings of `PassArguments` by name."""
    roundoff = _roundoff(bits)
    return {
        "inverse_scale": 1 / scale,
        "beta": beta,
        "product_error": (d + 4) * roundoff,  # at most; on average, errors add up like the square root
        "max_center_norm": largest_norm,
        "error_factor": beta * math.sqrt(d + 4) * roundoff / MAX_PRODUCT_ERROR,
        "max_exponent": -MIN_EXPONENT[bits],
        "skipped_fraction": SKIPPED_FRACTION[bits] / chunk_rows,
    }


def _member_settings(
    bits: int, size: tuple[int, int], largest_norm: float, distance: Distance, rule: Any, noise_dist: float
) -> dict[str, Any]:
    """Return the settings of `members` by name.

    Raises
    ------
    OutOfRangeError
        If the noise cluster is out of range, or powers of sums of memberships underflow in floats of this size.
    """
    (k, d), roundoff, largest = size, _roundoff(bits), MAX_DISTANCE[bits]
    fuzzifier = 2.0 if rule.uses_temperature else rule.fuzzifier
    noise_fits = -largest < noise_dist < largest or not rule.has_noise
    if not noise_fits or (fuzzifier - 1) * math.log2(k + 1) > -MIN_EXPONENT[bits]:
        raise OutOfRangeError
    is_mean = distance.constant_slope is not None
    return {
        "noise_dist": min(noise_dist, largest),
        "small_ratio": math.sqrt(d + 4) * roundoff / MAX_SMALL_ERROR,
        "kink": max(SMALLEST[bits], (2 * roundoff * largest_norm) ** 2),
        "slope_factor": 0.0 if is_mean else 0.5,
        "constant_slope": 1.0 if is_mean else 0.0,
        "power": 1 / (fuzzifier - 1),
    }


def check_distances(numbers: PassNumbers, mean_distance: float) -> None:
    """Raise OutOfRangeError if a pass had to use distances that are mostly rounding errors.

    Distances from a matrix product have errors relative to the squared norms of rows and centers. If memberships need
    it, they are computed again from differences. But at a temperature as high as the squared norms, memberships are
    precise even if the distances of rows to the nearest centers are not, and those make the objective.

    Parameters
    ----------
    numbers : PassNumbers
        The numbers of the pass.
    mean_distance : float
        Mean distance of a row from the centers, weighted by its memberships, as computed in the pass.
    """
    size, few = numbers.max_center_norm, numbers.d <= MAX_FEW_FEATURES
    from_differences = few or numbers.error_factor * size**2 > 1
    largest = (2 * size + math.sqrt(max(mean_distance, 0.0))) ** 2  # (‖c‖ + ‖z‖)², as ‖z‖ <= ‖c‖ + ‖z - c‖
    error = math.sqrt(numbers.d + 4) * _roundoff(numbers.bits) * largest
    if numbers.bits == 32 and not from_differences and error > MAX_DISTANCE_ERROR * mean_distance:
        raise OutOfRangeError


def _roundoff(bits: int) -> float:
    return float(np.finfo(FLOAT_TYPES[bits]).eps) / 2


def _pad(array: Array, *shape: int) -> Array:
    """Pad an array with zeros at the end of each axis."""
    padded = np.zeros(shape, array.dtype)
    padded[tuple(slice(0, size) for size in array.shape)] = array
    return padded
