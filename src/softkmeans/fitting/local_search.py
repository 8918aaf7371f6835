"""A better optimum: take in a few centers where they help most, let go as many where they are missed least."""

from __future__ import annotations

__all__ = ["search_locally"]

from collections.abc import Callable

from ..annealing.pruning import prune, renormalize_priors
from ..annealing.splitting import split_clusters, split_directions
from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective
from ..solvers import SOLVERS
from ..solvers.loop import Run, minimize

BREATH = 0.1  # of all centers, that the first breath takes in
LOOKS = 3  # passes of the power iteration that says where more centers would help
SETTLING, ROUGHLY = 10, 1e-3  # passes after taking in and after letting go, and how closely to look


def search_locally(
    objective: Objective, source: Source, start: Evaluation, *, tol: float, on_pass: Callable[[Evaluation], bool]
) -> Run:
    """Look for a lower optimum than the one found, until no single center would be better off elsewhere.

    A breath splits those m clusters that gain most by it, settles, lets go of the m clusters whose loss costs least,
    and settles again. One that leads lower is kept, and another taken; after one that does not, m is halved.

    Fritzke, "The breathing k-means algorithm", 2020. Here gain and loss are those in the free energy: what it gains to
    part a cluster, by the variance along its axis, and what it costs to lose one while the others stay, exactly.

    Parameters
    ----------
    objective : Objective
        What is minimized, by softmax memberships.
    source : Source
        The rows, in the objective's space.
    start : Evaluation
        An optimum.
    tol : float
        By how much a breath must lower the objective, as for `minimize`.
    on_pass : callable
        Is told of the best point after every pass; something true ends the search.

    Returns
    -------
    Run
        Its best point is near an optimum that is lower, or the one that came.
    """
    best, m, ending = start, max(1, round(BREATH * len(start.params.centers))), "converged"

    def settled(params: Params) -> Evaluation:
        nonlocal ending
        run = minimize(
            objective, source, params, SOLVERS["em"], max_iter=SETTLING, tol=ROUGHLY, on_step=lambda *_: on_pass(best)
        )
        ending = run.ending if run.ending in ("stopped", "interrupted") else ending
        return run.best

    while m > 0 and ending == "converged":
        larger = settled(_with_more(objective, source, best, m))
        if ending != "converged":
            break
        trial = settled(prune(objective, source, larger, m))
        if trial.value < best.value - tol * objective.tolerance_scale(trial.sums):
            best = trial
        else:
            m //= 2
    return Run(best, ending)


def _with_more(objective: Objective, source: Source, found: Evaluation, m: int) -> Params:
    """Split the m clusters that gain most: in F, their weight times what λ exceeds T / 2 by."""
    directions = split_directions(objective, source, found, LOOKS)
    gain = found.sums.stats.weight * found.params.temperature * (directions.growth - 1)
    return renormalize_priors(
        objective, split_clusters(objective, found, directions, gain.argsort(descending=True, stable=True)[:m])
    )
