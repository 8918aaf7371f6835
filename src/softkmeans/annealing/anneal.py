"""Deterministic annealing: follow the optimum as T falls, and split each cluster when it becomes unstable."""

from __future__ import annotations

__all__ = ["AnnealingState", "anneal", "annealed_centers", "initial_state", "with_equal_priors"]

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .._utils.reductions import pairwise_distances, total
from ..data.scaling import Scaling
from ..data.source import Source
from ..errors import InputError
from ..model.m_step import em_step
from ..model.params import Evaluation, ModelSpec, Params, PassStats
from ..objectives import FreeEnergy, Objective
from ..solvers import SOLVERS
from ..solvers.loop import Position, evaluate, minimize
from ..temperature import Fixed
from ..temperature.moments import principal_axis
from .pruning import prune, renormalize_priors
from .splitting import SplitDirections, power_iteration_step, split_clusters, split_directions

# The fit at each temperature. It may need many passes near a transition.
MAX_PASSES = 200
TOL = 1e-3
GAIN_FRACTION = 0.1  # the fit also stops if the next EM step would gain less than this fraction of the tolerance

# Splits
SPLIT_GROWTH = 1.002  # a cluster is split above this growth: 1 plus a margin for rounding and linearization errors
MIN_SPLIT_DISTANCE = 0.5  # squared, in units of T; centers closer than this are still separating, and are not split
MERGE_DISTANCE = 1e-4  # squared, in units of T; centers closer than this are merged
HARD_ENTROPY = 1e-12  # mean entropy of a row, in nats, below which clusters are hard

# Jumps
JUMP_DISTANCE = 1.0  # a center that moves farther, in standard deviations √(T / 2) of a cluster, may have jumped
N_BISECTIONS = 3  # bisections that locate the temperature of a jump
JUMP_TOL_FRACTION = 0.1  # tolerance of the fits during the bisection, as a fraction of that of the path

# Initial centers by annealing
TEMPERATURE_RATIO = 0.8  # ratio of each temperature to the previous one
MAX_TEMPERATURES = 200
PRUNING_PASSES = 5  # passes after each removal of clusters


class AnnealingState(NamedTuple):
    """The optimum at one temperature, in the units of the scaled data.

    Attributes
    ----------
    evaluation : Evaluation
        The optimum, with one center for each distinct cluster.
    directions : SplitDirections
        Splitting directions of these clusters.
    parents : Tensor (k,) of int64
        For each cluster, the cluster at the previous temperature that it comes from.
    splits : tuple of (int, float)
        Clusters at the previous temperature that were split, and the temperatures at which they became unstable, one
        entry for each split.
    jumps : tuple of (int, float)
        Clusters at the previous temperature whose center moved discontinuously, and the temperatures of these jumps.
    """

    evaluation: Evaluation
    directions: SplitDirections
    parents: Tensor
    splits: tuple[tuple[int, float], ...] = ()
    jumps: tuple[tuple[int, float], ...] = ()


def initial_state(objective: Objective, source: Source) -> AnnealingState:
    """Return the state with all rows in one cluster, at its critical temperature."""
    zero, distance = objective.scaling.shift.new_zeros(1), objective.scaling.distance
    if not objective.has_update:
        problem = "has no EM update, which annealing needs"
        raise InputError(problem, parameter="distance", value=distance.name, hint="use another distance")
    weighted_sum = source.sum(lambda block: block.sum(lambda piece: total(piece.w[:, None] * piece.x)))
    # Scaled data has its mean at 0 if the distance is translation invariant.
    center = distance.retract((zero * weighted_sum)[None] if distance.translates else weighted_sum[None])
    evaluation = _fit(objective, source, Params(center, zero + 1, zero))
    directions = _initial_directions(objective, source, evaluation)
    critical = _critical_temperature(objective, source, evaluation, directions).clamp_min(1e-300)
    at_critical = evaluation._replace(params=evaluation.params._replace(temperature=critical))
    return AnnealingState(at_critical, directions._replace(growth=torch.ones_like(critical)), zero.long())


def _initial_directions(objective: Objective, source: Source, evaluation: Evaluation) -> SplitDirections:
    """Return the splitting direction of all rows: for squared Euclidean distances, their principal axis."""
    if not objective.scaling.distance.is_squared:
        return split_directions(objective, source, evaluation)
    variance, axis = principal_axis(source)
    return SplitDirections(axis[None], 2 * variance / evaluation.params.temperature)


def _critical_temperature(
    objective: Objective, source: Source, evaluation: Evaluation, directions: SplitDirections
) -> Tensor:
    """Return the temperature (1,) at which the growth of a single cluster is 1, given the growth at T = 1.

    The growth is α + β / T, where α is 0 if the distance is linear in the squared distance.
    """
    if objective.scaling.distance.constant_slope is not None:
        return directions.growth
    hot_params = _at_temperature(evaluation.params, torch.full_like(directions.growth, 2.0))
    hot = power_iteration_step(objective, source, evaluation._replace(params=hot_params), directions.vector)
    beta = 2 * (directions.growth - hot.growth)
    return beta / (1 - (directions.growth - beta))


def with_equal_priors(scaling: Scaling, source: Source, state: AnnealingState, tol: float) -> AnnealingState:
    """Return the nearby optimum with equal priors, which is that of plain soft k-means."""
    plain = FreeEnergy(scaling, Fixed(1.0))
    start = renormalize_priors(plain, state.evaluation.params)
    return state._replace(evaluation=_fit(plain, source, start, tol))


def anneal(
    objective: Objective,
    source: Source,
    start: AnnealingState,
    temperatures: Iterable[float],
    max_clusters: int,
    *,
    tol: float = TOL,
) -> Iterator[AnnealingState]:
    """Yield the optimum at each of a series of decreasing temperatures.

    Parameters
    ----------
    objective : Objective
        Objective to minimize: F with learned priors. With equal priors, two coinciding centers would count as two
        clusters.
    source : Source
        The rows, shifted and scaled.
    start : AnnealingState
        State to start from.
    temperatures : iterable of float
        Temperatures in the units of the scaled data.
    max_clusters : int
        Maximum number of clusters.
    tol : float, default=1e-3
        Tolerance of the fit at each temperature, relative to E.

    Yields
    ------
    AnnealingState
        State at each temperature.
    """
    state = start
    for temperature in temperatures:
        t = state.evaluation.params.temperature.new_full((1,), temperature)
        state = _anneal_to(objective, source, state, t, max_clusters, tol)
        yield state


def annealed_centers(scaling: Scaling, source: Source, n_clusters: int) -> Tensor:
    """Return k centers found by annealing, or fewer if there is no cluster left to split.

    Lower the temperature until there are 2 k clusters, then remove those whose removal costs least. The widest
    cluster becomes unstable first, but it is not always one that consists of several groups. Once there are twice as
    many clusters as needed, narrower clusters that consist of several groups have been split, too.
    """
    objective = FreeEnergy(scaling, Fixed(1.0), ModelSpec(learn_priors=True))
    state = start = initial_state(objective, source)
    critical = float(start.evaluation.params.temperature[0])
    temperatures = (critical * TEMPERATURE_RATIO**i for i in range(1, MAX_TEMPERATURES))
    for state in anneal(objective, source, start, temperatures, 2 * n_clusters):
        if len(state.parents) == 2 * n_clusters:
            break
    evaluation = state.evaluation
    while (n_excess := len(evaluation.params.centers) - n_clusters) > 0:
        pruned = prune(objective, source, evaluation, (n_excess + 1) // 2)
        evaluation = _fit(objective, source, pruned, max_passes=PRUNING_PASSES)
    return evaluation.params.centers


def _anneal_to(
    objective: Objective, source: Source, last: AnnealingState, t: Tensor, max_clusters: int, tol: float
) -> AnnealingState:
    """Return the state at a lower temperature (1,): fit the current clusters, then split the unstable ones."""
    before = last.evaluation.params
    if len(before.centers) >= max_clusters and objective.mean_entropy(before, last.evaluation.sums) < HARD_ENTROPY:
        return _cool_hard_clusters(objective, last, t)
    evaluation = _fit(objective, source, _at_temperature(before, t), tol)
    jumps = _find_jumps(objective, source, before, evaluation.params, _is_newly_split(last), JUMP_TOL_FRACTION * tol)
    evaluation, parents = _merge_coinciding(objective, source, evaluation)
    directions, splits = _select(last.directions, parents), list[tuple[int, float]]()
    while splits or len(parents) < max_clusters:  # some of the new clusters may merge again, so directions are needed
        directions = power_iteration_step(objective, source, evaluation, directions.vector)
        found = _next_splits(last, t, evaluation, directions, parents, splits)[: max_clusters - len(parents)]
        if not found:
            break
        unstable = torch.tensor([cluster for cluster, _ in found], device=parents.device)
        n_before = len(parents)
        start = split_clusters(objective, evaluation, directions, unstable)
        evaluation, kept = _merge_coinciding(objective, source, _fit(objective, source, start, tol))
        # The second center of each pair follows the clusters before; if it is not kept, the pair has merged again.
        has_split = torch.isin(torch.arange(n_before, n_before + len(found), device="cpu"), kept.cpu()).tolist()
        splits += [(int(parents[c]), at) for (c, at), is_split in zip(found, has_split, strict=True) if is_split]
        parents = torch.cat([parents, parents[unstable]])[kept]
        directions = _perturbed_directions(directions, unstable, kept)
        if len(parents) <= n_before:  # the pairs have merged again: their rows are too close for float64 arithmetic
            break
    return AnnealingState(evaluation, directions, parents, tuple(splits), jumps)


def _cool_hard_clusters(objective: Objective, last: AnnealingState, t: Tensor) -> AnnealingState:
    """Return the state of hard clusters at a lower temperature (1,), without a pass: the memberships do not change."""
    stats, params = last.evaluation.sums.stats, _at_temperature(last.evaluation.params, t)
    b = objective.logits(params).b
    sums = PassStats(replace(stats, objective=b @ stats.weight - stats.distortion.sum() / t[0]))
    growth = last.directions.growth * last.evaluation.params.temperature / t
    evaluation = Evaluation(params, sums, objective.value(params, sums))
    return AnnealingState(evaluation, last.directions._replace(growth=growth), torch.arange(len(b), device="cpu"))


def _select(directions: SplitDirections, clusters: Tensor) -> SplitDirections:
    """Return the splitting directions of some clusters (m,)."""
    return SplitDirections(directions.vector[clusters], directions.growth[clusters])


def _at_temperature(params: Params, t: Tensor) -> Params:
    """Return the parameters with another temperature (1,)."""
    return params._replace(temperature=t.expand(len(params.centers)))


def _fit(
    objective: Objective, source: Source, start: Params, tol: float = TOL, max_passes: int = MAX_PASSES
) -> Evaluation:
    """Minimize the objective at a fixed temperature; stop early if the next EM step would gain almost nothing."""

    def is_stationary(position: Position, n_rows: int) -> bool:
        evaluation = position.to_report
        stats = evaluation.sums.stats
        squared_steps = em_step(evaluation.params, stats).square().sum(1)
        min_gain = stats.irls_weight @ squared_steps  # the next EM step lowers F by at least this
        return float(min_gain) <= GAIN_FRACTION * tol * objective.tolerance_scale(evaluation.sums)

    solver = SOLVERS["auto"]
    return minimize(objective, source, start, solver, max_iter=max_passes, tol=tol, on_pass=is_stationary).best


def _next_splits(
    last: AnnealingState,
    t: Tensor,
    evaluation: Evaluation,
    directions: SplitDirections,
    parents: Tensor,
    splits: list[tuple[int, float]],
) -> list[tuple[int, float]]:
    """Return the unstable clusters and the temperatures at which they became unstable, in decreasing order.

    ``splits`` are earlier splits at the same temperature (1,), of clusters at the last temperature. Later ones come
    after them. The first splits, and so the lifetimes, then do not depend on how many more splits are allowed.
    """
    c = evaluation.params.centers
    nearest = (
        pairwise_distances(c, c).square().fill_diagonal_(torch.inf).amin(1)
    )  # squared distance to the nearest center
    is_unstable = (directions.growth > SPLIT_GROWTH) & (nearest > MIN_SPLIT_DISTANCE * t)
    gain = evaluation.sums.stats.weight * (directions.growth - 1)  # decides if temperatures are equal
    unstable = [cluster for cluster in gain.argsort(descending=True, stable=True).tolist() if is_unstable[cluster]]
    has_split, latest = {parent for parent, _ in splits}, min((at for _, at in splits), default=math.inf)
    found = list[tuple[int, float]]()
    for cluster in unstable:
        parent = int(parents[cluster])
        temperature = _split_temperature(last, t, directions, cluster, parent, is_new=parent in has_split)
        found.append((cluster, min(temperature, latest)))
    return sorted(found, key=lambda split: -split[1])


def _split_temperature(
    last: AnnealingState, t: Tensor, directions: SplitDirections, cluster: int, parent: int, *, is_new: bool
) -> float:
    """Return the temperature at which the growth of a cluster was 1.

    Between the last temperature and the current one (1,), the growth is interpolated as a power of T. A cluster that
    is new at the current temperature had a growth of 1 at the last one.
    """
    hot, cold = float(last.evaluation.params.temperature[0]), float(t)
    growth_before = 1.0 if is_new else float(last.directions.growth[parent])
    growth_after = float(directions.growth[cluster])
    if not 0 < growth_before < growth_after:
        return min(hot, cold * growth_after)
    exponent = min(1.0, math.log(growth_after) / math.log(growth_after / growth_before))
    return cold * math.exp(math.log(hot / cold) * exponent)


def _find_jumps(
    objective: Objective, source: Source, hot: Params, cold: Params, is_new: Tensor, tol: float
) -> tuple[tuple[int, float], ...]:
    """Return the clusters whose center jumps between two temperatures, and the temperatures of the jumps.

    The temperature interval is bisected. In a shorter interval, a center that moves continuously moves less, and a
    center that jumps moves as far as before. Clusters that are new after a split (k,) move far, and are left out.
    """
    if not bool((_relative_moves(hot, cold) > JUMP_DISTANCE)[~is_new].any()):
        return ()

    def refine(params: Params) -> Params:
        return _fit(objective, source, params, tol).params

    hot = refine(hot)  # otherwise, the last steps of convergence could look like a jump
    moves = _relative_moves(hot, cold)
    for _ in range(N_BISECTIONS):
        middle_t = (hot.temperature[:1] * cold.temperature[:1]).sqrt()
        middle = refine(_at_temperature(hot, middle_t))
        is_in_hot_half = bool(_relative_moves(hot, middle).max() > _relative_moves(middle, cold).max())
        hot, cold = (hot, middle) if is_in_hot_half else (middle, cold)
    has_jumped = ~is_new & (moves > JUMP_DISTANCE) & (_relative_moves(hot, cold) > moves / 2)
    return tuple((cluster, float(cold.temperature[0])) for cluster in has_jumped.nonzero()[:, 0].tolist())


def _is_newly_split(state: AnnealingState) -> Tensor:
    """Return whether each cluster (k,) is the result of a split at this temperature."""
    return torch.isin(
        state.parents, torch.tensor([cluster for cluster, _ in state.splits], dtype=torch.long, device="cpu")
    )


def _relative_moves(hot: Params, cold: Params) -> Tensor:
    """Return how far centers (k,) move between two temperatures, in standard deviations of a cluster at the lower."""
    moves: Tensor = torch.linalg.vector_norm(cold.centers - hot.centers, dim=1) / (cold.temperature / 2).sqrt()
    return moves


def _perturbed_directions(directions: SplitDirections, split: Tensor, kept: Tensor) -> SplitDirections:
    """Return initial directions after some clusters were split: the old directions, perturbed at random."""
    vector = torch.cat([directions.vector, directions.vector[split]])[kept]
    noise = torch.randn(vector.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, device="cpu")
    perturbed = vector + noise.to(vector) / math.sqrt(vector.shape[1])
    growth = torch.cat([directions.growth, directions.growth[split]])[kept]
    return SplitDirections(normalize(perturbed), growth)


def _merge_coinciding(objective: Objective, source: Source, evaluation: Evaluation) -> tuple[Evaluation, Tensor]:
    """Merge clusters whose centers coincide; return the evaluation, and the numbers (m,) of the clusters kept."""
    c, t, log_prior = evaluation.params
    representative = (
        (pairwise_distances(c, c).square() < MERGE_DISTANCE * t[0]).int().argmax(1)
    )  # the first one that is close
    kept = torch.unique(representative)
    if len(kept) == len(c):
        return evaluation, kept
    prior = torch.zeros_like(log_prior).index_add(0, representative, log_prior.exp())[kept]
    return evaluate(objective, source, Params(c[kept], t[kept], prior.log())), kept
