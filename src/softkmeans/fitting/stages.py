"""The stages of one restart: passes over samples, then decreasing temperatures, then the full fit."""

from __future__ import annotations

__all__ = ["Stage", "Stages"]

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.source import Source
from ..model.params import Params
from ..solvers.loop import LoopResult, Position
from .position import FitPosition, StagePhase
from .relocation import relocate

if TYPE_CHECKING:
    from .fit import Problem

FIRST_SAMPLE_ROWS_PER_CLUSTER = 64
SAMPLE_GROWTH = 4  # each sample has this many times the rows of the one before
SAMPLE_PASSES = 10  # maximum number of passes over each sample
SAMPLE_TOL = 1e-2
ANNEALING_PASSES = 10  # maximum number of passes at each temperature before the last
ANNEALING_TOL = 1e-3
NOISE_SIZE = 0.01  # standard deviation of the noise added to centers before annealing, in units of the length √T


class Stage(NamedTuple):
    """The arguments of one run of the loop.

    Attributes
    ----------
    source : Source
        The rows: a sample, or all.
    start : Params or Position
        Initial parameters, or where an earlier run of this stage stood.
    max_iter : int
        Maximum number of passes.
    tol : float
        Tolerance.
    phase : StagePhase or None
        The stage, for checkpoints; None if a callback has cut an earlier stage: a resumed fit continues before the cut.
    """

    source: Source
    start: Params | Position
    max_iter: int
    tol: float
    phase: StagePhase | None


class Stages:
    """The stages of a restart, in order. Each begins with the result of the one before, which is passed to `record`.

    With ``growing_sample``, the first stages use samples. A temperature schedule then runs through its temperatures, on
    the largest sample or on all rows. The last stage uses all rows and the final temperature. If clusters are empty
    after it and are moved, another such stage follows, and ``max_iter`` limits the passes of both together. If a stage
    is cut short, only one more pass follows, which evaluates the parameters on all rows.

    Parameters
    ----------
    problem : Problem
        The fit.
    start : Tensor (k, d) or FitPosition
        Initial centers, or where an earlier run of this restart stood.
    rng : numpy Generator
        Random number generator of the samples, and of the noise added to centers.
    """

    result: LoopResult  # of the last stage so far
    start: Params | Position

    def __init__(self, problem: Problem, start: Tensor | FitPosition, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.temperatures = problem.objective.temperature.stages(problem.objective.scaling)
        if isinstance(start, Tensor):
            params = problem.start(start)
            self.first, self.start = StagePhase(0, params.temperature), params
        else:
            self.first, self.start = start.in_stage()

    def record(self, result: LoopResult) -> None:
        """Store the result of the current stage."""
        self.result = result

    def __iter__(self) -> Iterator[Stage]:
        view, tol, start = self.problem.view, self.problem.settings.tol, self.start
        first, t, relocation = self.first
        stages = [*self._earlier(), (view, t, self.problem.settings.max_iter, tol)]
        # Each stage with noise has its own, so that a resumed fit draws the same numbers.
        rngs = self.rng.spawn(len(stages)) if self.temperatures else [self.rng] * len(stages)
        for number, (source, stage_t, max_iter, stage_tol) in enumerate(stages):
            if number < first or relocation is not None:
                continue
            if isinstance(start, Params):
                start = self._at_temperature(stage_t, start, rngs[number])
            yield Stage(source, start, max_iter, max(stage_tol, tol), StagePhase(number, t))
            start = self.result.best.params
            if self.result.was_cut and number < len(stages) - 1:
                ending = self.result.ending
                yield Stage(view, start._replace(temperature=t), 1, tol, None)
                self.result = self.result._replace(ending=ending)
                return
        if self.problem.relocates_empty:
            yield from self._relocations(StagePhase(len(stages) - 1, t, relocation))

    def _relocations(self, phase: StagePhase) -> Iterator[Stage]:
        """Yield a stage after each move of empty clusters that lowers the objective."""
        problem, relocation, start = self.problem, phase.relocation, self.start
        objective, settings = problem.objective, problem.settings
        if relocation is not None:  # an earlier run stood there
            yield Stage(problem.view, start, settings.max_iter, settings.tol, phase)
            self.result = relocation.best_of(self.result, objective)
        while not self.result.was_cut and self.result.n_passes < settings.max_iter:
            has_moved = None if relocation is None else relocation.has_moved
            try:
                moved = relocate(objective, problem.view, problem.solver, self.result, has_moved)
            except KeyboardInterrupt:
                self.result = self.result._replace(ending="interrupted")
                return
            if moved is None:
                return
            relocation, start = moved
            yield Stage(problem.view, start, settings.max_iter, settings.tol, phase._replace(relocation=relocation))
            self.result = relocation.best_of(self.result, objective)

    def _earlier(self) -> list[tuple[Source, Tensor, int, float]]:
        """Return the rows, temperatures, passes and tolerance of the stages before the last."""
        t, view = self.first.temperature, self.problem.view
        samples = list(self._samples()) if self.problem.settings.growing_sample else []
        *smaller, largest = samples or [view]
        if not self.temperatures and largest is not view:
            smaller.append(largest)
        hottest = torch.full_like(t, self.temperatures[0]) if self.temperatures else t
        stages = [(sample, hottest, SAMPLE_PASSES, SAMPLE_TOL) for sample in smaller]
        cooling = [(largest, torch.full_like(t, hot), ANNEALING_PASSES, ANNEALING_TOL) for hot in self.temperatures]
        return stages + cooling

    def _samples(self) -> Iterator[Source]:
        """Yield random samples of the rows, each four times as large as the one before, up to a quarter of all rows.

        Each sample contains the one before.
        """
        view = self.problem.view
        order = self.rng.permutation(view.n_rows)
        size = FIRST_SAMPLE_ROWS_PER_CLUSTER * self.problem.n_clusters
        while size <= view.n_rows // SAMPLE_GROWTH:
            yield view.sample(torch.from_numpy(order[:size]))
            size *= SAMPLE_GROWTH

    def _at_temperature(self, t: Tensor, params: Params, rng: np.random.Generator) -> Params:
        """Return the parameters at temperatures (k,) of a schedule, with noise on the centers.

        Centers may coincide at high temperatures; without noise, they would never separate again.
        """
        if not self.temperatures:
            return params
        objective = self.problem.objective
        centers, distance, frozen = params.centers, objective.scaling.distance, objective.spec.frozen
        noise = centers.new_tensor(rng.normal(size=centers.shape))
        noise = noise * NOISE_SIZE * t[:, None] ** (1 / distance.degree)
        moved = distance.retract(centers + noise)
        if frozen is not None:
            moved = torch.where(frozen[:, None], centers, moved)
        return Params(moved, t, params.log_prior)
