"""A descent and those who watch it."""

from __future__ import annotations

__all__ = ["CallbackList", "OnPass", "run_monitored"]

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..callbacks import Callback, Step
from ..model.params import Evaluation
from ..objectives import Objective
from ..solvers.loop import Run
from .results import make_result, make_step

OnPass: TypeAlias = Callable[
    [Evaluation, int], bool
]  # what a pass over so many rows found; whether that is to be the last


class CallbackList:
    """The callbacks of a fit. What the first to fail raises is kept until the fit has stopped.

    Parameters
    ----------
    callbacks : sequence of Callback
        Who is told.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks
        self.failure: Exception | None = None

    def tell(self, event: str, said: Any) -> bool:
        """Tell every callback; give whether one wants the fit to end, or failed."""
        answers = []
        for callback in self.callbacks:
            try:
                answers.append(getattr(callback, event)(said))
            except Exception as error:  # noqa: BLE001 -- raised again when the fit has stopped
                self.failure = self.failure or error
        return any(answers) or self.failure is not None


def run_monitored(
    goal: Objective,
    audience: CallbackList,
    restart: int,
    max_iter: int,
    descend: Callable[[OnPass], Run],
    history: tuple[Step, ...] = (),
) -> Run:
    """Run a descent, telling the callbacks of its passes; they go on from those there were already."""
    steps = list(history)

    def tell(found: Evaluation, n_rows: int) -> bool:
        steps.append(make_step(goal, len(steps) + 1, found, restart, n_rows))
        centers = goal.scaling.inverse_transform(found.params.centers).clone() if audience.callbacks else None
        return audience.failure is not None or audience.tell("on_step", steps[-1]._replace(centers=centers))

    try:
        audience.tell("on_fit_begin", max_iter)
        run = descend(tell)
    except BaseException:  # nothing was found, but what callbacks have opened is to be closed
        audience.tell("on_fit_end", None)
        raise
    run = run._replace(history=tuple(steps))
    audience.tell("on_fit_end", make_result(run, goal, in_given_order=True))
    return run
