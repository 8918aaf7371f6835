"""The fit loop: evaluate the parameters in a pass, let the solver take a step, and repeat until converged.

Every fit in the library runs this loop.
"""

from __future__ import annotations

__all__ = ["BatchPasses", "FullPasses", "LoopResult", "OnPass", "evaluate", "minimize"]

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..callbacks import Step
from ..data.source import Source
from ..errors import InputError
from ..model.params import Evaluation, Params
from ..objectives import Objective

if TYPE_CHECKING:
    from .base import Solver

MAX_RISE = 1e-8  # largest rise of the objective by a step that may be rounding, see `_ending`
ROUNDING = 1e-12  # values that differ by less, relative to the tolerance scale, are equal up to rounding

# Called after a pass with its evaluation and its number of rows; returns whether the loop must stop.
OnPass: TypeAlias = Callable[[Evaluation, int], bool]


class LoopResult(NamedTuple):
    """Result of one run of the loop.

    Attributes
    ----------
    best : Evaluation
        The best parameters found, and the objective there.
    ending : {"converged", "diverged", "stalled", "exhausted", "stopped", "interrupted"}
        Why the loop ended:

        - "converged": the objective no longer improves.
        - "diverged": a step that should lower the objective raised it, or led to NaN.
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
        """True if a callback or the user stopped the run."""
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
    state, passes = _checked_state(solver, solver.init(objective, start)), solver.passes
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
                ending = _ending(objective, state, current, best, tol)
                break
            state = _checked_state(solver, passes.step(solver, objective, state, current))
        else:
            assert best is not None  # noqa: S101 -- for mypy: there was a pass
            best = passes.last(objective, source, state, best)
        return LoopResult(passes.final(objective, source, best), ending)
    except KeyboardInterrupt:
        if best is None:
            raise
        return LoopResult(passes.final(objective, source, best), "interrupted")


def _checked_state(solver: Solver, state: Any) -> Any:
    """Return the state of a solver, or raise an InputError if the loop can't use it."""
    if not hasattr(state, "patience"):
        problem = f"returned a {type(state).__name__} as its state"
        hint = "return an object with params, is_trial and patience, such as PlainState(params)"
        raise InputError(problem, parameter="solver", value=solver, hint=hint)
    return state


def _ending(objective: Objective, state: Any, current: Evaluation, best: Evaluation, tol: float) -> str:
    """Return how a run ends whose last passes brought no improvement."""
    rise = current.value - best.value
    is_final_step = state.patience == 1 and not state.is_trial  # such a step never raises the objective
    # Where clusters have almost no variance, the objective itself is only rounding of the spread of the data.
    scale = max(objective.tolerance_scale(best.sums), float(best.sums.stats.n) * objective.scaling.variance)
    if math.isnan(rise) or (is_final_step and rise > max(tol, MAX_RISE) * scale):
        return "diverged"
    return "converged" if objective.is_solution(best.params, best.sums) else "stalled"


def _improves(objective: Objective, current: Evaluation, best: Evaluation | None, tol: float) -> bool:
    """Return whether the current objective is lower than the best one by more than the tolerance."""
    return best is None or best.value - current.value > tol * objective.tolerance_scale(current.sums)


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
