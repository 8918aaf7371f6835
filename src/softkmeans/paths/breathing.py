"""A better optimum: take in a few centres where they help most, let go as many where they are missed least."""

from __future__ import annotations

__all__ = ["breathe", "losses"]

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..blocks import Block
from ..data.source import Source
from ..kernels import distances
from ..loop import minimise
from ..objectives import Objective
from ..points import Found, Params
from ..results import Run
from ..solvers import SOLVERS
from ..sums import total
from .splitting import leaning_of, parted

BREATH = 0.1  # of all centres, that the first breath takes in
LOOKS = 3  # passes of the power iteration that says where more centres would help
SETTLING, ROUGHLY = 10, 1e-3  # passes after taking in and after letting go, and how closely to look


def breathe(objective: Objective, source: Source, start: Found, *, tol: float, on_pass: Callable[[Found], bool]) -> Run:
    """Look for a lower optimum than the one found, until no single centre would be better off elsewhere.

    A breath splits those m clusters that gain most by it, settles, lets go of the m clusters whose loss costs least,
    and settles again. One that leads lower is kept, and another taken; after one that does not, m is halved.

    Fritzke, "The breathing k-means algorithm", 2020. Here gain and loss are those in the free energy: what it gains to
    part a cluster, by the variance along its axis, and what it costs to lose one while the others stay, exactly.

    Parameters
    ----------
    objective : Objective
        What is minimised, by softmax memberships.
    source : Source
        The rows, in the objective's space.
    start : Found
        An optimum.
    tol : float
        By how much a breath must lower the objective, as for `minimise`.
    on_pass : callable
        Is told of the best point after every pass; something true ends the search.

    Returns
    -------
    Run
        Its best point is near an optimum that is lower, or the one that came.
    """
    best, m, ending = start, max(1, round(BREATH * len(start.params.centers))), "converged"

    def settled(params: Params) -> Found:
        nonlocal ending
        run = minimise(
            objective, source, params, SOLVERS["em"], max_iter=SETTLING, tol=ROUGHLY, on_step=lambda *_: on_pass(best)
        )
        ending = run.ending if run.ending in ("stopped", "interrupted") else ending
        return run.best

    while m > 0 and ending == "converged":
        larger = settled(_with_more(objective, source, best, m))
        if ending != "converged":
            break
        trial = settled(_with_fewer(objective, source, larger, m))
        if trial.value < best.value - tol * objective.resolution(trial.summary):
            best = trial
        else:
            m //= 2
    return Run(best, ending)


def _with_more(objective: Objective, source: Source, found: Found, m: int) -> Params:
    """Split the m clusters that gain most: in F, their weight times what λ exceeds T / 2 by."""
    leaning = leaning_of(objective, source, found, LOOKS)
    gain = found.summary.stats.weight * found.params.temperature * (leaning.growth - 1)
    return _evened(objective, parted(objective, found, leaning, gain.argsort(descending=True, stable=True)[:m]))


def _with_fewer(objective: Objective, source: Source, found: Found, m: int) -> Params:
    """Leave out the m clusters whose loss costs least; others take the places of those that had one before."""
    c, t, log_prior = found.params
    k = len(c) - m
    cost = source.sum(lambda block: block.sum(lambda piece: losses(piece, objective, found.params), width=len(c)))
    gone = _least(cost, c, m)
    stays = torch.ones(len(c), dtype=torch.bool)
    stays[gone] = False
    places = torch.arange(k)
    places[~stays[:k]] = k + stays[k:].nonzero()[:, 0]
    noise = torch.arange(len(c), len(log_prior))
    return _evened(objective, Params(c[places], t[places], log_prior[torch.cat([places, noise])]))


def losses(piece: Block, objective: Objective, params: Params) -> Tensor:
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
    b, rule = objective.masses(params)
    logits = b - distances(piece, params.centers, objective.space.distance) / params.temperature  # (m, k)
    most, which = logits.max(1, keepdim=True)
    rest = logits.scatter(1, which, -torch.inf).logsumexp(1, keepdim=True).logaddexp(b.new_tensor(rule.outside))
    whole = most.logaddexp(rest)
    lost = -torch.log1p(-(logits - whole).exp().clamp_max(0.5))  # right for all but the likeliest, of which 1 - r
    return total(piece.w[:, None] * lost.scatter(1, which, whole - rest))  # may be no more than rounding


def _least(cost: Tensor, c: Tensor, m: int) -> list[int]:
    """Numbers of the m least costs, but of two nearest neighbours only one: without it, the other costs more."""
    nearest = torch.cdist(c, c).fill_diagonal_(torch.inf).argmin(1).tolist()
    chosen, spared = list[int](), set[int]()
    order = cost.argsort(stable=True).tolist()
    for j in order:
        if len(chosen) < m and j not in spared and nearest[j] not in chosen:
            chosen.append(j)
            spared.add(nearest[j])
    return (chosen + [j for j in order if j not in chosen])[:m]


def _evened(objective: Objective, params: Params) -> Params:
    """Give the priors of another number of clusters: the same for all, unless they are learned."""
    if objective.variant.learn_priors:
        return params._replace(log_prior=torch.log_softmax(params.log_prior, 0))
    return params._replace(log_prior=torch.full_like(params.log_prior, -math.log(len(params.log_prior))))
