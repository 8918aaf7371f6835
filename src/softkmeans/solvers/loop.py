"""The fit loop: evaluate the parameters in a pass, let the solver take a step, and repeat until converged.

Every fit in the library runs this loop.
"""

from __future__ import annotations

__all__ = ["BatchPasses", "FullPasses", "LoopResult", "OnPass", "Position", "evaluate", "minimize"]

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

MAX_RISE = 1e-8  # largest rise of the objective by a step that may be rounding, see `_converged_or_not`
ROUNDING = 1e-12  # values that differ by less, relative to the tolerance scale, are equal up to rounding


class Position(NamedTuple):
    """Where a run of the loop stands after a pass: all that is needed to continue it.

    Attributes
    ----------
    state : object
        State of the solver.
    current : Evaluation
        Evaluation of the pass.
    best : Evaluation
        The best evaluation so far.
    n_passes : int
        Number of passes so far.
    n_stalled : int
        Number of passes in a row without improvement.
    is_rejected : bool
        Whether the pass was a trial that did not lower the objective.
    """

    state: Any
    current: Evaluation
    best: Evaluation
    n_passes: int = 1
    n_stalled: int = 0
    is_rejected: bool = False

    @property
    def to_report(self) -> Evaluation:
        """The evaluation for callbacks: that of the pass, or the best one if the pass was a failed trial."""
        return self.best if self.is_rejected else self.current


# Called after a pass with the position and the number of rows; returns whether the loop must stop.
OnPass: TypeAlias = Callable[[Position, int], bool]


class LoopResult(NamedTuple):
    """Result of one run of the loop.

    Attributes
    ----------
    best : Evaluation
        The best parameters found, and the objective there.
    ending : {"converged", "diverged", "stalled", "stuck", "exhausted", "stopped", "interrupted"}
        Why the loop ended:

        - "converged": the objective no longer improves.
        - "diverged": a step that should lower the objective raised it, or led to NaN.
        - "stalled": the objective no longer improves, but the parameters do not solve the objective's equations.
        - "stuck": the objective no longer improves, but its gradient is not small.
        - "exhausted": ``max_iter`` passes were made.
        - "stopped": ``on_pass`` asked to stop.
        - "interrupted": the user pressed Ctrl-C.
    history : tuple of Step
        One record per pass. The loop leaves it empty; `fitting.monitor` fills it in.
    n_passes : int
        Number of passes that count toward ``max_iter``.
    """

    best: Evaluation
    ending: str
    history: tuple[Step, ...] = ()
    n_passes: int = 0

    @property
    def was_cut(self) -> bool:
        """True if a callback or the user stopped the run."""
        return self.ending in ("stopped", "interrupted")


def minimize(
    objective: Objective,
    source: Source,
    start: Params | Position,
    solver: Solver,
    *,
    max_iter: int,
    tol: float,
    on_pass: OnPass,
) -> LoopResult:
    """Minimize an objective from initial parameters, or continue an earlier run.

    Parameters
    ----------
    objective : Objective
        Objective to minimize.
    source : Source
        The rows, shifted and scaled.
    start : Params or Position
        Initial parameters; or where an earlier run stood, whose last pass is reported to ``on_pass`` again.
    solver : Solver
        Computes the next parameters from the statistics of a pass.
    max_iter : int
        Maximum number of passes. If it is reached, one extra pass evaluates the final parameters.
    tol : float
        A pass counts as an improvement if it lowers the objective by more than this times
        ``objective.tolerance_scale``.
    on_pass : callable
        Called after every pass with the position and the number of rows. If it returns True, the loop stops.

    Returns
    -------
    LoopResult
        The best parameters, and why the loop ended.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C before the end of the first pass. Later, Ctrl-C ends the loop, which returns the best so far.
    """
    passes = solver.passes

    def run_pass(state: Any, before: Position | None) -> Position:
        state, current = passes.run(solver, objective, source, _checked_state(solver, state))
        if before is None:
            return Position(state, current, current)
        return Position(
            state,
            current,
            best=passes.best(objective, current, before.best),
            n_passes=before.n_passes + 1,
            n_stalled=0 if _improves(objective, current, before.best, tol) else before.n_stalled + 1,
            is_rejected=state.is_trial and not current.value < before.best.value,
        )

    def reason_to_end(at: Position) -> str | None:
        if on_pass(at, source.n_rows):
            return "stopped"
        if at.n_stalled >= at.state.patience or objective.is_at_minimum(at.current.value, at.current.sums, tol):
            ending = _converged_or_not(solver, objective, at, tol)
            if ending != "stuck" or at.n_passes < max_iter:
                return ending
        return "exhausted" if at.n_passes >= max_iter else None

    at = start if isinstance(start, Position) else run_pass(solver.init(objective, start), None)
    try:
        while (ending := reason_to_end(at)) in (None, "stuck"):
            if ending is None:
                state = passes.step(solver, objective, at)
            else:
                state = solver.retry(objective, at.state, at.best.params)
                at = at._replace(n_stalled=-1)  # the next pass begins to count again
                if state is None:
                    break
            at = run_pass(state, at)
        best = at.best
        if ending == "exhausted":
            best = passes.last(objective, source, _checked_state(solver, passes.step(solver, objective, at)), best)
        return LoopResult(passes.final(objective, source, best), ending, n_passes=at.n_passes)
    except KeyboardInterrupt:
        return LoopResult(passes.final(objective, source, at.best), "interrupted", n_passes=at.n_passes)


def _checked_state(solver: Solver, state: Any) -> Any:
    """Return the state of a solver, or raise an InputError if the loop can't use it."""
    if not hasattr(state, "patience"):
        problem = f"returned a {type(state).__name__} as its state"
        hint = "return an object with params, is_trial and patience, such as PlainState(params)"
        raise InputError(problem, parameter="solver", value=solver, hint=hint)
    return state


def _converged_or_not(solver: Solver, objective: Objective, at: Position, tol: float) -> str:
    """Return how a run ends whose last passes brought no improvement."""
    rise = at.current.value - at.best.value
    is_final_step = at.state.patience == 1 and not at.state.is_trial  # such a step never raises the objective
    # Where clusters have almost no variance, the objective itself is only rounding of the spread of the data.
    best = at.best
    scale = max(objective.tolerance_scale(best.sums), float(best.sums.stats.n) * objective.scaling.variance)
    if math.isnan(rise) or (is_final_step and rise > max(tol, MAX_RISE) * scale):
        return "diverged"
    if solver.checks_gradient and not objective.is_stationary(best.params, best.sums, tol):
        return "stuck"
    return "converged" if objective.is_solution(best.params, best.sums) else "stalled"


def _improves(objective: Objective, current: Evaluation, best: Evaluation, tol: float) -> bool:
    """Return whether the current objective is lower than the best one by more than the tolerance."""
    return best.value - current.value > tol * objective.tolerance_scale(current.sums)


class FullPasses:
    """Evaluate one set of parameters in each pass over all rows, and let the solver step after it.

    Attributes
    ----------
    compares_params : bool
        Whether a pass evaluates one set of parameters on all rows, so that two passes can be compared.

    Examples
    --------
    >>> from softkmeans.solvers import SOLVERS
    >>> [name for name, solver in SOLVERS.items() if type(solver.passes) is FullPasses]
    ['auto', 'em', 'lbfgs', 'adam']
    """

    compares_params: bool = True

    def run(self, solver: Solver, objective: Objective, source: Source, state: Any) -> tuple[Any, Evaluation]:
        """Run a pass; return the solver's state, and the evaluation by which the loop measures progress."""
        return state, evaluate(objective, source, state.params)

    def best(self, objective: Objective, current: Evaluation, best: Evaluation) -> Evaluation:
        """Return the evaluation with the lower objective; if they differ only by rounding, the later one."""
        rounding = ROUNDING * objective.tolerance_scale(current.sums)
        return current if current.value <= best.value + rounding else best

    def step(self, solver: Solver, objective: Objective, at: Position) -> Any:
        """Return the state for the next pass."""
        return solver.step(objective, at.state, at.current.sums)

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

    compares_params = False

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

    def best(self, objective: Objective, current: Evaluation, best: Evaluation) -> Evaluation:
        """Return the evaluation of the last pass."""
        return current

    def step(self, solver: Solver, objective: Objective, at: Position) -> Any:
        """Return the state unchanged: the solver has stepped after every batch."""
        return at.state

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
