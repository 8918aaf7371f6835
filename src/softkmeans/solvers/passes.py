"""How a solver goes through the rows: one step after every pass, or one after every batch of rows."""

from __future__ import annotations

__all__ = ["BatchPasses", "FullPasses", "evaluate"]

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..data.source import Source
from ..model.params import Evaluation, Params
from ..objectives import Objective

if TYPE_CHECKING:
    from .base import Solver

ROUNDING = 1e-12  # values that differ by less, relative to the tolerance scale, are equal up to rounding


class FullPasses:
    """Evaluate one set of parameters in each pass over all rows, and let the solver step after it.

    Examples
    --------
    >>> from softkmeans.solvers import SOLVERS
    >>> [name for name, solver in SOLVERS.items() if type(solver.passes) is FullPasses]
    ['auto', 'em', 'lbfgs', 'adam']
    """

    def run(self, solver: Solver, objective: Objective, source: Source, state: Any) -> tuple[Any, Evaluation]:
        """Run a pass; return the solver's state, and the evaluation by which the loop measures progress."""
        return state, evaluate(objective, source, state.params)

    def best(self, objective: Objective, current: Evaluation, best: Evaluation | None) -> Evaluation:
        """Return the evaluation with the lower objective; if they differ only by rounding, the later one."""
        rounding = ROUNDING * objective.tolerance_scale(current.sums)
        return current if best is None or current.value <= best.value + rounding else best

    def step(self, solver: Solver, objective: Objective, state: Any, current: Evaluation) -> Any:
        """Return the state for the next pass."""
        return solver.step(objective, state, current.sums)

    def last(self, objective: Objective, source: Source, state: Any, best: Evaluation) -> Evaluation:
        """Return the best evaluation if no pass is left: the parameters of the last step are not evaluated yet."""
        return self.best(objective, evaluate(objective, source, state.params), best)

    def final(self, objective: Objective, source: Source, best: Evaluation) -> Evaluation:
        """Return the evaluation of the best parameters on all rows."""
        return best


class BatchPasses(FullPasses):
    """Let the solver step after every batch of rows.

    The evaluation of a pass adds up those of its batches, each at the parameters that were current then. It belongs to
    no single set of parameters, so the last one counts as the best, and the final parameters are evaluated again.

    Examples
    --------
    >>> from softkmeans.solvers import SOLVERS
    >>> [name for name, solver in SOLVERS.items() if type(solver.passes) is BatchPasses]
    ['online']
    """

    def run(self, solver: Solver, objective: Objective, source: Source, state: Any) -> tuple[Any, Evaluation]:
        """Run a pass with a step after every batch; the evaluation holds the parameters at the end of the pass."""
        return self.run_batches(solver, objective, source.batches(), state)

    def run_batches(
        self, solver: Solver, objective: Objective, batches: Iterable[Source], state: Any
    ) -> tuple[Any, Evaluation]:
        """Run a pass over some batches."""
        value, sums = 0.0, None
        for batch in batches:
            current = evaluate(objective, batch, state.params)
            value += current.value
            sums = current.sums if sums is None else sums + current.sums
            state = solver.step(objective, state, current.sums)
        assert sums is not None  # noqa: S101 -- for mypy: there is at least one batch
        state, params = solver.finish_pass(objective, state)
        return state, Evaluation(params, sums, value)

    def best(self, objective: Objective, current: Evaluation, best: Evaluation | None) -> Evaluation:
        """Return the evaluation of the last pass."""
        return current

    def step(self, solver: Solver, objective: Objective, state: Any, current: Evaluation) -> Any:
        """Return the state unchanged: the solver has stepped after every batch."""
        return state

    def last(self, objective: Objective, source: Source, state: Any, best: Evaluation) -> Evaluation:
        """Return the evaluation of the last pass."""
        return best

    def final(self, objective: Objective, source: Source, best: Evaluation) -> Evaluation:
        """Return the evaluation of the best parameters on all rows."""
        return evaluate(objective, source, best.params)


def evaluate(objective: Objective, source: Source, params: Params) -> Evaluation:
    """Compute the objective and its statistics at given parameters, in one pass over the rows."""
    sums = source.sum(lambda block: objective.accumulate(block, params))
    return Evaluation(params, sums, objective.value(params, sums))
