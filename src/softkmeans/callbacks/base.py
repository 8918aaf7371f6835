"""What a pass says, and who hears of it."""

from __future__ import annotations

__all__ = ["Callback", "Step", "check_not_negative"]

from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from .._utils.checks import check_positive

if TYPE_CHECKING:  # what watches a fit needs no torch before there is one
    from torch import Tensor


class Step(NamedTuple):
    """What one pass over the data found, in the data's units.

    Where a solver guessed and found nothing better, it is the best so far, to which the solver goes back.

    Attributes
    ----------
    n_iter : int
        Number of the pass, from 1.
    objective : float
        What the fit minimizes, as a sum over the rows: F, NLL or E; or how far it is from what it looks for.
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
    centers : Tensor (k, d) or None
        A copy of the centers that the pass looked at, for callbacks; a fit's history does without.
    """

    n_iter: int
    objective: float
    mean: float
    distortion: float
    temperature: float
    restart: int = 0
    n_rows: int = 0
    centers: Tensor | None = None


class Callback:
    """Watch a fit: override what you need.

    Callbacks are called in the order given, and every one hears of every pass, also of one after which another asks to
    stop. An object may watch several fits, one after the other: begin anew in `on_fit_begin`.

    What a callback raises ends the fit, all restarts, as Ctrl-C does: the other callbacks still hear `on_fit_end`, the
    estimator keeps the best centers so far (those of the start, if need be), and the exception comes out of
    `SoftKMeans.fit` as it was raised; the first, if there are several. `softkmeans.fit` has no estimator to keep
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

    def on_resume(self, n_passes: int) -> None:
        """Called before the first restart of a fit that is to go on from a checkpoint.

        Of the passes made before, callbacks are told as if they were made again.

        Parameters
        ----------
        n_passes : int
            How many the checkpoint knows of; 0 where there is no checkpoint, and the fit starts afresh.
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
            Anything true ends this restart, with the best centers so far; restarts still to come are not affected.
        """

    def on_fit_end(self, result: Any) -> None:
        """Called after the last pass of every restart, also when the fit was interrupted or a callback failed.

        Parameters
        ----------
        result : Result or None
            What the restart found, clusters in the order they started in; None if it found nothing, because the data
            could not be read, say, or Ctrl-C came before the first pass.
        """


def check_not_negative(name: str, value: Any) -> None:
    """Raise an InputError unless value is a finite number of 0 or more."""
    if not (isinstance(value, Real) and value == 0):
        check_positive(name, value, ", or 0")
