"""The fit loop: evaluate the parameters in a pass, let the solver take a step, and repeat until converged.

Every fit in the library runs this loop.
"""

from __future__ import annotations

__all__ = ["LoopResult", "evaluate", "minimize", "run_batches"]

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..callbacks import Step
from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective
from . import Solver

ROUNDING = 1e-12  # values that differ by less, relative to the tolerance scale, are equal up to rounding


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
        - "stopped": ``on_step`` asked to stop.
        - "interrupted": the user pressed Ctrl-C.
    history : tuple of Step
        One record per pass. The loop leaves it empty; `fitting.monitor` fills it in.
    """

    best: Evaluation
    ending: str
    history: tuple[Step, ...] = ()


def minimize(
    objective: Objective,
    source: Source,
    start: Params,
    solver: Solver,
    *,
    max_iter: int,
    tol: float,
    on_step: Callable[[int, Evaluation], bool],
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
    on_step : callable
        Called after every pass with its number, from 1, and its evaluation. If it returns True, the loop stops.

    Returns
    -------
    LoopResult
        The best parameters, and why the loop ended.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C before the end of the first pass. Later, Ctrl-C ends the loop, which returns the best so far.
    """
    state = solver.init(objective, start)
    best: Evaluation | None = None
    n_stalled = 0  # passes in a row without improvement
    try:
        for n_iter in range(1, max_iter + 1):
            if solver.by_batches:
                state, current = run_batches(objective, source.batches(), solver, state)
            else:
                current = evaluate(objective, source, state.params)
            n_stalled = 0 if _improves(objective, current, best, tol) else n_stalled + 1
            is_rejected = state.is_trial and best is not None and not current.value < best.value
            best = current if solver.by_batches else _better(objective, current, best)

            if on_step(n_iter, best if is_rejected else current):
                return _finish(objective, source, solver, best, "stopped")
            if n_stalled >= state.patience or objective.is_at_minimum(current.value, current.sums, tol):
                is_solution = objective.is_solution(best.params, best.sums)
                return _finish(objective, source, solver, best, "converged" if is_solution else "stalled")
            if not solver.by_batches:  # otherwise it has already taken a step after every batch
                state = solver.step(objective, state, current.sums)

        if not solver.by_batches:  # the parameters of the last step are not evaluated yet
            best = _better(objective, evaluate(objective, source, state.params), best)
        assert best is not None  # noqa: S101 -- for mypy: there was a pass
        return _finish(objective, source, solver, best, "exhausted")
    except KeyboardInterrupt:
        if best is None:
            raise
        return _finish(objective, source, solver, best, "interrupted")


def evaluate(objective: Objective, source: Source, params: Params) -> Evaluation:
    """Compute the objective and its statistics at given parameters, in one pass over the rows."""
    sums = source.sum(lambda block: objective.accumulate(block, params))
    return Evaluation(params, sums, objective.value(params, sums))


def run_batches(objective: Objective, batches: Iterable[Source], solver: Solver, state: Any) -> tuple[Any, Evaluation]:
    """Run a pass with a solver step after every batch; return the solver's state and the evaluation of the pass.

    The evaluation holds the parameters at the end of the pass. Its sums and its objective add up those of the batches,
    each at the parameters that were current when the batch was evaluated.
    """
    value, sums = 0.0, None
    for batch in batches:
        current = evaluate(objective, batch, state.params)
        value += current.value
        sums = current.sums if sums is None else sums + current.sums
        state = solver.step(objective, state, current.sums)
    assert sums is not None  # noqa: S101 -- for mypy: there is at least one batch
    state, params = solver.finish_pass(objective, state)
    return state, Evaluation(params, sums, value)


def _finish(objective: Objective, source: Source, solver: Solver, best: Evaluation, ending: str) -> LoopResult:
    """Return the result of the loop; after passes by batches, evaluate the parameters on all rows first."""
    if solver.by_batches:  # the value of such a pass belongs to many different parameters
        best = evaluate(objective, source, best.params)
    return LoopResult(best, ending)


def _improves(objective: Objective, current: Evaluation, best: Evaluation | None, tol: float) -> bool:
    """Return whether the current objective is lower than the best one by more than the tolerance."""
    return best is None or best.value - current.value > tol * objective.tolerance_scale(current.sums)


def _better(objective: Objective, current: Evaluation, best: Evaluation | None) -> Evaluation:
    """Return the evaluation with the lower objective; if they differ only by rounding, the later one."""
    rounding = ROUNDING * objective.tolerance_scale(current.sums)
    return current if best is None or current.value <= best.value + rounding else best
