"""Initial centers for batches of problems."""

from __future__ import annotations

__all__ = ["draw_numbers", "kmeans_plusplus"]

import math
from typing import Any

import torch
from torch import Tensor

from .._utils.random import as_generator
from ..kernels.batches import Problems


def draw_numbers(k: int, random_state: Any) -> Tensor:
    """Return the random numbers (k, candidates) from 0 to 1 that `kmeans_plusplus` needs."""
    return torch.from_numpy(as_generator(random_state).random((k, 2 + int(math.log(k)))))


def kmeans_plusplus(problems: Problems, numbers: Tensor) -> Tensor:
    """Return initial centers (p, k, d), centered and scaled, by greedy k-means++.

    Each next center is the best of a few candidate rows, which are drawn with probabilities proportional to their
    squared distance from the centers so far. All problems are drawn with the same random numbers (k, candidates), so
    that a problem has the same centers in any batch.

    Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, in its greedy form with
    2 + log k candidates per center.
    """
    x, weights, which = problems.x, problems.weights, torch.arange(len(problems.x), device=problems.x.device)
    numbers = numbers.to(x)
    centers = [_pick(x, _draw(weights, numbers[0, :1]))]
    closest = _squared(x, centers[0])
    for of_center in numbers[1:]:
        chances = weights * closest
        chances = torch.where(chances.sum(1, keepdim=True) > 0, chances, weights)  # all rows are on centers
        candidates = [_pick(x, index) for index in _draw(chances, of_center).mT[..., None]]
        distances = torch.stack([_squared(x, candidate).minimum(closest) for candidate in candidates])
        best = (distances * weights).sum(2).argmin(0)
        centers.append(torch.stack(candidates)[best, which])
        closest = distances[best, which]
    return torch.cat(centers, 1)


def _draw(chances: Tensor, numbers: Tensor) -> Tensor:
    """Draw rows (p, candidates) with probabilities proportional to chances (p, n)."""
    cumulative = chances.cumsum(1)
    drawn = torch.searchsorted(cumulative, (numbers * cumulative[:, -1:]).contiguous(), right=True)
    last = (chances > 0).to(torch.int8).cumsum(1).argmax(1, keepdim=True)  # rounding may lead beyond it
    return drawn.minimum(last)


def _pick(x: Tensor, index: Tensor) -> Tensor:
    """Return the row (p, 1, d) of each problem with an index (p, 1)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


def _squared(x: Tensor, center: Tensor) -> Tensor:
    """Return the squared distances (p, n) of rows to a center (p, 1, d) of each problem."""
    return (x - center).square().sum(2)
