"""THE loop: pass over the data and step, until nothing improves. Every fit in the library is one of these."""

from __future__ import annotations

__all__ = ["Run", "evaluate", "minimize", "run_batches"]

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..callbacks import Step
from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective
from . import Solver


class Run(NamedTuple):
    """One descent: the best point found, and how it ended.

    "converged"; "stalled", where nothing improves though what was looked for is not reached; "exhausted", "stopped" or
    "interrupted".
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
) -> Run:
    """Evaluate, remember the best, stop or step. Interrupted, it keeps the best so far."""

    def ended(best: Evaluation, how: str) -> Run:
        # What a pass by batches finds is found at many points; one more says what the last of them is worth.
        return Run(evaluate(objective, source, best.params) if solver.by_batches else best, how)

    state, best, stalled = solver.init(objective, start), None, 0
    try:
        for n_iter in range(1, max_iter + 1):
            if solver.by_batches:
                state, found = run_batches(objective, source.batches(), solver, state)
            else:
                found = evaluate(objective, source, state.params)
            stalled = 0 if _improves(objective, found, best, tol) else stalled + 1
            in_vain = state.guess and best is not None and not found.value < best.value
            best = found if solver.by_batches else _better(objective, found, best)
            if on_step(n_iter, best if in_vain else found):
                return ended(best, "stopped")
            if stalled >= state.patience or objective.is_met(found.value, found.sums, tol):
                reached = objective.is_reached(best.params, best.sums)
                return ended(best, "converged" if reached else "stalled")
            if not solver.by_batches:
                state = solver.step(objective, state, found.sums)
        if solver.by_batches and best is not None:
            return ended(best, "exhausted")
        last = evaluate(objective, source, state.params)  # where the last step led
        return Run(_better(objective, last, best), "exhausted")
    except KeyboardInterrupt:
        if best is None:
            raise
        return ended(best, "interrupted")


def evaluate(objective: Objective, source: Source, params: Params) -> Evaluation:
    """Make a pass: what all rows find at a point."""
    sums = source.sum(lambda block: objective.accumulate(block, params))
    return Evaluation(params, sums, objective.value(params, sums))


def run_batches(objective: Objective, batches: Iterable[Source], solver: Solver, state: Any) -> tuple[Any, Evaluation]:
    """Step after every batch: the state then, where it leads, and what rows found in all, each where it was met."""
    value, sums = 0.0, None
    for batch in batches:
        found = evaluate(objective, batch, state.params)
        value, sums = value + found.value, found.sums if sums is None else sums + found.sums
        state = solver.step(objective, state, found.sums)
    assert sums is not None  # noqa: S101 -- for mypy: there are rows
    state, params = solver.settle(objective, state)
    return state, Evaluation(params, sums, value)


def _improves(objective: Objective, found: Evaluation, best: Evaluation | None, tol: float) -> bool:
    return best is None or best.value - found.value > tol * objective.tolerance_scale(found.sums)


def _better(objective: Objective, found: Evaluation, best: Evaluation | None) -> Evaluation:
    """Keep the lower of two points; the later one, being more finished, where only rounding tells them apart."""
    rounding = 1e-12 * objective.tolerance_scale(found.sums)
    return found if best is None or found.value <= best.value + rounding else best
