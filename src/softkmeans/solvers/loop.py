"""The fit loop: evaluate the parameters in a pass, let the solver take a step, and repeat until converged.

Every fit in the library runs this loop.
"""

from __future__ import annotations

__all__ = ["LoopResult", "OnPass", "minimize"]

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..callbacks import Step
from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective
from . import Solver

# Called after a pass with its evaluation and its number of rows; returns whether the loop must stop.
OnPass: TypeAlias = Callable[[Evaluation, int], bool]


class LoopResult(NamedTuple):
    """Result of one run of the loop.

    Attributes
    ----------
    best : Evaluation
        The best parameters found, and the objective there.
    ending : {"converged", "stalled", "exhausted", "stopped", "interrupted"}
        Why the loop ended:

        - "converged": the objective no longer improves.
        - "stalled": the objective no longer improves, but the parameters do not solve the objective's equations.
        - "exhausted": ``max_iter`` passes were made.
        - "stopped": ``on_pass`` asked to stop.
        - "interrupted": the user pressed Ctrl-C.
    history : tuple of Step
        One record per pass. The loop leaves it empty; `fitting.monitor` fills it in.
    """

    best: Evaluation
    ending: str
    history: tuple[Step, ...] = ()

    @property
    def was_cut(self) -> bool:
        """Whether a callback or the user stopped the run."""
        return self.ending in ("stopped", "interrupted")


def minimize(
    objective: Objective,
    source: Source,
    start: Params,
    solver: Solver,
    *,
    max_iter: int,
    tol: float,
    on_pass: OnPass,
) -> LoopResult:
    """Minimize an objective from initial parameters.

    Parameters
    ----------
    objective : Objective
        Objective to minimize.
    source : Source
        The rows, shifted and scaled.
    start : Params
        Initial parameters.
    solver : Solver
        Computes the next parameters from the statistics of a pass.
    max_iter : int
        Maximum number of passes. If it is reached, one extra pass evaluates the final parameters.
    tol : float
        A pass counts as an improvement if it lowers the objective by more than this times
        ``objective.tolerance_scale``.
    on_pass : callable
        Called after every pass with its evaluation and its number of rows. If it returns True, the loop stops.

    Returns
    -------
    LoopResult
        The best parameters, and why the loop ended.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C before the end of the first pass. Later, Ctrl-C ends the loop, which returns the best so far.
    """
    state, passes = solver.init(objective, start), solver.passes
    best: Evaluation | None = None
    n_stalled = 0  # passes in a row without improvement
    ending = "exhausted"
    try:
        for _ in range(max_iter):
            state, current = passes.run(solver, objective, source, state)
            n_stalled = 0 if _improves(objective, current, best, tol) else n_stalled + 1
            is_rejected = state.is_trial and best is not None and not current.value < best.value
            best = passes.best(objective, current, best)

            if on_pass(best if is_rejected else current, source.n_rows):
                ending = "stopped"
                break
            if n_stalled >= state.patience or objective.is_at_minimum(current.value, current.sums, tol):
                ending = "converged" if objective.is_solution(best.params, best.sums) else "stalled"
                break
            state = passes.step(solver, objective, state, current)
        else:
            best = passes.last(objective, source, state, best)  # type: ignore[arg-type]  # there was a pass
        return LoopResult(passes.final(objective, source, best), ending)  # type: ignore[arg-type]
    except KeyboardInterrupt:
        if best is None:
            raise
        return LoopResult(passes.final(objective, source, best), "interrupted")


def _improves(objective: Objective, current: Evaluation, best: Evaluation | None, tol: float) -> bool:
    """Return whether the current objective is lower than the best one by more than the tolerance."""
    return best is None or best.value - current.value > tol * objective.tolerance_scale(current.sums)
