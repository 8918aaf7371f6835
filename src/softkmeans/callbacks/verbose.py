"""The callbacks that the parameter ``verbose`` stands for."""

from __future__ import annotations

__all__ = ["callbacks_for"]

from .base import Callback
from .logging import LossPrinter
from .progress import ProgressBar


def callbacks_for(verbose: int) -> list[Callback]:
    """Return the callbacks for a value of ``verbose``: 1 shows a progress bar, 2 prints losses.

    Parameters
    ----------
    verbose : int
        The value.

    Examples
    --------
    >>> [type(callback).__name__ for callback in callbacks_for(2)]
    ['LossPrinter']
    """
    if verbose == 1:
        return [ProgressBar()]
    return [LossPrinter()] if verbose > 1 else []
