"""The obvious PyTorch version of the kernel: the oracle that faster ones are tested against.

It works in float64 whatever the data's type, tile by tile, so that at most ``TILE`` numbers a temporary are held.
"""

__all__ = ["accumulate", "assign", "distances", "lognorm", "nearest", "tiles", "working_dtype"]

import functools
import operator
from collections.abc import Iterator

import torch
from torch import Tensor

from ..distances import Distance, squared_distances
from ..rules import Rule, softmax
from ..stats import Stats

TILE = 2**18  # rows times clusters: 2 MB in float64, about a core's second-level cache


def working_dtype(device: torch.device) -> torch.dtype:
    """Return the type a pass computes in: float64, except on Apple's GPUs, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def distances(z: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Distances (n, k) of embedded rows (n, d) to embedded centres (k, d), good to half their digits or better."""
    squared = squared_distances(z, c)
    norms = z.square().sum(1, keepdim=True) + c.square().sum(1)
    if (squared < 1e-7 * norms).any():  # the product cancels where both are far from the origin and near each other
        squared = torch.cdist(z, c, compute_mode="donot_use_mm_for_euclid_dist").square()
    return distance.of_squared(squared)


def assign(z: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax) -> Tensor:
    """Memberships of rows in clusters.

    Parameters
    ----------
    z : Tensor (n, d)
        Embedded rows.
    c : Tensor (k, d)
        Embedded centres.
    beta, b : Tensor (k,)
        The logits are b_k - beta_k d_ik.
    distance : Distance
        Gives d_ik.
    rule : callable
        From logits to memberships.

    Returns
    -------
    resp : Tensor (n, k)
        Memberships; rows sum to 1.
    """
    return rule(b - beta * distances(z, c, distance))[0]


def nearest(z: Tensor, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Give the number (n,) of each row's nearest centre, the lower one where two are as near, and its distance (n,)."""
    parts = [distances(z_, c, distance).min(1) for (z_,) in tiles(len(c), z)]
    return torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts])


def lognorm(z: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax) -> Tensor:
    """Give the log-normaliser (n,) of each row's memberships; the parameters are those of `assign`."""
    return torch.cat([rule(b - beta * distances(z_, c, distance))[1] for (z_,) in tiles(len(c), z)])


def accumulate(
    z: Tensor, w: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax
) -> Stats:
    """Sum up rows (n, d) of weights (n,) into Stats; the other parameters are those of `assign`."""
    parts = (_tile(z_, w_, c, beta, b, distance, rule) for z_, w_ in tiles(len(c), z, w))
    return functools.reduce(operator.add, parts)


def tiles(n_clusters: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split tensors (n, ...) alike, so that an array of a tile's rows by clusters stays in cache."""
    rows = max(1, TILE // n_clusters)
    return zip(*(torch.split(tensor, rows) for tensor in tensors), strict=True)


def _tile(z: Tensor, w: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule) -> Stats:
    d = distances(z, c, distance)  # (n, k)
    resp, log_total = rule(b - beta * d)  # (n, k), (n,)
    resp = w[:, None] * resp
    slope = torch.as_tensor(distance.slope(d), dtype=d.dtype, device=d.device)  # () or (n, k)
    kink = slope.isinf()
    pull = resp * slope.masked_fill(kink, 0.0)
    return Stats(
        weight=resp.sum(0),
        pull=pull.sum(0),
        weighted_sum=pull.mT @ z,
        anchor=(resp * kink).sum(0) if kink.any() else torch.zeros_like(beta),
        distortion=(resp * d).sum(0),
        objective=w @ log_total,
        n=w.sum(),
    )
