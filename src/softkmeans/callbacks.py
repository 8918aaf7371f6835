"""Small objects that watch a fit: progress bars, a printed or logged loss, reasons to stop, or your own."""

from __future__ import annotations

__all__ = ["Callback", "EarlyStopping", "LossLogger", "LossPrinter", "ProgressBar", "Step", "TimeLimit"]

import logging
import sys
import warnings
from collections.abc import Callable
from numbers import Real
from time import monotonic
from typing import Any, NamedTuple

from tqdm import TqdmWarning

from .checks import check_count, check_positive
from .errors import InputError

with warnings.catch_warnings():  # a notebook without ipywidgets has a bar of text, which is no reason to warn
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm


class Step(NamedTuple):
    """What one pass over the data found, in the data's units.

    Where a solver guessed and found nothing better, it is the best so far, to which the solver goes back.

    Attributes
    ----------
    n_iter : int
        Number of the pass, from 1.
    objective : float
        What the fit minimises, as a sum over the rows: F, NLL or E.
    mean : float
        The objective over Σw: the loss per row.
    distortion : float
        Expected distortion E.
    temperature : float
        T; the mean by weight where each cluster has its own, NaN for fuzzy memberships, which know none.
    restart : int
        Number of the restart, from 0.
    n_rows : int
        How many rows the pass looked at: all, but for the first passes of a fit with ``growing_sample``.
    """

    n_iter: int
    objective: float
    mean: float
    distortion: float
    temperature: float
    restart: int = 0
    n_rows: int = 0


class Callback:
    """Watch a fit: override what you need.

    Callbacks are called in the order given, and every one hears of every pass, also of one after which another asks to
    stop. An object may watch several fits, one after the other: begin anew in `on_fit_begin`.

    What a callback raises ends the fit, all restarts, as Ctrl-C does: the other callbacks still hear `on_fit_end`, the
    estimator keeps the best centres so far (those of the start, if need be), and the exception comes out of
    `SoftKMeans.fit` as it was raised; the first, if there are several. `softkmeans.fit.fit` has no estimator to keep
    anything in and raises a ``CallbackError`` with the ``result``, whose ``__cause__`` is the exception.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> class StopAtThree(Callback):
    ...     def on_step(self, step):
    ...         return step.n_iter == 3
    >>> model = SoftKMeans(2, tol=0, callbacks=[StopAtThree()], random_state=0)
    >>> model.fit([[0.0], [0.1], [0.9], [1.2]]).n_iter_
    3
    """

    def on_fit_begin(self, max_iter: int) -> None:
        """Called before the first pass of every restart.

        Parameters
        ----------
        max_iter : int
            Passes over all rows, at most.
        """

    def on_step(self, step: Step) -> bool | None:
        """Called after every pass.

        Parameters
        ----------
        step : Step
            What the pass found.

        Returns
        -------
        bool or None
            Anything true ends this restart, with the best centres so far; restarts still to come are not affected.
        """

    def on_fit_end(self, result: Any) -> None:
        """Called after the last pass of every restart, also when the fit was interrupted or a callback failed.

        Parameters
        ----------
        result : Result or None
            What the restart found, clusters in the order they started in; None if it found nothing, because the data
            could not be read, say, or Ctrl-C came before the first pass.
        """


class ProgressBar(Callback):
    """A progress bar, at a terminal or in a notebook, for fits that take more than a moment.

    It is wiped when the fit ends. Where standard error is neither (a log file, the pane of an editor), it is written
    anew every ten seconds only; `LossLogger` writes proper lines.

    Parameters
    ----------
    delay : float, default=1.0
        Seconds before it shows.

    Raises
    ------
    InputError
        If ``delay`` is not a finite number of 0 or more.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> model = SoftKMeans(2, callbacks=[ProgressBar(delay=5)], random_state=0).fit([[0.0], [0.1], [0.9], [1.2]])
    """

    def __init__(self, delay: float = 1.0) -> None:
        _check_not_negative("delay", delay)
        self.delay = delay
        self._bar: Any = None

    def on_fit_begin(self, max_iter: int) -> None:
        """Open the bar."""
        self._close()  # the bar of a fit that broke off
        when = {"delay": self.delay, "mininterval": 0.1 if _is_watched() else 10.0, "disable": sys.stderr is None}
        self._bar = tqdm(total=max_iter, desc="soft k-means", unit="pass", leave=False, **when)

    def on_step(self, step: Step) -> None:
        """Advance the bar."""
        if step.restart:
            self._bar.set_description(f"restart {step.restart}", refresh=False)  # leave room for the bar
        self._bar.set_postfix(objective=f"{step.mean:.6g}", refresh=False)
        self._bar.update()

    def on_fit_end(self, result: Any) -> None:
        """Close the bar."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_bar": None}  # a bar belongs to its terminal, and a copy opens its own


def _is_watched() -> bool:
    """Say whether standard error is a terminal or a notebook, where a line can be written over."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


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


class EarlyStopping(Callback):
    """Stop when the loss has ceased to fall.

    A fit's own ``tol`` suits objectives that fall steadily. This has patience, for Adam's ups and downs, and measures
    by what was gained since the first pass: F crosses zero and NLL shifts with the data's units, so that neither means
    anything relative to itself. Each restart is judged on its own, and so is each sample of ``growing_sample``.

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
        _check_not_negative("min_delta", min_delta)
        self.patience, self.min_delta = patience, min_delta
        self._first: Step | None = None

    def on_fit_begin(self, max_iter: int) -> None:
        """Forget the fit before."""
        self._first = None

    def on_step(self, step: Step) -> bool:
        """Ask to stop once patience is spent."""
        if self._first is None or step.n_rows != self._first.n_rows:  # losses of different rows do not compare
            self._first, self._best, self._waited = step, step.mean, 0
            return False
        gained = self._first.mean - self._best
        improved = self._best - step.mean > self.min_delta * gained
        self._best, self._waited = (step.mean, 0) if improved else (self._best, self._waited + 1)
        return self._waited >= self.patience


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


def _check_not_negative(name: str, value: Any) -> None:
    if not (isinstance(value, Real) and value == 0):
        check_positive(name, value, ", or 0")
