"""The result of a fit, in the data's units, and warnings about it."""

from __future__ import annotations

__all__ = [
    "CoincidentCentersWarning",
    "NotConvergedWarning",
    "Result",
    "best_of",
    "make_result",
    "make_step",
    "outcome",
    "warn_about",
]

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from .._utils.brief import with_brief_repr
from .._utils.few_numbers import quietly, sum_of
from ..callbacks import Step
from ..data.source import Source
from ..errors import Message, PythonOnly, Setting, warn
from ..model.params import Evaluation, Params
from ..objectives import Objective
from ..solvers.loop import LoopResult
from .coincidence import coincident_in_fit, critical_temperature_of_fit, describe_coincidence

ORDER_STEPS = 1e6  # weights and coordinates are rounded to a millionth before sorting, so that equal ones stay tied
EMPTY_WEIGHT = 1e-6  # a cluster is empty if its weight is below this fraction of the mean weight of a row
FLOOR_MARGIN = 1.001  # a temperature is at its floor if it is at most this multiple of the floor


class NotConvergedWarning(ConvergenceWarning):  # type: ignore[misc]
    """A fit has reached the maximum number of passes before it converged."""


class CoincidentCentersWarning(ConvergenceWarning):  # type: ignore[misc]
    """Centers of a fit coincide, so that no row tells their clusters apart."""


@with_brief_repr
class Result(NamedTuple):
    """Result of a fit, in the data's units.

    Attributes
    ----------
    centers : Tensor (k, d)
        Cluster centers, in float64.
    temperature : float or Tensor (k,)
        T, or the temperature of each cluster; NaN for fuzzy memberships, which have no temperature.
    priors : Tensor (k,)
        Prior of each cluster. They sum to 1, or to less with a noise cluster.
    objective : float
        The minimized objective, summed over the rows: F at a fixed temperature, NLL if T is learned, E, or the fuzzy
        objective J. If T is defined by an equation, it is the squared distance of centers and T from their fixed point.
    free_energy, distortion, entropy : float
        F, E and H at the centers, summed over the rows; E = F + T H for equal priors. F is NaN if clusters have
        different temperatures, F and H are NaN for fuzzy memberships.
    weight : Tensor (k,)
        Weight Σ w r of each cluster.
    noise_weight : float
        Weight of the noise cluster, 0 without one.
    n_iter : int
        Number of passes in the best restart, including those over samples of the data.
    converged : bool
        Whether the last passes brought no improvement beyond ``tol``.
    history : tuple of Step
        One record per pass of the best restart.
    restarts : tuple of float
        Objective of each restart minus the lowest, divided by the quantity that ``tol`` is relative to.
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


def best_of(runs: Sequence[LoopResult], goal: Objective) -> LoopResult:
    """Return the run with the lowest final value; if several are equal, the first of them."""
    return min(runs, key=lambda run: goal.selection_value(run.best.params, run.best.sums))


def make_step(goal: Objective, n_iter: int, evaluation: Evaluation, restart: int, n_rows: int) -> Step:
    """Return the record of a pass, in the data's units."""
    stats, unit = evaluation.sums.stats, goal.scaling.unit
    value = goal.in_data_units(evaluation.value, float(stats.n))
    mean, temperature = value / float(stats.n), _mean_temperature(goal, evaluation.params, stats.weight)
    return Step(n_iter, value, mean, goal.distortion(stats) * unit, temperature, restart, n_rows)


def _mean_temperature(goal: Objective, params: Params, weight: Tensor) -> float:
    """Return T in the data's units; if each cluster has its own, their mean by cluster weight."""
    if not goal.spec.rule.uses_temperature:
        return math.nan
    if not goal.temperature.per_cluster:
        return params.shared_temperature * goal.scaling.unit
    return float(weight @ params.temperature / weight.sum()) * goal.scaling.unit


def make_result(
    run: LoopResult, goal: Objective, *, in_given_order: bool, outcomes: Sequence[tuple[float, float]] = ()
) -> Result:
    """Return the result of a run in the data's units; clusters are sorted unless their order was given.

    ``outcomes`` are those of all restarts.
    """
    params, sums, value = run.best
    stats, unit, k = sums.stats, goal.scaling.unit, len(params.centers)
    order = torch.arange(k, device="cpu") if in_given_order else _canonical_order(params.centers, stats.weight)
    per_cluster = goal.temperature.per_cluster
    return Result(
        centers=goal.scaling.inverse_transform(params.centers)[order],
        temperature=params.temperature[order] * unit if per_cluster else _mean_temperature(goal, params, stats.weight),
        priors=params.log_prior[:k][order].exp(),
        objective=goal.in_data_units(value, float(stats.n)) + 0.0,  # 0 and not -0
        free_energy=goal.free_energy(params, sums) * unit + 0.0 if goal.spec.rule.uses_temperature else math.nan,
        distortion=goal.distortion(stats) * unit + 0.0,
        entropy=goal.entropy(params, sums) + 0.0,
        weight=stats.weight[order],
        noise_weight=goal.noise_weight(stats),
        n_iter=len(run.history),
        converged=run.ending == "converged",
        history=run.history,
        restarts=tuple(_excess_values(outcomes)),
    )


def outcome(run: LoopResult, goal: Objective) -> tuple[float, float]:
    """Return the final value of a run, by which runs are compared, and the scale of its tolerance."""
    return goal.selection_value(run.best.params, run.best.sums), goal.tolerance_scale(run.best.sums)


def _excess_values(outcomes: Sequence[tuple[float, float]]) -> list[float]:
    """Return the final value of each run minus the lowest, divided by the tolerance scale."""
    lowest = min((value for value, _ in outcomes), default=0.0)
    return [(value - lowest) / (scale or 1.0) for value, scale in outcomes]


@quietly
def _canonical_order(centers: Tensor, weight: Tensor) -> Tensor:
    """Return the order (k,) of the clusters by decreasing weight, then by the coordinates of their centers."""
    weights, coordinates = weight.cpu().numpy(), centers.cpu().numpy()
    descending = -np.rint(weights / weights.sum() * ORDER_STEPS)
    columns = np.rint(coordinates / max(abs(coordinates).max(), 1e-300) * ORDER_STEPS).T
    return torch.from_numpy(np.lexsort((*columns[::-1], descending)))


def warn_about(result: Result, run: LoopResult, goal: Objective, max_iter: int, view: Source) -> None:
    """Issue a ConvergenceWarning for each problem of a fit to some rows, shifted and scaled."""
    _warn_about_ending(run.ending, max_iter)
    least = EMPTY_WEIGHT * sum_of(result.weight) / view.n_rows
    empty = [number for number, weight in enumerate(result.weight.tolist()) if weight < least]
    if empty:
        problem = f"clusters {empty} have lost all their rows, and their centers no longer move"
        hint = Message("lower ", Setting("n_clusters"), ", or use other initial centers")
        warn(Message(problem, ": ", hint), ConvergenceWarning)
    if isinstance(result.temperature, Tensor) and goal.temperature.learned:
        floor = goal.temperature.update(goal.scaling, math.nan, 0.0) * goal.scaling.unit
        collapsed = (result.temperature <= floor * FLOOR_MARGIN).nonzero()[:, 0].tolist()
        if collapsed:
            problem = f"clusters {collapsed} have collapsed to a point, where the likelihood is unbounded"
            floor_hint = PythonOnly(", or set a higher floor by MaximumLikelihood(per_cluster=True, floor=...)")
            hint = Message("lower ", Setting("n_clusters"), floor_hint)
            warn(Message(problem, ": ", hint), ConvergenceWarning)
    coincidence = _describe_coincidence(run.best, goal, view)
    if coincidence is not None:
        warn(coincidence, CoincidentCentersWarning)


def _warn_about_ending(ending: str, max_iter: int) -> None:
    """Issue a ConvergenceWarning if a run did not converge."""
    if ending == "exhausted":
        hint = Message("raise ", Setting("max_iter"), " or ", Setting("tol"))
        warn(Message(f"the fit did not converge in {max_iter} passes: ", hint), NotConvergedWarning)
    if ending == "diverged":
        problem = (
            "a step of the fit raised the objective instead of lowering it, and the fit keeps the best centers so far"
        )
        smaller = PythonOnly(", a smaller step")
        hint = Message("use another ", Setting("solver"), smaller, ", or another ", Setting("distance"))
        warn(Message(problem, ": ", hint), NotConvergedWarning)
    if ending == "stuck":
        problem = "the fit no longer improves, but its gradient is not small, so its centers are no optimum"
        hint = Message("use another ", Setting("solver"), ", or better initial centers")
        warn(Message(problem, ": ", hint), NotConvergedWarning)
    if ending == "stalled":
        problem = "the fit found no temperature that satisfies the temperature rule, and keeps the closest one"
        hint = Message("lower the target of the rule or use ", Setting("priors", "uniform"))
        warn(Message(problem, ": ", hint), ConvergenceWarning)


def _describe_coincidence(best: Evaluation, goal: Objective, view: Source) -> Message | None:
    """Describe centers that coincide; return None if there are none."""
    coincident, centers = coincident_in_fit(goal, best), best.params.centers
    if not coincident:
        return None
    rule = goal.spec.rule
    if not rule.uses_temperature:
        return describe_coincidence(centers, coincident, rule.softness, getattr(rule, rule.softness, 0))
    unit, critical = goal.scaling.unit, None
    has_given_temperature = not (goal.temperature.learned or goal.temperature.solves_equation)
    if len(coincident) == len(centers) - 1 and has_given_temperature:
        critical = critical_temperature_of_fit(goal, view)
    return describe_coincidence(
        centers,
        coincident,
        "temperature",
        float(best.params.temperature.min()) * unit,
        None if critical is None else critical * unit,
        is_learned=goal.temperature.learned,
    )
