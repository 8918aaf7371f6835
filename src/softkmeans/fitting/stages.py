"""From a start to an optimum, stage by stage, and on to a better one."""

from __future__ import annotations

__all__ = ["Stages", "local_search_objective"]

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.source import Source
from ..errors import InputError
from ..model.params import Evaluation, Params
from ..objectives import FixedPoint, FreeEnergy, FuzzyDistortion, Objective
from ..solvers import Solver
from ..solvers.loop import Run, minimize
from ..temperature import Fixed
from .local_search import search_locally
from .monitor import OnPass
from .results import best_of

SAMPLE_PASSES, SAMPLE_TOL = 10, 1e-2  # how long, and how closely, to look at a sample
COOLING_PASSES, COOLING_TOL = 10, 1e-3  # and at a temperature on the way to the last
SHAKE = 0.01  # how far centers are moved before they cool, in the length that T stands for


class Stages(NamedTuple):
    """How a fit goes down.

    Attributes
    ----------
    goal : Objective
        What is minimized.
    view : Source
        All rows, in the goal's space.
    solver : Solver
        What steps.
    max_iter : int
        Passes over all rows, at most.
    tol : float
        The improvement that still counts.
    rng : numpy Generator
        What shakes the centers.
    """

    goal: Objective
    view: Source
    solver: Solver
    max_iter: int
    tol: float
    rng: np.random.Generator

    def down(self, start: Params, samples: Iterable[Source], temperatures: Sequence[float], tell: OnPass) -> Run:
        """Descend on samples first, the largest of which cools through hotter temperatures, then on all rows.

        Without samples, all rows cool. In the end comes the temperature of the start.
        """
        t, params = start.temperature, start
        hottest = torch.full_like(t, temperatures[0]) if temperatures else t
        *smaller, largest = [*samples] or [self.view]
        if not temperatures and largest is not self.view:
            smaller.append(largest)
        first = [(sample, hottest, SAMPLE_PASSES, SAMPLE_TOL) for sample in smaller]
        first += [(largest, torch.full_like(t, hot), COOLING_PASSES, COOLING_TOL) for hot in temperatures]
        for source, hot, passes, tol in first:
            params = self._at(hot, params) if temperatures else params
            run = self._minimize(source, params, passes, max(tol, self.tol), tell)
            params = run.best.params
            if run.ending in ("stopped", "interrupted"):  # a pass over all rows says what has been reached
                one = self._minimize(self.view, params._replace(temperature=t), 1, self.tol, tell)
                return one._replace(ending=run.ending)
        return self._minimize(self.view, self._at(t, params) if temperatures else params, self.max_iter, self.tol, tell)

    def on(self, search: Objective, found: Run, tell: OnPass) -> Run:
        """Look for a better optimum than a run's, by the objective of a search, and descend to it."""

        def valued(by: Objective, point: Evaluation) -> Evaluation:
            return point._replace(value=by.value(point.params, point.sums))  # Stats hold what both need

        start = valued(search, found.best)
        run = search_locally(
            search, self.view, start, tol=self.tol, on_pass=lambda best: tell(valued(self.goal, best), self.view.n_rows)
        )
        if run.best is start:
            return found._replace(ending=found.ending if run.ending == "converged" else run.ending)
        if run.ending != "converged":
            return Run(valued(self.goal, run.best), run.ending)
        lower = self._minimize(self.view, run.best.params, self.max_iter, self.tol, tell)
        return best_of([found, lower], self.goal)

    def _minimize(self, source: Source, params: Params, max_iter: int, tol: float, tell: OnPass) -> Run:
        return minimize(
            self.goal, source, params, self.solver, max_iter=max_iter, tol=tol,
            on_step=lambda _, found: tell(found, source.n_rows),
        )  # fmt: skip

    def _at(self, t: Tensor, params: Params) -> Params:
        """Set the temperatures (k,), and shake the centers: those that coincide while T is high are to part later."""
        c, distance, frozen = params.centers, self.goal.scaling.distance, self.goal.spec.frozen
        step = c.new_tensor(self.rng.normal(size=c.shape)) * SHAKE * t[:, None] ** (1 / (distance.power or 2))
        moved = distance.embed(c + step)
        return Params(moved if frozen is None else torch.where(frozen[:, None], c, moved), t, params.log_prior)


def local_search_objective(goal: Objective, priors: Any) -> Objective:
    """Give the objective that a local search goes by, if it can: it changes which clusters there are.

    Raises
    ------
    InputError
        If clusters have a number that says what else is theirs, or EM lowers nothing.
    """
    several = isinstance(goal.temperature, Fixed) and goal.temperature.per_cluster
    if goal.spec.frozen is not None or not isinstance(priors, str) or several:
        raise InputError("local_search moves any center: frozen ones, priors and temperatures one a cluster forbid it")
    if isinstance(goal, FuzzyDistortion) or type(goal) is FixedPoint:
        raise InputError("local_search goes by the free energy: fuzzy memberships and update='mean' have none")
    return goal if goal.has_update and goal.has_gradient else FreeEnergy(goal.scaling, goal.temperature, goal.spec)
