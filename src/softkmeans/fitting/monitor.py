"""Record every pass of a fit, and call the callbacks after it."""

from __future__ import annotations

__all__ = ["Monitor", "verbose_callbacks"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..callbacks import Callback, LossPrinter, ProgressBar, Step
from ..errors import CallbackError
from ..model.params import Evaluation
from ..solvers.loop import LoopResult
from .results import Result, best_of, make_result, make_step

if TYPE_CHECKING:
    from .fit import Problem


class Monitor:
    """The runs of a fit, one for each restart and one for the local search, with callbacks and history.

    Parameters
    ----------
    problem : Problem
        The fit.
    callbacks : sequence of Callback
        The callbacks, in the order in which they are called.

    Attributes
    ----------
    runs : list of LoopResult
        The finished runs.
    """

    def __init__(self, problem: Problem, callbacks: Sequence[Callback]) -> None:
        self.problem, self.callbacks = problem, callbacks
        self.runs = list[LoopResult]()
        self._failure: Exception | None = None  # the first exception that a callback raised
        self._steps = list[Step]()
        self._restart = 0
        self._run: LoopResult

    @contextmanager
    def restart(self, number: int, history: tuple[Step, ...] = ()) -> Iterator[None]:
        """Call the callbacks at the start and at the end of a run, which must be passed to `record`.

        ``history`` holds the passes of an earlier run that this run continues.

        Raises
        ------
        CallbackError
            If a callback raised an exception.
        KeyboardInterrupt
            If the run was interrupted.
        """
        self._steps, self._restart, self._failure = list(history), number, None
        try:
            self._call("on_fit_begin", self.problem.settings.max_iter)
            yield
        except BaseException:  # there is no result, but callbacks may have resources to release
            self._call("on_fit_end", None)
            raise
        run = self._run._replace(history=tuple(self._steps))
        self._call("on_fit_end", make_result(run, self.problem.objective, in_given_order=True))
        self.runs.append(run)
        if self._failure is not None:
            raise CallbackError(self.result()) from self._failure
        if run.ending == "interrupted":
            raise KeyboardInterrupt

    def on_pass(self, evaluation: Evaluation, n_rows: int) -> bool:
        """Record a pass and call the callbacks; return whether the fit must stop."""
        objective = self.problem.objective
        self._steps.append(make_step(objective, len(self._steps) + 1, evaluation, self._restart, n_rows))
        centers = objective.scaling.inverse_transform(evaluation.params.centers).clone() if self.callbacks else None
        return self._failure is not None or self._call("on_step", self._steps[-1]._replace(centers=centers))

    def record(self, run: LoopResult) -> None:
        """Store the result of the current run."""
        self._run = run

    @property
    def best(self) -> LoopResult:
        """The best run so far."""
        return best_of(self.runs, self.problem.objective)

    def result(self) -> Result:
        """Return the result of the best run so far, in the data's units."""
        problem, n_init = self.problem, self.problem.settings.n_init
        return make_result(
            self.best, problem.objective, in_given_order=problem.in_given_order, restarts=self.runs[:n_init]
        )

    def _call(self, event: str, argument: Any) -> bool:
        """Call a method of every callback; return whether one asked to stop, or one has failed."""
        answers = []
        for callback in self.callbacks:
            try:
                answers.append(getattr(callback, event)(argument))
            except Exception as error:  # noqa: BLE001 -- raised again when the run has ended
                self._failure = self._failure or error
        return any(answers) or self._failure is not None


def verbose_callbacks(verbose: int) -> list[Callback]:
    """Return the callbacks that a value of ``verbose`` stands for: 1 shows a progress bar, 2 prints losses."""
    if verbose == 1:
        return [ProgressBar()]
    return [LossPrinter()] if verbose > 1 else []
