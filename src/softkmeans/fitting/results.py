"""What a fit says in the end, in the data's units."""

from __future__ import annotations

__all__ = ["Result", "best_of", "make_result", "make_step", "warn_about"]

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ..callbacks import Step
from ..errors import warn
from ..model.params import Evaluation, Params
from ..objectives import Objective
from ..solvers.loop import Run
from ..temperature import NoTemperature


class Result(NamedTuple):
    """What a fit found, in the data's units.

    Attributes
    ----------
    centers : Tensor (k, d)
        Float64.
    temperature : float or Tensor (k,)
        T, or that of each cluster; NaN for fuzzy memberships, which know none.
    priors : Tensor (k,)
        Each cluster's prior; they sum to 1, or to less with a cluster of noise.
    objective : float
        What was minimized, summed over the rows: F at a fixed temperature, NLL where T is learned, E, or fuzzy J; where
        T solves an equation, how far, squared, centers and T are from where they stay.
    free_energy, distortion, entropy : float
        F, E and H at the centers, summed over the rows, E = F + T H for equal priors. NaN where there is none: F where
        clusters differ in temperature, F and H for fuzzy memberships.
    weight : Tensor (k,)
        Each cluster's share Σ w r.
    noise_weight : float
        The share of the cluster of noise, 0 without one.
    n_iter : int
        Passes in the best restart, over samples of the data included.
    converged : bool
        Whether the last passes brought no improvement beyond ``tol``.
    history : tuple of Step
        One entry a pass of the best restart.
    restarts : tuple of float
        By how much each restart ended above the lowest, relative to what ``tol`` is relative to.
    """

    centers: Tensor
    temperature: float | Tensor
    priors: Tensor
    objective: float
    free_energy: float
    distortion: float
    entropy: float
    weight: Tensor
    noise_weight: float
    n_iter: int
    converged: bool
    history: tuple[Step, ...]
    restarts: tuple[float, ...] = ()


def best_of(runs: Sequence[Run], goal: Objective) -> Run:
    """Give the run that ended lowest; of those as low, the first."""
    return min(runs, key=lambda run: goal.selection_value(run.best.params, run.best.sums))


def make_step(goal: Objective, n_iter: int, found: Evaluation, restart: int, n_rows: int) -> Step:
    """Say what a pass found."""
    stats, unit = found.sums.stats, goal.scaling.unit
    value = goal.in_data_units(found.value, float(stats.n))
    mean, temperature = value / float(stats.n), _mean_temperature(goal, found.params, stats.weight)
    return Step(n_iter, value, mean, goal.distortion(stats) * unit, temperature, restart, n_rows)


def _mean_temperature(goal: Objective, params: Params, weight: Tensor) -> float:
    """T in the data's units; where each cluster has one, their mean by the clusters' weights."""
    if isinstance(goal.temperature, NoTemperature):
        return math.nan
    t = params.temperature
    return float(weight @ t / weight.sum() if goal.temperature.per_cluster else t[0]) * goal.scaling.unit


def make_result(run: Run, goal: Objective, *, in_given_order: bool, restarts: Sequence[Run] = ()) -> Result:
    """Say what a run found, clusters in canonical order unless theirs was given."""
    params, sums, value = run.best
    stats, unit, k = sums.stats, goal.scaling.unit, len(params.centers)
    order = torch.arange(k) if in_given_order else _canonical(params.centers, stats.weight)
    own = goal.temperature.per_cluster
    without = isinstance(goal.temperature, NoTemperature)
    return Result(
        centers=goal.scaling.inverse_transform(params.centers)[order],
        temperature=params.temperature[order] * unit if own else _mean_temperature(goal, params, stats.weight),
        priors=params.log_prior[:k][order].exp(),
        objective=goal.in_data_units(value, float(stats.n)),
        free_energy=math.nan if without else goal.free_energy(params, sums) * unit,
        distortion=goal.distortion(stats) * unit,
        entropy=goal.entropy(params, sums),
        weight=stats.weight[order],
        noise_weight=goal.noise_weight(stats),
        n_iter=len(run.history),
        converged=run.ending == "converged",
        history=run.history,
        restarts=tuple(_above(restarts, goal)),
    )


def _above(runs: Sequence[Run], goal: Objective) -> list[float]:
    ends = [goal.selection_value(run.best.params, run.best.sums) for run in runs]
    return [(e - min(ends)) / (goal.tolerance_scale(r.best.sums) or 1.0) for e, r in zip(ends, runs, strict=True)]


def _canonical(centers: Tensor, weight: Tensor) -> Tensor:
    """Order (k,) by falling weight, then by center; both to a millionth, so that rounding can't tell ties apart."""
    falling = -(weight / weight.sum() * 1e6).round()
    columns = (centers / centers.abs().max().clamp_min(1e-300) * 1e6).round().T.flip(0)
    return torch.from_numpy(np.lexsort((*columns.cpu().numpy(), falling.cpu().numpy())))


def warn_about(result: Result, run: Run, goal: Objective, max_iter: int, n_rows: int) -> None:
    """Warn of what went less well than hoped."""
    if run.ending == "exhausted":
        warn(f"the fit did not converge in {max_iter} passes: raise max_iter or tol", ConvergenceWarning)
    if run.ending == "stalled":
        asked = "the fit found no temperature that solves its rule's equation, and keeps the nearest to that"
        warn(f"{asked}: lower what the rule asks for, or leave priors 'uniform'", ConvergenceWarning)
    starved = (result.weight < 1e-6 * result.weight.sum() / n_rows).nonzero()[:, 0].tolist()
    if starved:
        stay = "have lost all their rows, and their centers stay where they were"
        warn(f"clusters {starved} {stay}: lower n_clusters, or start elsewhere", ConvergenceWarning)
    if isinstance(result.temperature, Tensor) and goal.temperature.learned:
        coldest = goal.temperature.update(goal.scaling, math.nan, 0.0) * goal.scaling.unit
        collapsed = (result.temperature <= coldest * 1.001).nonzero()[:, 0].tolist()
        if collapsed:
            shrunk = f"clusters {collapsed} have shrunk to a point, where the likelihood has no bound"
            hint = "lower n_clusters, or give MaximumLikelihood(per_cluster=True, floor=...) a higher floor"
            warn(f"{shrunk}: {hint}", ConvergenceWarning)
