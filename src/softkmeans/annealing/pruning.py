"""Which clusters are missed least."""

from __future__ import annotations

__all__ = ["prune", "removal_costs", "renormalize_priors"]

import math

import torch
from torch import Tensor

from .._utils.reductions import total
from ..data.block import Block
from ..data.source import Source
from ..kernels import distances
from ..model.params import Evaluation, Params
from ..objectives import Objective


def prune(objective: Objective, source: Source, found: Evaluation, m: int) -> Params:
    """Leave out the m clusters whose loss costs least; others take the places of those that had one before."""
    c, t, log_prior = found.params
    k = len(c) - m
    cost = source.sum(
        lambda block: block.sum(lambda piece: removal_costs(piece, objective, found.params), width=len(c))
    )
    gone = _least(cost, c, m)
    stays = torch.ones(len(c), dtype=torch.bool)
    stays[gone] = False
    places = torch.arange(k)
    places[~stays[:k]] = k + stays[k:].nonzero()[:, 0]
    noise = torch.arange(len(c), len(log_prior))
    return renormalize_priors(objective, Params(c[places], t[places], log_prior[torch.cat([places, noise])]))


def removal_costs(piece: Block, objective: Objective, params: Params) -> Tensor:
    """How much less (k,) the rows' Σ w logsumexp would be without each of the clusters.

    Parameters
    ----------
    piece : Block
        A few rows.
    objective : Objective
        Gives the logits.
    params : Params
        The clusters.
    """
    b, rule = objective.logit_offsets(params)
    logits = b - distances(piece, params.centers, objective.scaling.distance) / params.temperature  # (m, k)
    most, which = logits.max(1, keepdim=True)
    rest = logits.scatter(1, which, -torch.inf).logsumexp(1, keepdim=True).logaddexp(b.new_tensor(rule.outside))
    whole = most.logaddexp(rest)
    lost = -torch.log1p(-(logits - whole).exp().clamp_max(0.5))  # right for all but the likeliest, of which 1 - r
    return total(piece.w[:, None] * lost.scatter(1, which, whole - rest))  # may be no more than rounding


def _least(cost: Tensor, c: Tensor, m: int) -> list[int]:
    """Numbers of the m least costs, but of two nearest neighbors only one: without it, the other costs more."""
    nearest = torch.cdist(c, c).fill_diagonal_(torch.inf).argmin(1).tolist()
    chosen, spared = list[int](), set[int]()
    order = cost.argsort(stable=True).tolist()
    for j in order:
        if len(chosen) < m and j not in spared and nearest[j] not in chosen:
            chosen.append(j)
            spared.add(nearest[j])
    return (chosen + [j for j in order if j not in chosen])[:m]


def renormalize_priors(objective: Objective, params: Params) -> Params:
    """Give the priors of another number of clusters: the same for all, unless they are learned."""
    if objective.spec.learn_priors:
        return params._replace(log_prior=torch.log_softmax(params.log_prior, 0))
    return params._replace(log_prior=torch.full_like(params.log_prior, -math.log(len(params.log_prior))))
