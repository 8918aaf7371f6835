"""One restart of a fit: passes over samples, decreasing temperatures, the full fit, and an optional local search."""

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
from ..solvers.loop import LoopResult, minimize
from ..temperature import Fixed
from .local_search import search_locally
from .monitor import OnPass
from .results import best_of

SAMPLE_PASSES = 10  # maximum number of passes over each sample
SAMPLE_TOL = 1e-2
ANNEALING_PASSES = 10  # maximum number of passes at each temperature before the last
ANNEALING_TOL = 1e-3
NOISE_SIZE = 0.01  # standard deviation of the noise added to centers before annealing, in units of the length √T


class Stages(NamedTuple):
    """The settings that all stages of a fit share, and methods that run the stages.

    Attributes
    ----------
    goal : Objective
        Objective to minimize.
    view : Source
        All rows, shifted and scaled.
    solver : Solver
        Solver of every stage.
    max_iter : int
        Maximum number of passes over all rows.
    tol : float
        Tolerance of the last stage.
    rng : numpy Generator
        Random number generator for the noise added to centers.
    """

    goal: Objective
    view: Source
    solver: Solver
    max_iter: int
    tol: float
    rng: np.random.Generator

    def run(
        self, start: Params, samples: Iterable[Source], temperatures: Sequence[float], on_pass: OnPass
    ) -> LoopResult:
        """Fit on the samples first, then anneal through the temperatures, then fit on all rows.

        Annealing uses the largest sample, or all rows if there are no samples. The last stage uses the temperature of
        the initial parameters.
        """
        t, params = start.temperature, start
        hottest = torch.full_like(t, temperatures[0]) if temperatures else t
        *smaller, largest = [*samples] or [self.view]
        if not temperatures and largest is not self.view:
            smaller.append(largest)
        stages = [(sample, hottest, SAMPLE_PASSES, SAMPLE_TOL) for sample in smaller]
        stages += [(largest, torch.full_like(t, hot), ANNEALING_PASSES, ANNEALING_TOL) for hot in temperatures]
        for source, stage_t, max_iter, tol in stages:
            params = self._at_temperature(stage_t, params) if temperatures else params
            result = self._minimize(source, params, max_iter, max(tol, self.tol), on_pass)
            params = result.best.params
            if result.ending in ("stopped", "interrupted"):  # evaluate the parameters reached so far on all rows
                final = self._minimize(self.view, params._replace(temperature=t), 1, self.tol, on_pass)
                return final._replace(ending=result.ending)
        params = self._at_temperature(t, params) if temperatures else params
        return self._minimize(self.view, params, self.max_iter, self.tol, on_pass)

    def run_local_search(self, search_objective: Objective, result: LoopResult, on_pass: OnPass) -> LoopResult:
        """Search for a better optimum from the result of a restart, and continue the fit from there."""

        def with_value_of(objective: Objective, evaluation: Evaluation) -> Evaluation:
            # Both objectives are functions of the same statistics.
            return evaluation._replace(value=objective.value(evaluation.params, evaluation.sums))

        start = with_value_of(search_objective, result.best)
        search = search_locally(
            search_objective,
            self.view,
            start,
            tol=self.tol,
            on_pass=lambda best: on_pass(with_value_of(self.goal, best), self.view.n_rows),
        )
        if search.best is start:
            return result._replace(ending=result.ending if search.ending == "converged" else search.ending)
        if search.ending != "converged":
            return LoopResult(with_value_of(self.goal, search.best), search.ending)
        refined = self._minimize(self.view, search.best.params, self.max_iter, self.tol, on_pass)
        return best_of([result, refined], self.goal)

    def _minimize(self, source: Source, params: Params, max_iter: int, tol: float, on_pass: OnPass) -> LoopResult:
        return minimize(
            self.goal, source, params, self.solver, max_iter=max_iter, tol=tol,
            on_step=lambda _, evaluation: on_pass(evaluation, source.n_rows),
        )  # fmt: skip

    def _at_temperature(self, t: Tensor, params: Params) -> Params:
        """Return the parameters at temperatures (k,), with noise on the centers.

        Centers may coincide at high temperatures; without noise, they would never separate again.
        """
        centers, distance, frozen = params.centers, self.goal.scaling.distance, self.goal.spec.frozen
        noise = centers.new_tensor(self.rng.normal(size=centers.shape))
        noise = noise * NOISE_SIZE * t[:, None] ** (1 / (distance.power or 2))
        moved = distance.embed(centers + noise)
        if frozen is not None:
            moved = torch.where(frozen[:, None], centers, moved)
        return Params(moved, t, params.log_prior)


def local_search_objective(goal: Objective, priors: Any) -> Objective:
    """Return the objective that a local search minimizes: that of the fit if it has an update and a gradient, else F.

    Raises
    ------
    InputError
        If there are settings for single clusters, which a local search may replace, or if EM minimizes no objective.
    """
    has_temperatures = isinstance(goal.temperature, Fixed) and goal.temperature.per_cluster
    if goal.spec.frozen is not None or not isinstance(priors, str) or has_temperatures:
        raise InputError(
            "local_search does not support frozen centers, or priors or temperatures given for each cluster: leave "
            "these or local_search out"
        )
    if isinstance(goal, FuzzyDistortion) or type(goal) is FixedPoint:
        raise InputError(
            "local_search does not support fuzzy memberships or update='mean', which have no free energy: leave it out"
        )
    return goal if goal.has_update and goal.has_gradient else FreeEnergy(goal.scaling, goal.temperature, goal.spec)
