"""Callbacks that print or log the loss."""

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
        Number of passes between two lines; the first and the last pass are always printed.
    write : callable, default=print
        Function that is called with each line of text.

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
        """Print the pass from which the fit resumes."""
        self.write(f"resumed at step {n_passes}" if n_passes else "no checkpoint yet: starting from the beginning")

    def on_fit_begin(self, max_iter: int) -> None:
        """Reset the state."""
        self._last = None

    def on_step(self, step: Step) -> None:
        """Print the loss every ``every`` passes."""
        self._last = step
        if step.n_iter == 1 or step.n_iter % self.every == 0:
            self._print(step)

    def on_fit_end(self, result: Any) -> None:
        """Print the loss of the last pass."""
        if self._last is not None and self._last.n_iter != 1 and self._last.n_iter % self.every:
            self._print(self._last)

    def _print(self, step: Step) -> None:
        self.write(f"step {step.n_iter:5d}   loss {step.mean:.6f}")


class LossLogger(Callback):
    """Log the start and end of a fit, and the loss at intervals, with the standard library's ``logging``.

    The program decides which messages are shown, and where: this class adds no handler and sets no level. By default,
    Python shows no messages below WARNING; ``logging.basicConfig(level=logging.INFO)`` shows them.

    Parameters
    ----------
    every : int, optional
        Number of passes between two messages. Default is 10, unless ``seconds`` is given.
    seconds : float, optional
        Minimum number of seconds between two messages. With both, a pass is logged if either condition holds.
    logger : str, Logger or LoggerAdapter, default="softkmeans"
        The logger, or its name.
    level : int, default=logging.INFO
        Level of the messages.

    Raises
    ------
    InputError
        If a parameter is invalid.

    Examples
    --------
    >>> import logging, sys
    >>> from softkmeans import SoftKMeans
    >>> logger = logging.getLogger("clusters")
    >>> logger.setLevel(logging.INFO)
    >>> logger.addHandler(logging.StreamHandler(sys.stdout))
    >>> loss_logger = LossLogger(every=1, logger=logger)
    >>> model = SoftKMeans(1, init=[[0.0]], temperature=1.0, callbacks=[loss_logger]).fit([[0.0], [1.0], [2.0]])
    fit begins (at most 300 passes)
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
            expected = "a logger of the logging module, or its name"
            raise InputError(parameter="logger", value=logger, expected=expected)
        check_count("level", level)
        self.every = 10 if every is None and seconds is None else every
        self.seconds, self.logger, self.level = seconds, logger, level

    def on_resume(self, n_passes: int) -> None:
        """Log the pass from which the fit resumes."""
        self._log(
            "resumed at pass %d" if n_passes else "no checkpoint yet (%d passes): starting from the beginning", n_passes
        )

    def on_fit_begin(self, max_iter: int) -> None:
        """Log the start of a restart and its maximum number of passes."""
        self._log("fit begins (at most %d passes)", max_iter)

    def on_step(self, step: Step) -> None:
        """Log the pass if it is due."""
        if self._is_due(step):
            message, values = "restart %d, pass %d: loss %.8g", (step.restart, step.n_iter, step.mean)
            if step.temperature != step.temperature:  # NaN: fuzzy memberships have no temperature
                self._log(message, *values)
            else:
                self._log(message + ", temperature %.6g", *values, step.temperature)

    def on_fit_end(self, result: Any) -> None:
        """Log the end of the restart."""
        if result is None:
            self._log("fit ends without a result")
        else:
            ending = "converged" if result.converged else "not converged"
            self._log("fit ends after %d passes, %s: objective %.8g", result.n_iter, ending, result.objective)

    def _is_due(self, step: Step) -> bool:
        if self.every is not None and step.n_iter % self.every == 0:
            return True
        return self.seconds is not None and monotonic() - self._last_message_time >= self.seconds

    def _log(self, message: str, *values: object) -> None:
        self._last_message_time = monotonic()
        logger = logging.getLogger(self.logger) if isinstance(self.logger, str) else self.logger
        logger.log(self.level, message, *values)  # formats the message only if it is shown
