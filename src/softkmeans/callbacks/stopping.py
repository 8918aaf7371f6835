"""Callbacks that stop a fit: when the loss no longer falls, or after some time."""

from __future__ import annotations

__all__ = ["EarlyStopping", "TimeLimit"]

from time import monotonic

from .._utils.checks import check_count, check_not_negative, check_positive
from .base import Callback, Step


class EarlyStopping(Callback):
    """Stop a restart when the loss no longer decreases.

    The parameter ``tol`` of a fit suits objectives that decrease steadily. Early stopping tolerates some passes without
    improvement, which are common with Adam. Improvements are relative to the total decrease since the first pass. They
    cannot be relative to the loss itself: the free energy crosses zero, and the negative log-likelihood depends on the
    data's units. The decrease is measured separately for each restart, each sample of ``growing_sample`` and each
    temperature of a ``Schedule``.

    Parameters
    ----------
    patience : int, default=5
        Stop after this many consecutive passes without improvement.
    min_delta : float, default=1e-4
        Minimum improvement: a pass must lower the best loss by more than ``min_delta`` times the total decrease before.

    Raises
    ------
    InputError
        If ``patience`` is not an integer of at least 1, or ``min_delta`` not a finite number of at least 0.

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
        """Reset the state."""
        self._first = None

    def on_step(self, step: Step) -> bool:
        """Return whether ``patience`` passes in a row have brought no improvement."""
        if self._first is None or not self._is_comparable(step):
            self._first = self._last = step
            self._best, self._n_without_improvement = step.mean, 0
            return False
        self._last = step
        decrease = self._first.mean - self._best
        if self._best - step.mean > self.min_delta * decrease:
            self._best, self._n_without_improvement = step.mean, 0
        else:
            self._n_without_improvement += 1
        return self._n_without_improvement >= self.patience

    def _is_comparable(self, step: Step) -> bool:
        """Return whether the loss can be compared with the previous one.

        It cannot if the rows have changed, or if T has changed and the loss has risen.
        """
        changed = abs(step.temperature - self._last.temperature) > 0.01 * self._last.temperature
        return step.n_rows == self._last.n_rows and not (changed and step.mean > self._last.mean)


class TimeLimit(Callback):
    """Stop a fit after a given time.

    The limit applies to all restarts together. A pass is never interrupted. Restarts that have not begun when the time
    is up make one pass each.

    Parameters
    ----------
    seconds : float
        Time limit in seconds.

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
        self._restart_time = self._fit_time = monotonic()

    def on_fit_begin(self, max_iter: int) -> None:
        """Record the time at which the restart begins."""
        self._restart_time = monotonic()

    def on_step(self, step: Step) -> bool:
        """Return whether the time is up."""
        if (step.restart, step.n_iter) == (0, 1):  # the time counts from the first restart of a fit
            self._fit_time = self._restart_time
        return monotonic() - self._fit_time >= self.seconds
