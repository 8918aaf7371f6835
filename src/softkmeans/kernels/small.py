"""The functions of `kernels` for few rows, computed by NumPy.

For a few hundred rows, a PyTorch operation takes several times longer than its work. It would also have to run in a
thread of its own, so that results have the same bits for any number of threads.
"""

from __future__ import annotations

__all__ = [
    "MAX_PRODUCT",
    "MAX_WORK",
    "accumulate",
    "assign",
    "distances",
    "entropy_slope",
    "far_rows",
    "is_small",
    "lognorm",
    "memberships",
    "min_distances",
    "nearest",
    "serves",
]

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arrays import distances as distances_on_arrays
from ..arrays import passes
from ..arrays.distances import COSINE, EUCLIDEAN, SQUARED_EUCLIDEAN, Array, ArrayDistance
from ..arrays.passes import ArrayRule
from ..data.block import Block
from ..distances import Cosine, Distance, Euclidean, SquaredEuclidean
from ..model.assignment import AssignmentRule, Fuzzy, Softmax
from ..model.stats import Stats
from .reference import has_far_memberships

MAX_WORK = 5e5  # n k (d + 8): more than any block that the compiled kernels leave
MAX_PRODUCT = 2**18  # n k d, up to which BLAS computes products in one thread

ARRAY_DISTANCES: dict[type[Distance], ArrayDistance] = {
    SquaredEuclidean: SQUARED_EUCLIDEAN,
    Euclidean: EUCLIDEAN,
    Cosine: COSINE,
}
ARRAY_RULES: dict[type[AssignmentRule], Callable[[Any], ArrayRule]] = {
    Softmax: lambda rule: partial(passes.softmax, noise_logit=rule.noise_logit),
    Fuzzy: lambda rule: partial(passes.fuzzy, noise_logit=rule.noise_logit, fuzzifier=rule.fuzzifier),
}


def serves(block: Block, c: Tensor, distance: Distance, rule: AssignmentRule) -> bool:
    """Return whether these functions serve a request."""
    return (
        block.dtype == c.dtype == torch.float64
        and block.device.type == "cpu"
        and is_small(block.rows.shape[0], c.shape)
        and type(distance) in ARRAY_DISTANCES
        and type(rule) in ARRAY_RULES
        and not block.is_sparse
    )


def is_small(n_rows: int, size: tuple[int, ...]) -> bool:
    """Return whether rows are few enough for these functions, given the size (k, d) of the centers."""
    k, d = size
    return n_rows * k * d <= MAX_PRODUCT and n_rows * k * (d + 8) <= MAX_WORK


def _array_distance(distance: Distance) -> ArrayDistance:
    """Return the distance on arrays, with the same update of the centers."""
    found, slope = ARRAY_DISTANCES[type(distance)], distance.constant_slope
    return found if found.constant_slope == slope else found._replace(constant_slope=slope)


def _rows(block: Block) -> Array:
    """Return the rows (n, d) of a block, centered, scaled and embedded."""
    if block.scaling is None and isinstance(block.rows, np.ndarray) and block.rows.dtype == np.float64:
        return block.rows
    rows: Array = block.x.numpy()
    return rows


# As in the reference, numbers that overflow become infinite without a warning.
_quietly = np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore")


@_quietly
def accumulate(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule) -> Stats:
    """Return the sufficient statistics of a block's rows: see `reference.accumulate`."""
    w = None if block.weights is None else block.w.numpy()
    logits, kind = (beta.numpy(), b.numpy()), _array_distance(distance)
    *sums, objective, n = passes.accumulate(_rows(block), w, c.numpy(), logits, kind, ARRAY_RULES[type(rule)](rule))
    # Not parts of one tensor: automatic differentiation in forward mode refuses such views.
    return Stats(*map(torch.from_numpy, (*sums, np.array(objective), np.array(n))))


@_quietly
def assign(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule) -> Tensor:
    """Return the memberships of rows in clusters: see `reference.assign`."""
    logits, kind, array_rule = (beta.numpy(), b.numpy()), _array_distance(distance), ARRAY_RULES[type(rule)](rule)
    keeps_far = has_far_memberships(beta, rule)
    return torch.from_numpy(passes.assign(_rows(block), c.numpy(), logits, kind, array_rule, keeps_far=keeps_far).T)


@_quietly
def memberships(logits: Tensor, rule: AssignmentRule) -> Tensor:
    """Return the memberships (k, n) at some logits (k, n)."""
    if not (logits.is_cpu and type(rule) in ARRAY_RULES):
        return rule(logits, 0).resp
    return torch.from_numpy(ARRAY_RULES[type(rule)](rule)(logits.numpy().copy())[0])


@_quietly
def lognorm(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule) -> Tensor:
    """Return the log-normalizer of each row's memberships: see `reference.lognorm`."""
    logits, kind, array_rule = (beta.numpy(), b.numpy()), _array_distance(distance), ARRAY_RULES[type(rule)](rule)
    return torch.from_numpy(passes.lognorm(_rows(block), c.numpy(), logits, kind, array_rule))


@_quietly
def entropy_slope(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule, noise: float
) -> Tensor:
    """Return the derivative (1,) of a block's entropy in log T: see `reference.entropy_slope`."""
    w = None if block.weights is None else block.w.numpy()
    logits, kind, array_rule = (beta.numpy(), b.numpy()), _array_distance(distance), ARRAY_RULES[type(rule)](rule)
    slope = passes.entropy_slope(_rows(block), w, c.numpy(), logits, kind, array_rule, (rule.noise_logit, noise))
    return torch.tensor([slope], dtype=torch.float64, device="cpu")


@_quietly
def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return the index and the distance of each row's nearest center: see `reference.nearest`."""
    index, min_distance = passes.nearest(_rows(block), c.numpy(), _array_distance(distance))
    return torch.from_numpy(index), torch.from_numpy(min_distance)


@_quietly
def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """Return the distances of a block's rows to centers: see `reference.distances`."""
    return torch.from_numpy(passes.distances(_rows(block), c.numpy(), _array_distance(distance)).T)


def far_rows(min_distance: Array, c: Tensor, distance: Distance) -> Array:
    """Return the indices (r,) of rows far from all centers: see `reference.far_rows`."""
    return distances_on_arrays.far_rows(min_distance, c.numpy(), ARRAY_DISTANCES[type(distance)])


@_quietly
def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Evaluate candidates for the next center: see `reference.min_distances`."""
    d = passes.distances(_rows(block), c.numpy(), _array_distance(distance))
    np.minimum(d, closest.numpy(), out=d)
    weighted = d if block.weights is None else d * block.w.numpy()
    return torch.from_numpy(d), torch.from_numpy(weighted.sum(1))
