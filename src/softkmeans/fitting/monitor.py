"""Run one restart, and call the callbacks after every pass."""

from __future__ import annotations

__all__ = ["CallbackList", "OnPass", "run_monitored"]

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..callbacks import Callback, Step
from ..model.params import Evaluation
from ..objectives import Objective
from ..solvers.loop import LoopResult
from .results import make_result, make_step

# Called after a pass with its evaluation and its number of rows; returns whether the fit must stop.
OnPass: TypeAlias = Callable[[Evaluation, int], bool]


class CallbackList:
    """The callbacks of a fit; ``failure`` holds the first exception that one of them raised, if any.

    Parameters
    ----------
    callbacks : sequence of Callback
        The callbacks, in the order in which they are called.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks
        self.failure: Exception | None = None

    def call(self, event: str, argument: Any) -> bool:
        """Call a method of every callback; return whether one asked to stop, or one has failed."""
        answers = []
        for callback in self.callbacks:
            try:
                answers.append(getattr(callback, event)(argument))
            except Exception as error:  # noqa: BLE001 -- raised again when the fit has stopped
                self.failure = self.failure or error
        return any(answers) or self.failure is not None


def run_monitored(
    goal: Objective,
    callbacks: CallbackList,
    restart: int,
    max_iter: int,
    run: Callable[[OnPass], LoopResult],
    history: tuple[Step, ...] = (),
) -> LoopResult:
    """Run one restart; record every pass and call the callbacks after it.

    Parameters
    ----------
    goal : Objective
        Objective of the fit.
    callbacks : CallbackList
        The callbacks.
    restart : int
        Number of the restart, from 0.
    max_iter : int
        Maximum number of passes over all rows, for the callbacks.
    run : callable
        Runs the restart. It takes the function to call after every pass.
    history : tuple of Step
        Passes of an earlier run that this restart continues.

    Returns
    -------
    LoopResult
        The result of ``run``, with the history of all passes.
    """
    steps = list(history)

    def on_pass(evaluation: Evaluation, n_rows: int) -> bool:
        steps.append(make_step(goal, len(steps) + 1, evaluation, restart, n_rows))
        centers = goal.scaling.inverse_transform(evaluation.params.centers).clone() if callbacks.callbacks else None
        return callbacks.failure is not None or callbacks.call("on_step", steps[-1]._replace(centers=centers))

    try:
        callbacks.call("on_fit_begin", max_iter)
        result = run(on_pass)
    except BaseException:  # there is no result, but callbacks may have resources to release
        callbacks.call("on_fit_end", None)
        raise
    result = result._replace(history=tuple(steps))
    callbacks.call("on_fit_end", make_result(result, goal, in_given_order=True))
    return result
