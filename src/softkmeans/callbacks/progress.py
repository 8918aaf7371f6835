"""A progress bar."""

from __future__ import annotations

__all__ = ["ProgressBar"]

import sys
import warnings
from typing import Any

from tqdm import TqdmWarning

from .base import Callback, Step, check_not_negative

with warnings.catch_warnings():  # a notebook without ipywidgets has a bar of text, which is no reason to warn
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm


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
        check_not_negative("delay", delay)
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
