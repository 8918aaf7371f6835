"""The progress bar callback."""

from __future__ import annotations

__all__ = ["ProgressBar"]

import sys
import warnings
from typing import Any

from tqdm import TqdmWarning

from .._utils.checks import check_not_negative
from .base import Callback, Step

with warnings.catch_warnings():  # in a notebook without ipywidgets, tqdm warns and shows a text bar, which is fine
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm


class ProgressBar(Callback):
    """Show a progress bar in a terminal or a notebook.

    The bar is cleared when the fit ends. If standard error is neither a terminal nor a notebook (for example, a log
    file), the bar is updated only every ten seconds; `LossLogger` is better there.

    Parameters
    ----------
    delay : float, default=1.0
        Number of seconds before the bar appears, so that short fits show none.

    Raises
    ------
    InputError
        If ``delay`` is not a finite number of at least 0.

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
        self._close()  # a fit that failed may have left its bar open
        self._bar = tqdm(
            total=max_iter,
            desc="soft k-means",
            unit="pass",
            leave=False,
            delay=self.delay,
            mininterval=0.1 if _is_interactive() else 10.0,
            disable=sys.stderr is None,
        )

    def on_step(self, step: Step) -> None:
        """Advance the bar."""
        if step.restart:
            self._bar.set_description(f"restart {step.restart}", refresh=False)  # short, to leave room for the bar
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
        return self.__dict__ | {"_bar": None}  # a bar cannot be copied; the copy opens its own


def _is_interactive() -> bool:
    """Return whether standard error is a terminal or a notebook, where a line can be overwritten."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
