"""Remove the clusters whose removal increases the objective least."""

from __future__ import annotations

__all__ = ["prune", "removal_costs", "renormalize_priors"]

import math

import torch
from torch import Tensor

from .._utils.one_thread import in_one_thread_if_few
from .._utils.reductions import pairwise_distances, total
from ..data.block import Block
from ..data.source import Source
from ..kernels import distances
from ..model.params import Evaluation, Params
from ..objectives import Objective


def prune(objective: Objective, source: Source, evaluation: Evaluation, n_removed: int) -> Params:
    """Return the parameters without the clusters whose removal costs least.

    The other clusters keep their numbers as far as possible: the last ones take the numbers that become free.
    """
    c, t, log_prior = evaluation.params
    n_kept = len(c) - n_removed

    def costs_in(piece: Block) -> Tensor:
        return in_one_thread_if_few(lambda: removal_costs(piece, objective, evaluation.params), len(piece) * len(c))

    costs = source.sum(lambda block: block.sum(costs_in, width=len(c)))
    is_kept = torch.ones(len(c), dtype=torch.bool, device="cpu")
    is_kept[_cheapest(costs, c, n_removed)] = False
    kept = torch.arange(n_kept, device="cpu")
    kept[~is_kept[:n_kept]] = n_kept + is_kept[n_kept:].nonzero()[:, 0]
    noise = torch.arange(len(c), len(log_prior), device="cpu")  # the noise cluster, if there is one
    return renormalize_priors(objective, Params(c[kept], t[kept], log_prior[torch.cat([kept, noise])]))


def removal_costs(piece: Block, objective: Objective, params: Params) -> Tensor:
    """Return the decreases (k,) of the rows' Σ w logsumexp, each for the removal of one cluster.

    Parameters
    ----------
    piece : Block
        A few rows.
    objective : Objective
        Objective that defines the logits.
    params : Params
        Parameters of all clusters.
    """
    _, b, rule = objective.logits(params)
    logits = b - distances(piece, params.centers, objective.scaling.distance) / params.temperature  # (m, k)
    largest, likeliest = logits.max(1, keepdim=True)  # (m, 1)
    others = (
        logits.scatter(1, likeliest, -torch.inf).logsumexp(1, keepdim=True).logaddexp(b.new_tensor(rule.noise_logit))
    )
    log_sum = largest.logaddexp(others)
    # A cluster with membership r costs -log(1 - r). For the likeliest cluster, 1 - r may be only rounding error;
    # its cost is computed from the logits of the others.
    costs = -torch.log1p(-(logits - log_sum).exp().clamp_max(0.5))
    return total(piece.w[:, None] * costs.scatter(1, likeliest, log_sum - others))


def _cheapest(costs: Tensor, c: Tensor, m: int) -> list[int]:
    """Return the numbers of the m clusters with the lowest costs, but only one of two nearest neighbors.

    If one of two neighbors is removed, the removal of the other costs more.
    """
    nearest = pairwise_distances(c, c).fill_diagonal_(torch.inf).argmin(1).tolist()
    chosen, protected = list[int](), set[int]()
    order = costs.argsort(stable=True).tolist()
    for j in order:
        if len(chosen) < m and j not in protected and nearest[j] not in chosen:
            chosen.append(j)
            protected.add(nearest[j])
    return (chosen + [j for j in order if j not in chosen])[:m]


def renormalize_priors(objective: Objective, params: Params) -> Params:
    """Return the parameters with priors that sum to 1; they are equal unless the objective learns them."""
    if objective.spec.learn_priors:
        return params._replace(log_prior=torch.log_softmax(params.log_prior, 0))
    return params._replace(log_prior=torch.full_like(params.log_prior, -math.log(len(params.log_prior))))
