"""Local search (breathing k-means): split the clusters that gain most, remove as many whose removal costs least."""

from __future__ import annotations

__all__ = ["first_phase", "search_from", "search_locally"]

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..annealing.pruning import prune, renormalize_priors
from ..annealing.splitting import split_clusters, split_directions
from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective
from ..solvers import SOLVERS
from ..solvers.loop import LoopResult, Position, minimize
from .position import FitPosition, SearchPhase
from .results import best_of

if TYPE_CHECKING:
    from .fit import Problem

FIRST_MOVED_FRACTION = 0.1  # fraction of the centers that the first move adds and removes
DIRECTION_PASSES = 3  # passes of the power iteration that computes the splitting directions
EM_PASSES = 10  # maximum number of EM passes after adding centers, and after removing them
EM_TOL = 1e-3  # tolerance of these passes


def search_from(
    problem: Problem, run: LoopResult, on_pass: Callable[..., bool], resumed: FitPosition | None = None
) -> LoopResult:
    """Search for a better optimum from the result of a restart, and continue the fit from there.

    Parameters
    ----------
    problem : Problem
        The fit.
    run : LoopResult
        The best restart.
    on_pass : callable
        `Monitor.on_pass`.
    resumed : FitPosition, optional
        Where an earlier run of this search stood.
    """
    objective, search_objective, view = problem.objective, problem.search_objective, problem.view
    settings = problem.settings
    assert search_objective is not None  # noqa: S101 -- for mypy

    def with_value_of(objective: Objective, evaluation: Evaluation) -> Evaluation:
        # Both objectives are functions of the same statistics.
        return evaluation._replace(value=objective.value(evaluation.params, evaluation.sums))

    def on_search_pass(position: Position, phase: SearchPhase) -> bool:
        return on_pass(position, view.n_rows, phase=phase, evaluation=with_value_of(objective, phase.best))

    start = with_value_of(search_objective, run.best)
    phase, position = (first_phase(start), None) if resumed is None else resumed.in_search()
    search = search_locally(search_objective, view, phase, position, tol=settings.tol, on_pass=on_search_pass)
    if not search.best.value < start.value:
        return run._replace(ending=run.ending if search.ending == "converged" else search.ending)
    if search.ending != "converged":
        return LoopResult(with_value_of(objective, search.best), search.ending)
    refined_from = search.best.params if position is None or phase.n_moved else position
    refined = minimize(
        objective, view, refined_from, problem.solver,
        max_iter=settings.max_iter, tol=settings.tol, on_pass=partial(on_pass, phase=SearchPhase(search.best, 0)),
    )  # fmt: skip
    return best_of([run, refined], objective)


def first_phase(start: Evaluation) -> SearchPhase:
    """Return the first move of a local search from an optimum."""
    return SearchPhase(start, max(1, round(FIRST_MOVED_FRACTION * len(start.params.centers))))


def search_locally(
    objective: Objective,
    source: Source,
    phase: SearchPhase,
    position: Position | None = None,
    *,
    tol: float,
    on_pass: Callable[[Position, SearchPhase], bool],
) -> LoopResult:
    """Search for a lower optimum, until moving a single center no longer lowers the objective.

    A move splits the m clusters that gain most, runs EM, removes the m clusters whose removal costs least, and runs EM
    again. If it lowers the objective, it is kept, and the next move starts from there; if not, m is halved.

    Fritzke, "The breathing k-means algorithm", 2020. Here, gains and costs are changes of the free energy: the gain
    of splitting a cluster is computed from its variance along the splitting direction, and the cost of removing a
    cluster is exact if the other clusters stay fixed.

    Parameters
    ----------
    objective : Objective
        Objective to minimize, with softmax memberships.
    source : Source
        The rows, shifted and scaled.
    phase : SearchPhase
        The first move, from `first_phase`, or a later one.
    position : Position, optional
        Where EM stood in that move.
    tol : float
        Minimum decrease of the objective by a move, as for `minimize`.
    on_pass : callable
        Called after every pass with its position and with the move, which has the best evaluation so far. If it returns
        True, the search stops.

    Returns
    -------
    LoopResult
        Its best evaluation is close to a lower optimum, or that of the first move.
    """

    def run_em(start: Params | Position) -> LoopResult:
        return minimize(
            objective, source, start, SOLVERS["em"],
            max_iter=EM_PASSES, tol=EM_TOL, on_pass=lambda at, _: on_pass(at, phase),
        )  # fmt: skip

    while phase.n_moved > 0:
        start: Params | Position | None = position
        position = None
        if not phase.is_pruned:
            run = run_em(start or _add_centers(objective, source, phase.best, phase.n_moved))
            if run.was_cut:
                return LoopResult(phase.best, run.ending)
            phase, start = phase._replace(is_pruned=True), prune(objective, source, run.best, phase.n_moved)
        assert start is not None  # noqa: S101 -- for mypy: a move that is resumed has a position
        run = run_em(start)
        if run.best.value < phase.best.value - tol * objective.tolerance_scale(run.best.sums):
            phase = SearchPhase(run.best, phase.n_moved)
        else:
            phase = SearchPhase(phase.best, phase.n_moved // 2)
        if run.was_cut:
            return LoopResult(phase.best, run.ending)
    return LoopResult(phase.best, "converged")


def _add_centers(objective: Objective, source: Source, evaluation: Evaluation, n_added: int) -> Params:
    """Split the clusters whose split gains most: the gain in F is the cluster weight times λ - T / 2."""
    directions = split_directions(objective, source, evaluation, DIRECTION_PASSES)
    gains = evaluation.sums.stats.weight * evaluation.params.temperature * (directions.growth - 1)
    clusters = gains.argsort(descending=True, stable=True)[:n_added]
    return renormalize_priors(objective, split_clusters(objective, evaluation, directions, clusters))
