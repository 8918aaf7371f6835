"""Small objects that watch a fit: progress bars, a printed loss, or your own."""

from __future__ import annotations

__all__ = ["Callback", "LossPrinter", "ProgressBar", "Step", "watchers"]

from collections.abc import Callable
from typing import Any, NamedTuple

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
        T.
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
        """Called before the first pass of every restart, of at most ``max_iter`` passes."""

    def on_step(self, step: Step) -> bool | None:
        """Called after every pass; a true answer ends the fit, with the best centres so far."""

    def on_fit_end(self, result: Any) -> None:
        """Called after the last pass of every restart, with its `Result`, also when the fit was interrupted."""


class ProgressBar(Callback):
    """A progress bar on standard error (or in a notebook) for fits that take more than a moment.

    Parameters
    ----------
    delay : float
        Seconds before it shows.
    """

    def __init__(self, delay: float = 1.0) -> None:
        self.delay = delay

    def on_fit_begin(self, max_iter: int) -> None:
        """Open the bar."""
        self._bar = tqdm(total=max_iter, desc="soft k-means", unit="pass", delay=self.delay, leave=False)

    def on_step(self, step: Step) -> None:
        """Advance the bar."""
        self._bar.set_postfix(objective=f"{step.mean:.6g}", refresh=False)
        self._bar.update()

    def on_fit_end(self, result: Any) -> None:
        """Close the bar."""
        self._bar.close()


class LossPrinter(Callback):
    """Print the loss at regular intervals.

    Parameters
    ----------
    every : int
        Passes between two lines; the first pass and the last one are always printed.
    write : callable
        Takes a line of text; ``print`` by default.
    """

    def __init__(self, every: int = 10, write: Callable[[str], object] = print) -> None:
        self.every, self.write = every, write

    def on_fit_begin(self, max_iter: int) -> None:
        """Forget the fit before."""
        self._last: Step | None = None

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


def watchers(verbose: int) -> list[Callback]:
    """Give what an estimator's ``verbose`` asks for: 1 shows a progress bar, 2 prints the loss of every tenth pass."""
    return [ProgressBar()] if verbose == 1 else [LossPrinter()] if verbose > 1 else []
