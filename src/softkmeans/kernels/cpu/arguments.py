"""What kernels are given: centers as they want them, and how rows are cut into chunks and tiles."""

from __future__ import annotations

__all__ = ["FLOATS", "FUSED", "OutOfRangeError", "Problem", "make_problem", "round_up", "scratch"]

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...data.block import Block
from ...distances import Cosine, Distance, SquaredEuclidean
from . import kernels
from .codegen import FLUSH, register_bytes
from .panels import FAR, FEW, PANEL

Array = NDArray[Any]

FLOATS: dict[int, Any] = {32: np.float32, 64: np.float64}

# Distances that are multiples of the squared Euclidean one: the factor, and whether rows are brought to length 1 first.
FUSED: dict[type[Distance], tuple[float, bool]] = {SquaredEuclidean: (1.0, False), Cosine: (0.5, True)}

PRECISE = 1e-3  # the largest error, as rounding usually adds up, of a log-membership that comes from a matrix product
SKIP = {32: 2.0**-26, 64: 2.0**-55}  # the share of a cluster's weight, at most, that is left out for being too small
TILE = 384  # rows, at most, whose shares are held for one product
CHUNK = 8 * TILE  # rows of a chunk at least, so that it learns what it may skip
DENSE = 2**22  # numbers, at most, that this makes of sparse rows: 32 MB a thread
TASK = 1e6  # cycles that a chunk should take at least


class OutOfRangeError(ArithmeticError):
    """Rows or centers are so far away that the kernel's floats can't hold their squares."""


class Problem(NamedTuple):
    """Centers in a frame, as the kernels want them.

    Attributes
    ----------
    bits : int
        32 or 64, the type of the arrays.
    origin : ndarray (d,)
        The middle of the centers, in the block's frame: rows near it lose least to rounding.
    beta, proportion : float
        What the kernels' squared distances are multiplied by in the logits, and to make distances.
    chunk : int
        Rows of a chunk.
    arrays : dict
        ``high``, ``low`` (padded,): the shift in two parts. ``centers`` (k, padded); ``blocks``: -2 c in groups of
        four, feature by feature; ``bias`` (k,): -b / beta; ``squares`` (fours,): bias + ‖c‖², and a distance of no
        account for the missing; ``settings``: those of `kernels.SETTINGS`.
    numbers : dict
        n, d, padded, k, fours, unit; size, the rows of a tile; stride, how far its clusters' shares are apart, which is
        no power of two, since a cache has few places for multiples of those.
    """

    bits: int
    origin: Array
    beta: float
    proportion: float
    chunk: int
    arrays: dict[str, Array]
    numbers: dict[str, int]


def make_problem(
    block: Block, c: Tensor, beta: float, b: Tensor, distance: Distance, bits: int, flush: float | None = None
) -> Problem:
    """Prepare centers (k, d) for kernels of 32 or 64 bits; ``flush`` is how far below the greatest exponents count.

    Raises
    ------
    OutOfRangeError
        If that many bits can't hold the squares.
    """
    proportion, unit = FUSED[type(distance)]
    beta *= proportion
    (k, d), lanes = c.shape, register_bytes() * 8 // bits
    padded, fours = round_up(d, lanes), round_up(k, 4)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        high, low, origin, scale = _shift(block, c, bits, unit=unit)
        z, bias = (c.numpy() - origin).astype(FLOATS[bits]), -b.numpy() / beta
        norms = np.square(z, dtype=np.float64).sum(1)
    _check_range(bits, scale, high, norms, bias)
    least = max(1, min(CHUNK, DENSE // padded)) if block.is_sparse else CHUNK
    chunk, tile = _partition(len(block), k, padded, PANEL * lanes, least)
    settings = _settings(bits, d, scale, beta / math.log(2), norms.max(), chunk)
    settings["flush"] = settings["flush"] if flush is None else flush
    squares = np.full(fours, np.finfo(FLOATS[bits]).max, FLOATS[bits])
    squares[:k] = norms + bias
    arrays = {
        "high": _pad(high, padded), "low": _pad(low, padded), "centers": _pad(z, k, padded),
        "blocks": np.ascontiguousarray(_pad(-2 * z, fours, padded).reshape(-1, 4, padded).transpose(0, 2, 1)),
        "bias": bias.astype(FLOATS[bits]), "squares": squares,
        "settings": np.array([settings[name] for name in kernels.SETTINGS], FLOATS[bits]),
    }  # fmt: skip
    numbers = {"n": len(block), "d": d, "padded": padded, "k": k, "fours": fours, "unit": int(unit), "size": tile}
    return Problem(bits, origin, beta, proportion, chunk, arrays, numbers | {"stride": TILE + 512 // bits})


def _shift(block: Block, c: Tensor, bits: int, *, unit: bool) -> tuple[Array, Array, Array, float]:
    """Give the shift to amid the centers in two parts (d,), where that is in the frame (d,), and the frame's scale."""
    frame_shift, scale = (np.zeros(c.shape[1]), 1.0)
    if block.scaling is not None:
        frame_shift, scale = block.scaling.shift.numpy(), block.scaling.scale
    middle = frame_shift if unit else frame_shift + np.median(c.numpy(), axis=0) * scale
    high = middle.astype(FLOATS[bits])
    low = (middle - high).astype(FLOATS[bits])
    return high, low, (high.astype(np.float64) + low - frame_shift) / scale, scale


def _check_range(bits: int, scale: float, high: Array, norms: Array, bias: Array) -> None:
    far = FAR[bits]
    fits = norms.max() < far and np.abs(bias).max() < far and np.isfinite(high).all()
    if not (fits and far**-0.5 < scale < far**0.5):
        raise OutOfRangeError


def _settings(bits: int, d: int, scale: float, beta: float, largest: float, chunk: int) -> dict[str, float]:
    """Give what `kernels.SETTINGS` names."""
    roundoff = float(np.finfo(FLOATS[bits]).eps) / 2
    beta = min(beta, FAR[bits] ** 0.9)
    return {
        "scale": 1 / scale,
        "beta": beta,
        "rounding": (d + 4) * roundoff,  # of a product of d terms, at most
        "largest": math.sqrt(largest),
        "roughness": beta * math.sqrt(d + 4) * roundoff / PRECISE,
        "flush": -FLUSH[bits],
        "skip": SKIP[bits] / chunk,
    }


def round_up(number: int, step: int) -> int:
    """Give the next multiple of a step."""
    return -(-number // step) * step


def _pad(array: Array, *shape: int) -> Array:
    """Put an array into the corner of a larger one of zeros."""
    padded = np.zeros(shape, array.dtype)
    padded[tuple(slice(0, size) for size in array.shape)] = array
    return padded


def scratch(problem: Problem) -> dict[str, tuple[int, int]]:
    """What a kernel works in: the numbers an array has, and their bytes. What chunks add up comes last."""
    lanes, width = register_bytes() * 8 // problem.bits, problem.bits // 8
    k, d, padded, fours = (problem.numbers[name] for name in ("k", "d", "padded", "fours"))
    panel, several, wide = PANEL * lanes, round_up(k, lanes), d > FEW
    floats = {
        "z": padded * panel, "columns": padded * panel, "scales": TILE, "w": TILE, "strip": panel * TILE * wide,
        "dist": fours * panel, "least": panel, "limit": panel, "offset": panel, "reach": several,
        "y": k * panel, "total": TILE, "depth": TILE, "factor": panel, "label": panel,
        "shares": fours * problem.numbers["stride"] * wide,
        "weight": k * lanes, "distortion": k * lanes, "moment": 0 if wide else k * d * lanes,
    }  # fmt: skip
    integers = {"listed": PANEL * k + 1, "far": 1}
    doubles = {
        "weight_total": several, "distortion_total": k, "objective": 3,
        "moment_total": 0 if wide else k * d, "sums": fours * padded * wide,
    }  # fmt: skip
    arrays = {name: (size, width) for name, size in floats.items()}
    return arrays | {name: (size, 8) for name, size in (integers | doubles).items()}


def _partition(n: int, k: int, padded: int, panel: int, least: int) -> tuple[int, int]:
    """Rows of a chunk, ``least`` or more, and of a tile: chunks alike, as many as most numbers of threads divide."""
    cycles = k * (padded / 8 + 2) + 2 * padded + 30  # about, per row
    most = max(1.0, n / max(least, TASK / cycles))
    doublings = int(math.log2(most))
    n_chunks = 3 * 2 ** (doublings - 1) if doublings and most >= 1.5 * 2**doublings else 2**doublings
    chunk = -(-n // n_chunks)
    n_tiles = -(-chunk // TILE)
    return chunk, round_up(-(-chunk // n_tiles), panel)
