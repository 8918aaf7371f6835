"""Find unstable clusters and their splitting directions, by power iteration on pairs of centers, and split them."""

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

# Offset of the centers of a pair, in units of the distance over which memberships change by about 1; so small that
# memberships are linear in it, up to 0.1 %.
PAIR_OFFSET = 0.02
MAX_PASSES = 30  # of the power iteration
GROWTH_TOL = 1e-4  # relative increase of the growth below which the power iteration has converged


class SplitDirections(NamedTuple):
    """The direction along which each cluster would split, and whether it is stable.

    Attributes
    ----------
    vector : Tensor (k, d)
        Splitting directions, of length 1.
    growth : Tensor (k,)
        Factor by which an EM step moves a pair of centers apart along the direction: 2 λ / T, where λ is the variance
        of the cluster's rows along the direction. Above 1, the cluster is unstable: two centers have a lower free
        energy than one.
    """

    vector: Tensor
    growth: Tensor


def split_in_pairs(distance: Distance, params: Params, offset: Tensor, clusters: Tensor) -> Params:
    """Return the parameters with some clusters (m,) replaced by pairs at c ± offset (k, d), with half the prior each.

    The first center of a pair replaces the cluster, the second is appended after all clusters.
    """
    c, t, log_prior = params
    k, pair_offset = len(c), offset[clusters]
    halved = log_prior.index_add(0, clusters, log_prior.new_full(clusters.shape, -math.log(2)))
    return Params(
        distance.retract(torch.cat([c.index_add(0, clusters, pair_offset), c[clusters] - pair_offset])),
        torch.cat([t, t[clusters]]),
        torch.cat([halved[:k], halved[clusters], halved[k:]]),
    )


def power_iteration_step(
    objective: Objective, source: Source, evaluation: Evaluation, vector: Tensor
) -> SplitDirections:
    """Return the splitting directions after one step of a power iteration, for all clusters in one pass.

    In a pair at c ± εv with half the prior each, memberships differ by tanh(2 ε v·(x - c) / T), so that an EM step
    moves the two centers to c ± (2 ε / T) Cov v. The matrix (2 / T) Cov is the Jacobian of EM at the pair; if its
    largest eigenvalue exceeds 1, the pair separates (Rose, "Deterministic annealing for clustering, compression,
    classification, regression, and related optimization problems", Proc. IEEE 1998, section II-B). The method does not
    need squared distances.

    Parameters
    ----------
    objective : Objective
        Objective to minimize.
    source : Source
        The rows, shifted and scaled.
    evaluation : Evaluation
        Parameters at or near an optimum.
    vector : Tensor (k, d)
        Current directions, of length 1.
    """
    distance, params, k = objective.scaling.distance, evaluation.params, len(vector)
    offset = PAIR_OFFSET * _membership_length(distance, evaluation)[:, None]
    pairs = split_in_pairs(
        distance, params, offset * distance.tangent(params.centers, vector), torch.arange(k, device="cpu")
    )
    sums = source.sum(lambda block: objective.accumulate(block, pairs))
    moved = objective.update(pairs, sums).centers
    image = (moved[:k] - moved[k:]) / (2 * offset)  # the Jacobian of EM, applied to the directions
    length = torch.linalg.vector_norm(image, dim=1, keepdim=True)
    new_vector = torch.where(length > 0, image / length.clamp_min(1e-300), vector)
    return SplitDirections(new_vector, (image * vector).sum(1).clamp_min(0.0))


def _spread(distance: Distance, evaluation: Evaluation) -> Tensor:
    """Return the typical Euclidean distance (k,) of the rows of each cluster from its center."""
    stats = evaluation.sums.stats
    return (stats.distortion / stats.weight.clamp_min(1e-300)).clamp_min(0.0) ** (1 / distance.degree)


def _membership_length(distance: Distance, evaluation: Evaluation) -> Tensor:
    """Return the distance (k,) over which the memberships in a pair of centers change by about 1."""
    p, t = distance.degree, evaluation.params.temperature
    return torch.minimum(t ** (1 / p), t / (_spread(distance, evaluation) ** (p - 1)).clamp_min(1e-150))


def split_directions(
    objective: Objective, source: Source, evaluation: Evaluation, max_passes: int = MAX_PASSES
) -> SplitDirections:
    """Compute the splitting directions of all clusters by power iteration from random directions.

    The iteration stops when growth no longer increases for any cluster, after at most ``max_passes`` passes.
    """
    params, generator = evaluation.params, torch.Generator().manual_seed(0)
    drawn = torch.randn(params.centers.shape, generator=generator, dtype=torch.float64, device="cpu").to(params.centers)
    directions = SplitDirections(normalize(drawn), params.temperature.new_zeros(len(drawn)))
    for _ in range(max_passes):
        last, directions = directions, power_iteration_step(objective, source, evaluation, directions.vector)
        if bool((directions.growth - last.growth <= GROWTH_TOL * directions.growth).all()):
            break
    return directions


def split_clusters(
    objective: Objective, evaluation: Evaluation, directions: SplitDirections, clusters: Tensor
) -> Params:
    """Return the parameters with some clusters (m,) split along their directions.

    The offset of the two centers approximates the optimal one for a cluster that consists of two groups of equal rows.
    """
    distance, params, growth = objective.scaling.distance, evaluation.params, directions.growth.clamp_min(1.0)
    is_squared = distance.degree == 2
    deviation = (growth * params.temperature / 2).sqrt() if is_squared else _spread(distance, evaluation)
    offset = deviation * (1 - 1 / growth).sqrt()  # for squared distances, its square is λ - T / 2
    return split_in_pairs(distance, params, offset[:, None] * directions.vector, clusters)
