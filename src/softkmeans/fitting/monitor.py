"""Record every pass of a fit, call the callbacks after it, and store where the fit stands."""

from __future__ import annotations

__all__ = ["Monitor", "verbose_callbacks"]

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..callbacks import Callback, LossPrinter, ProgressBar, Step
from ..checkpoint.encoding import Encoded
from ..checkpoint.resume import NoCheckpoints
from ..errors import CallbackError
from ..model.params import Evaluation
from ..solvers.loop import LoopResult, Position
from .position import FitPosition, Phase, decode_position, encode_position
from .results import Result, best_of, make_result, make_step, outcome

if TYPE_CHECKING:
    from .fit import Problem


class Monitor:
    """The runs of a fit, one for each restart and one for the local search, with callbacks, history and checkpoints.

    Parameters
    ----------
    problem : Problem
        The fit.
    checkpoints : NoCheckpoints or Checkpoints
        The checkpoints of the fit, and its callbacks, in the order in which they are called.

    Attributes
    ----------
    resumed : FitPosition or None
        Where the run stood that is resumed.
    """

    def __init__(self, problem: Problem, checkpoints: NoCheckpoints) -> None:
        self.problem, self.checkpoints = problem, checkpoints
        encoded = checkpoints.position
        self.resumed = None if encoded is None else decode_position(encoded, checkpoints.history, problem)
        self._best = None if self.resumed is None else self.resumed.best
        self._outcomes = [] if self.resumed is None else list(self.resumed.outcomes)
        self._to_replay = () if self.resumed is None else self.resumed.steps  # passes of the run that is resumed
        self._failure: Exception | None = None  # the first exception that a callback raised
        self._steps = list[Step]()
        self._n_continued = 0  # passes of an earlier run that the current run continues
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
        self._steps, self._n_continued, self._restart, self._failure = list(history), len(history), number, None
        try:
            self._call("on_fit_begin", self.problem.settings.max_iter)
            yield
        except BaseException:  # there is no result, but callbacks may have resources to release
            self._call("on_fit_end", None)
            raise
        run = self._run._replace(history=tuple(self._steps))
        if self.checkpoints.callbacks:
            self._call("on_fit_end", make_result(run, self.problem.objective, in_given_order=True))
        self._best = run if self._best is None else best_of([self._best, run], self.problem.objective)
        if len(self._outcomes) == number:
            self._outcomes.append(outcome(run, self.problem.objective))
        if self._failure is not None:
            raise CallbackError(self.result()) from self._failure
        if run.ending == "interrupted":
            raise KeyboardInterrupt

    @property
    def has_result(self) -> bool:
        """True if a run has ended."""
        return self._best is not None

    @property
    def best(self) -> LoopResult:
        """The best run so far."""
        assert self._best is not None  # noqa: S101 -- for mypy: a run has ended
        return self._best

    @property
    def has_ended(self) -> bool:
        """True if the fit that is resumed has ended."""
        return self.resumed is not None and self.resumed.phase is None

    def resumed_in(self, phase: type[Phase]) -> FitPosition | None:
        """Return where the fit stood if it was in such a phase, else None."""
        return self.resumed if self.resumed is not None and isinstance(self.resumed.phase, phase) else None

    def replay_best(self) -> None:
        """Call the callbacks for the best run, if it ended before the fit was resumed."""
        if self.has_result:
            with self.restart(self.best.history[0].restart, self.best.history):
                self._replay(self.best.history)
                self.record(self.best)

    def on_pass(
        self, position: Position, n_rows: int, *, phase: Phase | None = None, evaluation: Evaluation | None = None
    ) -> bool:
        """Record a pass, write a checkpoint if one is due, and call the callbacks; return whether the fit must stop.

        Parameters
        ----------
        position : Position
            Where the loop stands.
        n_rows : int
            Number of rows in the pass.
        phase : Phase or None
            What the fit is doing; None if no checkpoint must be written.
        evaluation : Evaluation, optional
            What callbacks see, if it is not the evaluation of the pass.
        """
        objective, evaluation = self.problem.objective, evaluation or position.to_report
        earlier, self._to_replay = self._to_replay[:-1], ()  # the last one is this pass
        self._steps += earlier
        self._steps.append(make_step(objective, len(self._steps) + 1, evaluation, self._restart, n_rows))
        self.checkpoints.save(self._steps[-1], None if phase is None else self._encoder(position, phase))
        if self._failure is not None:
            return True
        if not self.checkpoints.callbacks:
            return False
        centers = objective.scaling.inverse_transform(evaluation.params.centers).clone()
        return self._replay(earlier) | self._call("on_step", self._steps[-1]._replace(centers=centers))

    def record(self, run: LoopResult) -> None:
        """Store the result of the current run."""
        self._run = run

    def result(self) -> Result:
        """Return the result of the best run so far, in the data's units."""
        return make_result(
            self.best, self.problem.objective, in_given_order=self.problem.in_given_order, outcomes=self._outcomes
        )

    def finish(self) -> Result:
        """Return the result of the fit. A run that was cut is not final: a resumed fit may continue it."""
        if not (self.has_ended or self._run.was_cut):
            end = FitPosition(tuple(self._outcomes), self._best)
            self.checkpoints.save(None, lambda: encode_position(end, self.problem))
        return self.result()

    def _encoder(self, position: Position, phase: Phase) -> Callable[[], Encoded]:
        """Return a function that encodes where the fit stands now, also if it is called after later passes."""
        outcomes, best = tuple(self._outcomes), self._best
        steps, own = self._steps, slice(self._n_continued, len(self._steps))
        return lambda: encode_position(FitPosition(outcomes, best, tuple(steps[own]), phase, position), self.problem)

    def _replay(self, steps: Sequence[Step]) -> bool:
        """Call the callbacks for passes of the run that is resumed; return whether the fit must stop."""
        answers = [self._call("on_step", step) for step in steps]  # all callbacks see all passes
        return any(answers)

    def _call(self, event: str, argument: Any) -> bool:
        """Call a method of every callback; return whether one asked to stop, or one has failed."""
        answers = []
        for callback in self.checkpoints.callbacks:
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
