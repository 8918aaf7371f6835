"""Local search (breathing k-means): split the clusters that gain most, remove as many whose removal costs least."""

from __future__ import annotations

__all__ = ["search_from", "search_locally"]

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..annealing.pruning import prune, renormalize_priors
from ..annealing.splitting import split_clusters, split_directions
from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective
from ..solvers import SOLVERS
from ..solvers.loop import LoopResult, OnPass, minimize
from .results import best_of

if TYPE_CHECKING:
    from .fit import Problem

FIRST_MOVED_FRACTION = 0.1  # fraction of the centers that the first move adds and removes
DIRECTION_PASSES = 3  # passes of the power iteration that computes the splitting directions
EM_PASSES = 10  # maximum number of EM passes after adding centers, and after removing them
EM_TOL = 1e-3  # tolerance of these passes


def search_from(problem: Problem, run: LoopResult, on_pass: OnPass) -> LoopResult:
    """Search for a better optimum from the result of a restart, and continue the fit from there."""
    objective, search_objective, view = problem.objective, problem.search_objective, problem.view
    settings = problem.settings
    assert search_objective is not None  # noqa: S101 -- for mypy

    def with_value_of(objective: Objective, evaluation: Evaluation) -> Evaluation:
        # Both objectives are functions of the same statistics.
        return evaluation._replace(value=objective.value(evaluation.params, evaluation.sums))

    def on_search_pass(best: Evaluation) -> bool:
        return on_pass(with_value_of(objective, best), view.n_rows)

    start = with_value_of(search_objective, run.best)
    search = search_locally(search_objective, view, start, tol=settings.tol, on_pass=on_search_pass)
    if search.best is start:
        return run._replace(ending=run.ending if search.ending == "converged" else search.ending)
    if search.ending != "converged":
        return LoopResult(with_value_of(objective, search.best), search.ending)
    refined = minimize(
        objective, view, search.best.params, problem.solver,
        max_iter=settings.max_iter, tol=settings.tol, on_pass=on_pass,
    )  # fmt: skip
    return best_of([run, refined], objective)


def search_locally(
    objective: Objective, source: Source, start: Evaluation, *, tol: float, on_pass: Callable[[Evaluation], bool]
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
    start : Evaluation
        An optimum.
    tol : float
        Minimum decrease of the objective by a move, as for `minimize`.
    on_pass : callable
        Called after every pass with the best evaluation so far. If it returns True, the search stops.

    Returns
    -------
    LoopResult
        Its best evaluation is close to a lower optimum, or ``start`` itself.
    """
    best, ending = start, "converged"
    n_moved = max(1, round(FIRST_MOVED_FRACTION * len(start.params.centers)))

    def run_em(params: Params) -> Evaluation:
        nonlocal ending
        result = minimize(
            objective, source, params, SOLVERS["em"], max_iter=EM_PASSES, tol=EM_TOL, on_pass=lambda *_: on_pass(best)
        )
        if result.was_cut:
            ending = result.ending
        return result.best

    while n_moved > 0 and ending == "converged":
        enlarged = run_em(_add_centers(objective, source, best, n_moved))
        if ending != "converged":
            break
        trial = run_em(prune(objective, source, enlarged, n_moved))
        if trial.value < best.value - tol * objective.tolerance_scale(trial.sums):
            best = trial
        else:
            n_moved //= 2
    return LoopResult(best, ending)


def _add_centers(objective: Objective, source: Source, evaluation: Evaluation, n_added: int) -> Params:
    """Split the clusters whose split gains most: the gain in F is the cluster weight times λ - T / 2."""
    directions = split_directions(objective, source, evaluation, DIRECTION_PASSES)
    gains = evaluation.sums.stats.weight * evaluation.params.temperature * (directions.growth - 1)
    clusters = gains.argsort(descending=True, stable=True)[:n_added]
    return renormalize_priors(objective, split_clusters(objective, evaluation, directions, clusters))
