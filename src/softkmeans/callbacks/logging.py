"""The loss in lines of text, printed or logged."""

from __future__ import annotations

__all__ = ["LossLogger", "LossPrinter"]

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from .._utils.checks import check_count, check_positive
from ..errors import InputError
from .base import Callback, Step


class LossPrinter(Callback):
    """Print the loss at regular intervals.

    Parameters
    ----------
    every : int, default=10
        Passes between two lines; the first pass and the last one are always printed.
    write : callable, default=print
        Takes a line of text.

    Raises
    ------
    InputError
        If ``every`` is not a whole number of 1 or more.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = SoftKMeans(1, init=[[0.0]], temperature=1.0, callbacks=[LossPrinter()]).fit([[0.0], [1.0], [2.0]])
    step     1   loss 1.666667
    step     3   loss 0.666667
    """

    def __init__(self, every: int = 10, write: Callable[[str], object] = print) -> None:
        check_count("every", every)
        self.every, self.write = every, write
        self._last: Step | None = None

    def on_resume(self, n_passes: int) -> None:
        """Print where the fit goes on."""
        self.write(f"resumed at step {n_passes}" if n_passes else "no checkpoint yet: starting afresh")

    def on_fit_begin(self, max_iter: int) -> None:
        """Forget the fit before."""
        self._last = None

    def on_step(self, step: Step) -> None:
        """Print every few passes."""
        self._last = step
        if step.n_iter == 1 or step.n_iter % self.every == 0:
            self._print(step)

    def on_fit_end(self, result: Any) -> None:
        """Print the last pass."""
        if self._last is not None and self._last.n_iter != 1 and self._last.n_iter % self.every:
            self._print(self._last)

    def _print(self, step: Step) -> None:
        self.write(f"step {step.n_iter:5d}   loss {step.mean:.6f}")


class LossLogger(Callback):
    """Log the loss at intervals, and the fit's begin and end, through the standard library's ``logging``.

    Which lines are seen, and where, is up to the program: no handler is added and no level set here. Python shows
    none below WARNING until told to, by ``logging.basicConfig(level=logging.INFO)``, say.

    Parameters
    ----------
    every : int, optional
        Passes between two lines; 10 if ``seconds`` isn't given either.
    seconds : float, optional
        Seconds between two lines, at least. With both, a pass is logged if either asks for it.
    logger : str, Logger or LoggerAdapter, default="softkmeans"
        Where lines go, or its name.
    level : int, default=logging.INFO
        Level of the lines.

    Raises
    ------
    InputError
        If a parameter can't be used.

    Examples
    --------
    >>> import logging, sys
    >>> from softkmeans import SoftKMeans
    >>> logger = logging.getLogger("clusters")
    >>> logger.setLevel(logging.INFO)
    >>> logger.addHandler(logging.StreamHandler(sys.stdout))
    >>> watch = LossLogger(every=1, logger=logger)
    >>> model = SoftKMeans(1, init=[[0.0]], temperature=1.0, callbacks=[watch]).fit([[0.0], [1.0], [2.0]])
    fit begins, of at most 300 passes
    restart 0, pass 1: loss 1.6666667, temperature 1
    restart 0, pass 2: loss 0.66666667, temperature 1
    restart 0, pass 3: loss 0.66666667, temperature 1
    fit ends after 3 passes, converged: objective 2
    """

    def __init__(
        self,
        every: int | None = None,
        seconds: float | None = None,
        logger: str | logging.Logger | logging.LoggerAdapter[Any] = "softkmeans",
        level: int = logging.INFO,
    ) -> None:
        if every is not None:
            check_count("every", every)
        if seconds is not None:
            check_positive("seconds", seconds)
        if not isinstance(logger, str | logging.Logger | logging.LoggerAdapter):
            raise InputError(f"logger={logger!r}: give a logger of the logging module, or its name")
        check_count("level", level)
        self.every = 10 if every is None and seconds is None else every
        self.seconds, self.logger, self.level = seconds, logger, level

    def on_resume(self, n_passes: int) -> None:
        """Log where the fit goes on."""
        self._log("resumed at pass %d" if n_passes else "no checkpoint yet (%d passes): starting afresh", n_passes)

    def on_fit_begin(self, max_iter: int) -> None:
        """Log how long it may last."""
        self._log("fit begins, of at most %d passes", max_iter)

    def on_step(self, step: Step) -> None:
        """Log the pass if it is time."""
        if self._is_due(step):
            text, figures = "restart %d, pass %d: loss %.8g", (step.restart, step.n_iter, step.mean)
            if step.temperature != step.temperature:  # NaN, where there is none; nothing is formatted here
                self._log(text, *figures)
            else:
                self._log(text + ", temperature %.6g", *figures, step.temperature)

    def on_fit_end(self, result: Any) -> None:
        """Log how it ended."""
        if result is None:
            self._log("fit ends without a result")
        else:
            ending = "converged" if result.converged else "not converged"
            self._log("fit ends after %d passes, %s: objective %.8g", result.n_iter, ending, result.objective)

    def _is_due(self, step: Step) -> bool:
        by_number = self.every is not None and step.n_iter % self.every == 0
        return by_number or (self.seconds is not None and monotonic() - self._logged >= self.seconds)

    def _log(self, text: str, *figures: object) -> None:
        self._logged = monotonic()
        logger = logging.getLogger(self.logger) if isinstance(self.logger, str) else self.logger
        logger.log(self.level, text, *figures)  # which puts text and figures together only if somebody listens
