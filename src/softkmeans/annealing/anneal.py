"""Deterministic annealing: follow the optimum as T falls, and give a cluster a second center once it asks for one."""

from __future__ import annotations

__all__ = ["AnnealingState", "anneal", "annealed_centers", "initial_state", "with_equal_priors"]

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .._utils.reductions import total
from ..data.scaling import Scaling
from ..data.source import Source
from ..model.m_step import em_step
from ..model.params import Evaluation, ModelSpec, Params, PassStats
from ..objectives import FreeEnergy, Objective
from ..solvers import SOLVERS
from ..solvers.loop import evaluate, minimize
from ..temperature import Fixed
from ..temperature.moments import principal_axis
from .pruning import prune, renormalize_priors
from .splitting import SplitDirections, power_iteration_step, split_clusters, split_directions

MAX_ITER, TOL = 200, 1e-3  # of the fit at each temperature: clusters part, and optima disappear, ever so slowly
ROUGHLY = 5  # passes between one split and the look for the next
COOLING, LEVELS = 0.8, 200  # from each temperature to the next, and how often, in search of k clusters
SHRINKING = 5  # passes after some were let go
MARGIN = 1.002  # growth from which a cluster is split: that of rounding and of what the pairs leave out is below
PARTING = 0.5  # squared distance, in units of T, under which two centers are parting still: neither splits again
MERGED = 1e-4  # squared distance, in units of T, under which two centers are one
SURER = 0.1  # tol of the fits that tell a jump from a delay, in that of the path
HARD = 1e-12  # mean entropy of a row, in nats, under which clusters are hard
FAR, BISECTIONS = 1.0, 3  # how far a center moves, in standard deviations √(T / 2), before a jump is looked for


class AnnealingState(NamedTuple):
    """What was found at a temperature; in the space of the fit.

    Attributes
    ----------
    found : Evaluation
        The optimum, one center for each distinct cluster.
    directions : SplitDirections
        How these would part.
    parents : Tensor (k,) of int64
        The cluster of the temperature before that each came from.
    splits : tuple of (int, float)
        Clusters of the temperature before that were split, and the temperatures where they lost their stability.
    jumps : tuple of (int, float)
        Clusters of the temperature before whose center is far from where it was however small the step of temperature,
        and the temperatures where that happens.
    """

    found: Evaluation
    directions: SplitDirections
    parents: Tensor
    splits: tuple[tuple[int, float], ...] = ()
    jumps: tuple[tuple[int, float], ...] = ()


def initial_state(objective: Objective, source: Source) -> AnnealingState:
    """Begin: all rows in one cluster, at its critical temperature."""
    zero, distance = objective.scaling.shift.new_zeros(1), objective.scaling.distance
    middle = source.sum(lambda block: block.sum(lambda piece: total(piece.w[:, None] * piece.x)))
    start = Params(distance.embed((zero * middle)[None] if distance.translates else middle[None]), zero + 1, zero)
    found = _settle(objective, source, start)
    directions = _first_directions(objective, source, found)
    critical = _root(objective, source, found, directions).clamp_min(1e-300)
    at_critical = found._replace(params=found.params._replace(temperature=critical))
    return AnnealingState(at_critical, directions._replace(growth=torch.ones_like(critical)), zero.long())


def _first_directions(objective: Objective, source: Source, found: Evaluation) -> SplitDirections:
    """How all rows would come apart: along their principal axis, if distances are squared ones."""
    if objective.scaling.distance.name != "sqeuclidean":
        return split_directions(objective, source, found)
    variance, axis = principal_axis(source)
    return SplitDirections(axis[None], 2 * variance / found.params.temperature)


def _root(objective: Objective, source: Source, found: Evaluation, directions: SplitDirections) -> Tensor:
    """Temperature (1,) at which the growth, at T = 1 as given, is 1: it is α + β / T.

    α is 0 but for distances whose pull on a center depends on where it is.
    """
    if isinstance(objective.scaling.distance.slope(torch.ones(1)), float):
        return directions.growth
    hot = found._replace(params=_at(found.params, torch.full_like(directions.growth, 2.0)))
    beta = 2 * (directions.growth - power_iteration_step(objective, source, hot, directions.vector).growth)
    return beta / (1 - (directions.growth - beta))


def with_equal_priors(scaling: Scaling, source: Source, state: AnnealingState, tol: float) -> AnnealingState:
    """Find the optimum with equal masses near by: that of plain soft k-means."""
    plain = FreeEnergy(scaling, Fixed(1.0))
    return state._replace(found=_settle(plain, source, renormalize_priors(plain, state.found.params), tol))


def anneal(
    objective: Objective,
    source: Source,
    start: AnnealingState,
    temperatures: Iterable[float],
    max_clusters: int,
    *,
    tol: float = TOL,
) -> Iterator[AnnealingState]:
    """Follow the optimum through falling temperatures.

    Parameters
    ----------
    objective : Objective
        What is minimized: F, with learned priors, or two centers in place of one would count as two clusters.
    source : Source
        The rows, in the objective's space.
    start : AnnealingState
        Where to begin.
    temperatures : iterable of float
        In the objective's space.
    max_clusters : int
        How many clusters there are to be, at most.
    tol : float
        A pass that lowers F by no more than this share of E is the last at a temperature.

    Yields
    ------
    AnnealingState
        For each temperature.
    """
    last = start
    for temperature in temperatures:
        t = last.found.params.temperature.new_full((1,), temperature)
        last = _anneal_to(objective, source, last, t, max_clusters, tol)
        yield last


def annealed_centers(scaling: Scaling, source: Source, n_clusters: int) -> Tensor:
    """Cool until there are twice as many clusters as asked for, then let go of those that are missed least.

    What loses its stability first is what is widest; that is not always what has several clusters in it. With clusters
    to spare, all that is apart has come apart. Gives k centers, or fewer if there is nothing left to split.
    """
    objective = FreeEnergy(scaling, Fixed(1.0), ModelSpec(learn_priors=True))
    last = initial_state(objective, source)
    critical = float(last.found.params.temperature[0])
    for state in anneal(objective, source, last, (critical * COOLING**s for s in range(1, LEVELS)), 2 * n_clusters):
        last = state
        if len(last.parents) == 2 * n_clusters:
            break
    found = last.found
    while (excess := len(found.params.centers) - n_clusters) > 0:
        found = _settle(objective, source, prune(objective, source, found, (excess + 1) // 2), max_iter=SHRINKING)
    return found.params.centers


def _anneal_to(
    objective: Objective, source: Source, last: AnnealingState, t: Tensor, max_clusters: int, tol: float
) -> AnnealingState:
    """Go on to a temperature (1,): first with the clusters there are, then with those that these split into."""
    before = last.found.params
    if len(before.centers) >= max_clusters and objective.mean_entropy(before, last.found.sums) < HARD:
        return _colder(objective, last, t)
    found = _settle(objective, source, _at(before, t), tol)
    jumps = _jumps(objective, source, before, found.params, _fresh(last), SURER * tol)
    found, parents = _without_twins(objective, source, found)
    directions, splits = _of(last.directions, parents), dict[int, float]()
    while len(parents) < max_clusters:
        directions = power_iteration_step(objective, source, found, directions.vector)
        which = _unstable(found, directions, max_clusters - len(parents))
        if not len(which):
            break
        for cluster, parent in zip(which.tolist(), parents[which].tolist(), strict=True):
            splits.setdefault(parent, _critical(last, t, directions, cluster, parent, fresh=bool(splits)))
        n_before = len(parents)
        found = _settle(objective, source, split_clusters(objective, found, directions, which), max_iter=ROUGHLY)
        found, kept = _without_twins(objective, source, found)
        parents = torch.cat([parents, parents[which]])[kept]
        directions = _inherited(directions, which, kept)
        if len(parents) <= n_before:  # they came together again: rows are too near each other to be told apart
            break
    if splits:
        found = _settle(objective, source, found.params, tol)
        found, kept = _without_twins(objective, source, found)
        parents, directions = parents[kept], _of(directions, kept)
    return AnnealingState(found, directions, parents, tuple(splits.items()), jumps)


def _colder(objective: Objective, last: AnnealingState, t: Tensor) -> AnnealingState:
    """Go on with hard clusters: each row stays where it is, and a pass would find the same sums."""
    stats, params = last.found.sums.stats, _at(last.found.params, t)
    b, _ = objective.logit_offsets(params)
    sums = PassStats(replace(stats, objective=b @ stats.weight - stats.distortion.sum() / t[0]))
    growth = last.directions.growth * last.found.params.temperature / t
    found = Evaluation(params, sums, objective.value(params, sums))
    return AnnealingState(found, last.directions._replace(growth=growth), torch.arange(len(b)))


def _of(directions: SplitDirections, which: Tensor) -> SplitDirections:
    return SplitDirections(directions.vector[which], directions.growth[which])


def _at(params: Params, t: Tensor) -> Params:
    return params._replace(temperature=t.expand(len(params.centers)))


def _settle(
    objective: Objective, source: Source, start: Params, tol: float = TOL, max_iter: int = MAX_ITER
) -> Evaluation:
    """Minimize at a temperature; a pass that finds the centers where EM would put them is the last."""

    def on_step(_: int, found: Evaluation) -> bool:
        stats = found.sums.stats
        gain = stats.irls_weight @ em_step(found.params, stats).square().sum(
            1
        )  # by which the next step lowers F at least
        return float(gain) <= 0.1 * tol * objective.tolerance_scale(found.sums)

    return minimize(objective, source, start, SOLVERS["auto"], max_iter=max_iter, tol=tol, on_step=on_step).best


def _unstable(found: Evaluation, directions: SplitDirections, room: int) -> Tensor:
    """Numbers (m,) of the clusters to split, those that it helps most first."""
    c, t = found.params.centers, found.params.temperature
    gaps = torch.cdist(c, c).square().fill_diagonal_(torch.inf).amin(1)
    order = (found.sums.stats.weight * (directions.growth - 1)).argsort(descending=True, stable=True)
    return order[((directions.growth > MARGIN) & (gaps > PARTING * t))[order]][:room]


def _critical(
    last: AnnealingState, t: Tensor, directions: SplitDirections, cluster: int, parent: int, *, fresh: bool
) -> float:
    """Give the temperature at which a cluster's growth became 1; between two, growths are powers of T."""
    hot, cold, after = float(last.found.params.temperature[0]), float(t), float(directions.growth[cluster])
    before = 1.0 if fresh else float(last.directions.growth[parent])
    if not 0 < before < after:
        return min(hot, cold * after)
    return cold * math.exp(math.log(hot / cold) * min(1.0, math.log(after) / math.log(after / before)))


def _jumps(
    objective: Objective, source: Source, hot: Params, cold: Params, fresh: Tensor, tol: float
) -> tuple[tuple[int, float], ...]:
    """Bisect for the temperature where centers jump, if they do: a way that is continuous shortens with its span.

    Clusters fresh from a split go a long way, and are left out.
    """
    if not bool((_moved(hot, cold) > FAR)[~fresh].any()):
        return ()

    def settled(params: Params) -> Params:
        return _settle(objective, source, params, tol).params

    hot = settled(hot)  # or what it was short of would pass for a jump
    moved = _moved(hot, cold)
    for _ in range(BISECTIONS):
        t = (hot.temperature[:1] * cold.temperature[:1]).sqrt()
        middle = settled(_at(hot, t))
        first_half = bool(_moved(hot, middle).max() > _moved(middle, cold).max())
        hot, cold = (hot, middle) if first_half else (middle, cold)
    jumped = ~fresh & (moved > FAR) & (_moved(hot, cold) > moved / 2)
    return tuple((cluster, float(cold.temperature[0])) for cluster in jumped.nonzero()[:, 0].tolist())


def _fresh(state: AnnealingState) -> Tensor:
    """Which clusters (k,) came of a split."""
    return torch.isin(state.parents, torch.tensor([cluster for cluster, _ in state.splits], dtype=torch.long))


def _moved(hot: Params, cold: Params) -> Tensor:
    """How far centers (k,) moved, in standard deviations of a cluster at that temperature."""
    far: Tensor = torch.linalg.vector_norm(cold.centers - hot.centers, dim=1) / (cold.temperature / 2).sqrt()
    return far


def _inherited(directions: SplitDirections, which: Tensor, kept: Tensor) -> SplitDirections:
    """Guess the directions of clusters just split: that of the split, turned a little at random."""
    vector = torch.cat([directions.vector, directions.vector[which]])[kept]
    turn = torch.randn(vector.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = vector + turn.to(vector) / math.sqrt(vector.shape[1])
    growth = torch.cat([directions.growth, directions.growth[which]])[kept]
    return SplitDirections(normalize(turned), growth)


def _without_twins(objective: Objective, source: Source, found: Evaluation) -> tuple[Evaluation, Tensor]:
    """Make one of centers that coincide, and give the numbers of those that stay."""
    c, t, log_prior = found.params
    owner = (torch.cdist(c, c).square() < MERGED * t[0]).int().argmax(1)  # the first that each coincides with
    kept = torch.unique(owner)
    if len(kept) == len(c):
        return found, kept
    prior = torch.zeros_like(log_prior).index_add(0, owner, log_prior.exp())[kept]
    return evaluate(objective, source, Params(c[kept], t[kept], prior.log())), kept
