"""The compiled kernels behind the verbs of `kernels`: what they are given, how rows are split up, what comes of it.

Rows are cut into chunks by their number and width alone. A chunk is one call of a kernel, in a thread of a pool, and what
chunks give is added up in order: the result has the same bits whatever the number of threads.
"""

from __future__ import annotations

__all__ = ["Description", "OutOfRangeError", "accumulate", "closer", "describe", "serves"]

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...blocks import Block
from ...distances import Cosine, Distance, SquaredEuclidean
from ...stats import Stats
from . import passes
from .emit import FLUSH, register_bytes
from .jit import function
from .steps import FAR, FEW, PANEL

Array = NDArray[Any]
T = TypeVar("T")

FLOATS = {32: np.float32, 64: np.float64}

# Distances that are a multiple of the squared Euclidean one: the factor, and whether rows are brought to length 1 first.
FUSED: dict[type[Distance], tuple[float, bool]] = {SquaredEuclidean: (1.0, False), Cosine: (0.5, True)}

PRECISE = 1e-3  # the largest error, as rounding usually adds up, of a log-membership that comes from a matrix product
SKIP = {32: 2.0**-26, 64: 2.0**-55}  # the share of a cluster's weight, at most, that is left out for being too small
TILE = 384  # rows whose shares are held for one product; a multiple of any panel
CHUNK = 8 * TILE  # rows of a chunk at least, so that it learns what it may skip
TASK = 3e6  # cycles that a chunk should take at least


class OutOfRangeError(ArithmeticError):
    """Rows or centres are so far away that the kernel's floats can't hold their squares."""


def serves(distance: Distance, beta: Tensor | None) -> bool:
    """Whether the compiled kernels know a distance, with one temperature for all clusters."""
    return type(distance) in FUSED and (beta is None or bool((beta == beta[0]).all()))


# -- what kernels are given


class Problem(NamedTuple):
    """Centres in a frame, as the kernels want them.

    Attributes
    ----------
    bits : int
        32 or 64, the type of the arrays.
    origin : ndarray (d,)
        The middle of the centres, in the block's frame: rows near it lose least to rounding.
    beta, proportion : float
        What the kernels' squared distances are multiplied by in the logits, and to make distances.
    chunk : int
        Rows of a chunk.
    arrays : dict
        ``high``, ``low`` (padded,): the shift in two parts. ``centers`` (k, padded); ``blocks``: -2 c in groups of four,
        feature by feature; ``bias`` (k,): -b / beta; ``squares`` (fours,): bias + ‖c‖², and a distance of no account for
        the missing; ``settings``: those of `passes.SETTINGS`.
    numbers : dict
        n, d, padded, k, fours, unit; size, the rows of a tile, and stride, how far its clusters' shares are apart.
    """

    bits: int
    origin: Array
    beta: float
    proportion: float
    chunk: int
    arrays: dict[str, Array]
    numbers: dict[str, int]


def _problem(
    block: Block, c: Tensor, beta: float, b: Tensor, distance: Distance, bits: int, flush: float | None = None
) -> Problem:
    proportion, unit = FUSED[type(distance)]
    beta *= proportion
    centers, (k, d), dtype, far = c.numpy(), c.shape, FLOATS[bits], FAR[bits]
    padded, fours = _round_up(d, register_bytes() * 8 // bits), _round_up(k, 4)
    shift, scale = (np.zeros(d), 1.0) if block.frame is None else (block.frame.shift.numpy(), block.frame.scale)
    middle = shift + (0.0 if unit else np.median(centers, axis=0)) * scale
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        high = middle.astype(dtype)
        low = (middle - high).astype(dtype)
        origin = (high.astype(np.float64) + low - shift) / scale
        z = (centers - origin).astype(dtype)
        bias = -b.numpy() / beta
        norms = np.square(z, dtype=np.float64).sum(1)
    if not (norms.max() < far and np.abs(bias).max() < far and np.isfinite(high).all() and far**-0.5 < scale < far**0.5):
        raise OutOfRangeError
    chunk, tile = _partition(len(block), k, padded, PANEL * register_bytes() * 8 // bits)
    beta2, roundoff = min(beta / math.log(2), far**0.9), float(np.finfo(dtype).eps) / 2
    settings = {
        "scale": 1 / scale,
        "beta": beta2,
        "rounding": (d + 4) * roundoff,
        "largest": math.sqrt(norms.max()),
        "roughness": beta2 * math.sqrt(d + 4) * roundoff / PRECISE,
        "flush": -FLUSH[bits] if flush is None else flush,
        "skip": SKIP[bits] / chunk,
    }
    squares = np.full(fours, np.finfo(dtype).max, dtype)
    squares[:k] = norms + bias
    arrays = {
        "high": _pad(high, padded), "low": _pad(low, padded), "centers": _pad(z, k, padded),
        "blocks": np.ascontiguousarray(_pad(-2 * z, fours, padded).reshape(-1, 4, padded).transpose(0, 2, 1)),
        "bias": bias.astype(dtype), "squares": squares,
        "settings": np.array([settings[name] for name in passes.SETTINGS], dtype),
    }  # fmt: skip
    numbers = {
        "n": len(block), "d": d, "padded": padded, "k": k, "fours": fours, "unit": int(unit),
        "size": tile, "stride": TILE + 512 // bits,  # not a power of two, for whose multiples caches have too few places
    }  # fmt: skip
    return Problem(bits, origin, beta, proportion, chunk, arrays, numbers)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def _pad(array: Array, *shape: int) -> Array:
    """Put an array into the corner of a larger one of zeros."""
    padded = np.zeros(shape, array.dtype)
    padded[tuple(slice(0, size) for size in array.shape)] = array
    return padded


def _scratch(problem: Problem, *, wide: bool) -> dict[str, tuple[int, int]]:
    """What a kernel works in: the numbers an array has, and their bytes. What chunks add up comes last."""
    lanes, width = register_bytes() * 8 // problem.bits, problem.bits // 8
    k, d, padded, fours = (problem.numbers[name] for name in ("k", "d", "padded", "fours"))
    panel, several = PANEL * lanes, _round_up(k, lanes)
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


class Call:
    """A kernel ready to be run on chunks of a block.

    Parameters
    ----------
    name : str
        Its name in `passes.KERNELS`, but for its width.
    block : Block
        The rows.
    problem : Problem
        The centres.
    wide : bool or None
        Whether it is the wide kernel; None if there is only one.
    by : int
        The axis of its outputs along which rows lie.
    outputs : dict of ndarray
        What it writes.
    """

    def __init__(
        self, name: str, block: Block, problem: Problem, *, wide: bool | None, by: int = 0, **outputs: Array
    ) -> None:
        self.block, self.problem, self.by, self.outputs = block, problem, by, outputs
        self.kernel = function(name if wide is None else f"{name}_{'wide' if wide else 'narrow'}", problem.bits)
        self.unit_weight = 1.0 if block.weights is None else 2.0 ** math.frexp(float(block.weights.max()))[1]
        self.places, self.bytes = {}, 0
        for key, (size, width) in _scratch(problem, wide=bool(wide)).items():
            self.places[key] = self.bytes
            self.bytes += _round_up(size * width, 64)
        self.fixed = {key: array.ctypes.data for key, array in problem.arrays.items()}
        self.fixed |= problem.numbers | {"weighted": int(block.weights is not None), "wanted": 0}
        self.order = [key for names in passes.ARGUMENTS.values() for key in names]

    def __call__(self, start: int, stop: int) -> Array:
        """Run on some rows; give the scratch memory, from ``weight_total`` on, as float64."""
        rows, weights = self._rows(start, stop), self._weights(start, stop)
        memory = np.zeros(self.bytes + 64, np.uint8)
        begin = -memory.ctypes.data % 64  # where a cache line begins
        base = memory.ctypes.data + begin
        here = {key: base + place for key, place in self.places.items()}
        here |= {"x": rows.ctypes.data, "weights": weights.ctypes.data, "stop": stop - start}
        here |= {key: array.ctypes.data + start * array.strides[self.by] for key, array in self.outputs.items()}
        given = self.fixed | here
        self.kernel(*[given.get(key, 0) for key in self.order])
        if memory[begin + self.places["far"]]:
            raise OutOfRangeError
        return memory[begin + self.places["weight_total"] :][: self.bytes - self.places["weight_total"]].view(np.float64)

    def total(self, totals: Array, name: str, *shape: int) -> Array:
        """Take a total out of what a run has given."""
        begin = (self.places[name] - self.places["weight_total"]) // 8
        return totals[begin : begin + math.prod(shape)].reshape(shape)

    def run(self) -> Iterator[Array]:
        """Run on all chunks, in as many threads as PyTorch uses; give what comes of them in order."""
        starts = range(0, len(self.block), self.problem.chunk)
        stops = [min(start + self.problem.chunk, len(self.block)) for start in starts]
        return _in_order(self, list(zip(starts, stops, strict=True)))

    def _rows(self, start: int, stop: int) -> Array:
        """Rows of the kernel's floats, one after the other; copied only where they do not lie so already."""
        rows = self.block.rows[start:stop]
        if isinstance(rows, Tensor):
            rows = rows.detach().to(torch.float32 if self.problem.bits == 32 else torch.float64).numpy()
        return np.ascontiguousarray(rows, FLOATS[self.problem.bits])

    def _weights(self, start: int, stop: int) -> Array:
        """Weights in a unit that none exceeds."""
        if self.block.weights is None:
            return np.empty(0)
        weights = np.asarray(self.block.weights[start:stop], np.float64) / self.unit_weight
        return weights.astype(FLOATS[self.problem.bits])


def _partition(n: int, k: int, padded: int, panel: int) -> tuple[int, int]:
    """Give the rows of a chunk, and of a tile: chunks alike, as many as most numbers of threads divide."""
    cycles = k * (padded / 8 + 2) + 30  # about, per row
    most = max(1.0, n / max(CHUNK, TASK / cycles))
    doublings = int(math.log2(most))
    n_chunks = 3 * 2 ** (doublings - 1) if doublings and most >= 1.5 * 2**doublings else 2**doublings
    chunk = -(-n // n_chunks)
    n_tiles = -(-chunk // TILE)
    return chunk, _round_up(-(-chunk // n_tiles), panel)


def _in_order(work: Callable[[int, int], T], chunks: list[tuple[int, int]]) -> Iterator[T]:
    """Work on chunks in as many threads as PyTorch uses, this one among them; give what comes of them in order.

    This thread takes part since it has a core already: a pool of all threads would wait for one to be moved there.
    """
    todo, done = deque(enumerate(chunks)), dict[int, T]()

    def take() -> bool:
        try:
            i, chunk = todo.popleft()
        except IndexError:
            return False
        done[i] = work(*chunk)
        return True

    def help_out() -> None:
        while take():
            pass

    n_helpers = min(torch.get_num_threads(), len(chunks)) - 1
    helpers = [_pool(os.getpid(), n_helpers).submit(help_out) for _ in range(n_helpers)]
    try:
        for i in range(len(chunks)):
            while i not in done and take():
                pass
            if i not in done:  # a helper has it
                _join(helpers)
            yield done.pop(i)
    finally:
        todo.clear()
        _join(helpers)


def _join(helpers: list[Future[None]]) -> None:
    for helper in helpers:
        if not helper.cancel():  # it may wait for another fit's, and is not needed then
            helper.result()


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one makes its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="softkmeans")


def _wherever_it_fits(block: Block, solve: Callable[[int], T]) -> T:
    """Solve in the rows' own floats, if these are float32, or in float64 where that does not suffice."""
    floating = block.rows.is_floating_point() if isinstance(block.rows, Tensor) else block.rows.dtype.kind == "f"
    if floating and block.rows.dtype.itemsize <= 4:
        try:
            return solve(32)
        except OutOfRangeError:
            pass
    return solve(64)


# -- the verbs


def accumulate(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance) -> Stats:
    """Sum up rows into Stats, as `reference.accumulate` does.

    Raises
    ------
    OutOfRangeError
        If float64 can't hold the squares.
    """

    def solve(bits: int) -> Stats:
        problem = _problem(block, c, float(beta[0]), b, distance, bits)
        call = Call("accumulate", block, problem, wide=problem.numbers["d"] > FEW)
        totals = 0.0
        for part in call.run():
            totals = totals + part
        return _stats(call, totals * call.unit_weight, b.numpy())

    return _wherever_it_fits(block, solve)


def _stats(call: Call, totals: Array, b: Array) -> Stats:
    """Bring sums back into the block's frame."""
    problem, k, d = call.problem, call.problem.numbers["k"], call.problem.numbers["d"]
    weight = call.total(totals, "weight_total", k)
    entropic, distant, n = call.total(totals, "objective", 3)
    moment = _unstrip(call, totals) if d > FEW else call.total(totals, "moment_total", k, d)
    distortion = call.total(totals, "distortion_total", k) + weight * b / problem.beta
    pull = problem.proportion * weight
    return Stats(
        weight=torch.tensor(weight),
        pull=torch.tensor(pull),
        weighted_sum=torch.tensor(problem.proportion * moment + pull[:, None] * problem.origin),
        anchor=torch.zeros(k, dtype=torch.float64),
        distortion=torch.tensor(problem.proportion * distortion),
        objective=torch.tensor(math.log(2) * entropic - problem.beta * distant),
        n=torch.tensor(n),
    )


def _unstrip(call: Call, totals: Array) -> Array:
    """Put the strips that `steps.add_products` adds up side by side."""
    fours, padded, k, d = (call.problem.numbers[name] for name in ("fours", "padded", "k", "d"))
    sums, lanes, strips, done = call.total(totals, "sums", fours * padded), register_bytes() * 8 // call.problem.bits, [], 0
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
        The nearest centre, the lower one where two are as near.
    distance : Tensor (m,) of float64
        How far it is.
    lognorm : Tensor (m,) of float64
        The log-normaliser of the memberships.
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
    """Say of each row where it belongs; without ``beta``, only which centre is nearest, and how far it is.

    Raises
    ------
    OutOfRangeError
        If float64 can't hold the squares.
    """

    def solve(bits: int) -> Description:
        problem = _problem(block, c, 1.0 if beta is None else float(beta[0]), b, distance, bits, 0.0 if beta is None else None)
        m, dtype = len(block), FLOATS[bits]
        label, least, log_total = np.empty(m, np.int64), np.empty(m, dtype), np.empty(m, dtype)
        resp = np.empty((m, len(c) if wanted else 0), dtype)
        outputs = {"out_label": label, "out_distance": least, "out_log_total": log_total, "out_resp": resp}
        call = Call("describe", block, problem, wide=problem.numbers["d"] > FEW, **outputs)
        call.fixed["wanted"] = int(wanted)
        for _ in call.run():
            pass
        far = torch.from_numpy(least).double()
        lognorm = math.log(2) * torch.from_numpy(log_total).double() - problem.beta * far
        return Description(torch.from_numpy(label), problem.proportion * far, lognorm, torch.from_numpy(resp))

    return _wherever_it_fits(block, solve)


def closer(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Compare rows' distances to centres, taken by differences, with what they have: see `reference.closer`.

    Raises
    ------
    OutOfRangeError
        If float64 can't hold the squares.
    """

    def solve(bits: int) -> tuple[Tensor, Tensor]:
        problem, k = _problem(block, c, 1.0, c.new_zeros(len(c)), distance, bits), len(c)
        had = closest.numpy().astype(FLOATS[bits], copy=False) / FLOATS[bits](problem.proportion)
        out = np.empty((k, len(block)), FLOATS[bits])
        call = Call("closer", block, problem, wide=problem.numbers["d"] > FEW, by=-1, closest=had, out_resp=out)
        potential = call.total(sum(call.run(), np.zeros(())), "weight_total", k) * call.unit_weight * problem.proportion
        options = torch.from_numpy(out)
        return options if problem.proportion == 1 else options.mul_(problem.proportion), torch.tensor(potential)

    return _wherever_it_fits(block, solve)
