"""Reasons to stop before a fit's own."""

from __future__ import annotations

__all__ = ["EarlyStopping", "TimeLimit"]

from time import monotonic

from .._utils.checks import check_count, check_positive
from .base import Callback, Step, check_not_negative


class EarlyStopping(Callback):
    """Stop when the loss has ceased to fall.

    A fit's own ``tol`` suits objectives that fall steadily. This has patience, for Adam's ups and downs, and measures
    by what was gained since the first pass: F crosses zero and NLL shifts with the data's units, so that neither means
    anything relative to itself. Each restart is judged on its own, and so is each sample of ``growing_sample`` and each
    temperature of a ``Schedule``.

    Parameters
    ----------
    patience : int, default=5
        So many passes in a row that bring nothing end the fit.
    min_delta : float, default=1e-4
        A pass brings something if it lowers the best loss by more than this, relative to all that was gained before.

    Raises
    ------
    InputError
        If ``patience`` is not a whole number of 1 or more, or ``min_delta`` not a finite number of 0 or more.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = SoftKMeans(2, solver="adam", tol=0, callbacks=[EarlyStopping(patience=3)], random_state=0)
    >>> model.fit([[0.0], [0.1], [0.9], [1.2]]).n_iter_ < model.max_iter
    True
    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.on_step(Step(i, loss, loss, 1.0, 1.0)) for i, loss in enumerate([9.0, 4.0, 4.1, 4.0], start=1)]
    [False, False, False, True]
    """

    def __init__(self, patience: int = 5, min_delta: float = 1e-4) -> None:
        check_count("patience", patience)
        check_not_negative("min_delta", min_delta)
        self.patience, self.min_delta = patience, min_delta
        self._first: Step | None = None
        self._last: Step

    def on_fit_begin(self, max_iter: int) -> None:
        """Forget the fit before."""
        self._first = None

    def on_step(self, step: Step) -> bool:
        """Ask to stop once patience is spent."""
        if self._first is None or self._is_another(step):
            self._first = self._last = step
            self._best, self._waited = step.mean, 0
            return False
        self._last = step
        gained = self._first.mean - self._best
        improved = self._best - step.mean > self.min_delta * gained
        self._best, self._waited = (step.mean, 0) if improved else (self._best, self._waited + 1)
        return self._waited >= self.patience

    def _is_another(self, step: Step) -> bool:
        """Whether losses do not compare: those of other rows, or of a T whose change has made the loss rise."""
        changed = abs(step.temperature - self._last.temperature) > 0.01 * self._last.temperature
        return step.n_rows != self._last.n_rows or (changed and step.mean > self._last.mean)


class TimeLimit(Callback):
    """Stop a fit after some time.

    The time is that of all restarts together. A pass is never broken off, and restarts that are still to come when
    time is up make one pass each.

    Parameters
    ----------
    seconds : float
        How long.

    Raises
    ------
    InputError
        If ``seconds`` is not a finite number above 0.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = SoftKMeans(2, callbacks=[TimeLimit(60)], random_state=0).fit([[0.0], [0.1], [0.9], [1.2]])
    """

    def __init__(self, seconds: float) -> None:
        check_positive("seconds", seconds)
        self.seconds = seconds
        self._begun = self._started = monotonic()

    def on_fit_begin(self, max_iter: int) -> None:
        """Look at the clock."""
        self._begun = monotonic()

    def on_step(self, step: Step) -> bool:
        """Ask to stop once time is up."""
        if (step.restart, step.n_iter) == (0, 1):  # later restarts go on with the clock of the first
            self._started = self._begun
        return monotonic() - self._started >= self.seconds
