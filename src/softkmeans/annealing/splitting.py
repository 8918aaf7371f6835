"""Which clusters want to be two, and along which direction: every center as a pair close together, and one EM step."""

from __future__ import annotations

__all__ = ["SplitDirections", "power_iteration_step", "split_clusters", "split_directions", "split_in_pairs"]

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..data.source import Source
from ..distances import Distance
from ..model.params import Evaluation, Params
from ..objectives import Objective

APART = 0.02  # of a pair, so that memberships within it answer linearly: to 0.1 %
PASSES, TOLERANCE = 30, 1e-4  # of the power iteration that begins a path


class SplitDirections(NamedTuple):
    """How each cluster would come apart.

    Attributes
    ----------
    vector : Tensor (k, d)
        Of length 1.
    growth : Tensor (k,)
        How much farther apart along it a pair of centers is after a step of EM: 2 λ / T, where λ is the variance of the
        cluster's rows along the direction. Above 1, two centers have a lower free energy than one.
    """

    vector: Tensor
    growth: Tensor


def split_in_pairs(distance: Distance, params: Params, offset: Tensor, which: Tensor) -> Params:
    """Put a pair of centers, half of the prior each, at c ± offset (k, d) in place of the clusters numbered ``which``.

    The pair's first takes the cluster's place, and its second comes after all others.
    """
    c, t, log_prior = params
    k, moved = len(c), offset[which]
    half = log_prior.index_add(0, which, log_prior.new_full(which.shape, -math.log(2)))
    return Params(
        distance.embed(torch.cat([c.index_add(0, which, moved), c[which] - moved])),
        torch.cat([t, t[which]]),
        torch.cat([half[:k], half[which], half[k:]]),
    )


def power_iteration_step(objective: Objective, source: Source, found: Evaluation, vector: Tensor) -> SplitDirections:
    """Take one step of a power iteration, for all clusters at once, in one pass.

    In a pair at c ± εv, half the prior each, memberships differ by tanh(2 ε v·(x - c) / T), so that EM moves the two
    apart by 2 ε Cov v / T: the Jacobian of EM at a pair, whose largest eigenvalue says whether the pair parts
    (Rose, "Deterministic annealing for clustering, compression, classification, regression, and related optimization
    problems", Proc. IEEE 1998, section II-B). Nothing of this asks for squared distances.

    Parameters
    ----------
    objective : Objective
        What is minimized.
    source : Source
        The rows, in the objective's space.
    found : Evaluation
        A point, at or near an optimum.
    vector : Tensor (k, d)
        First guesses, of length 1.
    """
    distance, params, k = objective.scaling.distance, found.params, len(vector)
    size = APART * _answering(distance, found)[:, None]
    pairs = split_in_pairs(distance, params, size * distance.tangent(params.centers, vector), torch.arange(k))
    sums = source.sum(lambda block: objective.accumulate(block, pairs))
    moved = objective.update(pairs, sums).centers
    apart = (moved[:k] - moved[k:]) / (2 * size)
    length = torch.linalg.vector_norm(apart, dim=1, keepdim=True)
    turned = torch.where(length > 0, apart / length.clamp_min(1e-300), vector)
    return SplitDirections(turned, (apart * vector).sum(1).clamp_min(0.0))


def _spread(distance: Distance, found: Evaluation) -> Tensor:
    """How far (k,) rows are from their centers."""
    stats = found.sums.stats
    return (stats.distortion / stats.weight.clamp_min(1e-300)).clamp_min(0.0) ** (1 / _degree(distance))


def _answering(distance: Distance, found: Evaluation) -> Tensor:
    """How far apart (k,) a pair may be for memberships of rows in between to differ by about 1."""
    p, t = _degree(distance), found.params.temperature
    return torch.minimum(t ** (1 / p), t / (_spread(distance, found) ** (p - 1)).clamp_min(1e-150))


def _degree(distance: Distance) -> int:
    return distance.power or 2  # directions go by squares, too


def split_directions(objective: Objective, source: Source, found: Evaluation, passes: int = PASSES) -> SplitDirections:
    """Iterate `power_iteration_step` from random directions until growths settle, for at most ``passes`` passes."""
    params, generator = found.params, torch.Generator().manual_seed(0)
    drawn = torch.randn(params.centers.shape, generator=generator, dtype=torch.float64).to(params.centers)
    directions = SplitDirections(normalize(drawn), params.temperature.new_zeros(len(drawn)))
    for _ in range(passes):
        last, directions = directions, power_iteration_step(objective, source, found, directions.vector)
        if bool((directions.growth - last.growth <= TOLERANCE * directions.growth).all()):
            break
    return directions


def split_clusters(objective: Objective, found: Evaluation, directions: SplitDirections, which: Tensor) -> Params:
    """Split some clusters, by number, as far as two points in place of their rows would have the halves go."""
    distance, growth = objective.scaling.distance, directions.growth.clamp_min(1.0)
    deviation = (growth * found.params.temperature / 2).sqrt() if _degree(distance) == 2 else _spread(distance, found)
    offset = deviation * (1 - 1 / growth).sqrt()  # for squared distances, its square is λ - T / 2
    return split_in_pairs(distance, found.params, offset[:, None] * directions.vector, which)
