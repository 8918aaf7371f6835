"""The `Step` record and the `Callback` interface."""

from __future__ import annotations

__all__ = ["Callback", "Step"]

from typing import TYPE_CHECKING, Any, NamedTuple

from .._utils.brief import with_brief_repr

if TYPE_CHECKING:  # callbacks can be imported without importing torch
    from torch import Tensor


@with_brief_repr
class Step(NamedTuple):
    """The result of one pass over the data, in the data's units.

    If a solver tries parameters that bring no improvement, it returns to the best parameters so far, and the step
    describes those.

    Attributes
    ----------
    n_iter : int
        Number of the pass, from 1.
    objective : float
        The minimized objective, as a sum over the rows: F, NLL, E or J; or the squared distance from a fixed point.
    mean : float
        The objective divided by Σw: the loss per row.
    distortion : float
        Expected distortion E.
    temperature : float
        Temperature T; the weighted mean over clusters if they differ, NaN for fuzzy memberships.
    restart : int
        Number of the restart, from 0.
    n_rows : int
        Number of rows in the pass: all, except in the first passes of a fit with ``growing_sample``.
    centers : Tensor (k, d) or None
        Copy of the centers at which the pass was made, for callbacks; None in the history of a fit, and for passes that
        were made before the fit was resumed.
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
    """Base class of callbacks: override the methods that you need.

    Callbacks are called in the given order. All are called after every pass, even if one of them asks to stop. A
    callback can be used for several fits, one after the other: reset its state in `on_fit_begin`.

    If a callback raises an exception, the fit and all its restarts end, as after Ctrl-C. `on_fit_end` of the other
    callbacks is still called, the estimator keeps the best centers so far (the initial ones, if there are no others),
    and `SoftKMeans.fit` raises the exception; the first, if there are several. `softkmeans.fit` has no estimator and
    raises a ``CallbackError`` instead: its ``result`` is the best so far, and its ``__cause__`` is the exception.

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
        """Handle the start of a fit with ``resume=True``; called before the first restart.

        Then the passes of the best restart and of the current one are replayed: `on_step` is called for them again,
        with ``centers=None``, except for the last pass.

        Parameters
        ----------
        n_passes : int
            Number of passes in the checkpoint; 0 if there is none and the fit starts from the beginning.
        """

    def on_fit_begin(self, max_iter: int) -> None:
        """Handle the start of a restart; called before its first pass.

        Parameters
        ----------
        max_iter : int
            Maximum number of passes over the rows.
        """

    def on_step(self, step: Step) -> bool | None:
        """Handle a pass; called after every pass.

        Parameters
        ----------
        step : Step
            Result of the pass.

        Returns
        -------
        bool or None
            Any true value ends this restart with the best centers so far. Later restarts are not affected.
        """

    def on_fit_end(self, result: Any) -> None:
        """Handle the end of a restart; called after its last pass, also if the fit is interrupted or a callback fails.

        Parameters
        ----------
        result : Result or None
            Result of the restart, with the clusters in their initial order; None if there is none, for example because
            the data could not be read or Ctrl-C was pressed before the first pass.
        """
