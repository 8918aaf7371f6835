"""A callback that records all passes of a fit."""

from __future__ import annotations

__all__ = ["Recorder"]

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Callback, Step


class Recorder(Callback):
    """Record the centers, the temperature and the loss of every pass.

    With several restarts, the record is that of the restart with the lowest objective, as in ``history_``. The centers
    need memory for k d numbers per pass. If a fit was resumed, only the passes after that are recorded.
    `softkmeans.plots.animate_training` makes an animation of the record.

    Attributes
    ----------
    steps : list of Step
        One entry for each pass, with its centers on the CPU; updated when a restart ends.
    centers : ndarray (passes, k, d)
        Centers in the data's units, with the clusters in their initial order.
    temperatures : ndarray (passes,)
        Temperature T; NaN for fuzzy memberships.
    losses : ndarray (passes,)
        Loss per row, ``Step.mean``.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> recorder = Recorder()
    >>> model = SoftKMeans(1, init=[[0.0]], temperature=1.0, callbacks=[recorder]).fit([[0.0], [1.0], [2.0]])
    >>> recorder.centers.ravel()
    array([0., 1., 1.])
    >>> recorder.losses.round(4)
    array([1.6667, 0.6667, 0.6667])
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._current: list[Step] = []
        self._lowest = math.inf

    @property
    def centers(self) -> NDArray[np.float64]:
        """Centers of each pass (passes, k, d)."""
        return np.array([step.centers for step in self.steps], dtype=np.float64)

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Temperature of each pass (passes,)."""
        return np.array([step.temperature for step in self.steps])

    @property
    def losses(self) -> NDArray[np.float64]:
        """Loss per row of each pass (passes,)."""
        return np.array([step.mean for step in self.steps])

    def on_fit_begin(self, max_iter: int) -> None:
        """Start the record of a restart."""
        self._current = []

    def on_step(self, step: Step) -> None:
        """Record the pass."""
        if (step.restart, step.n_iter) == (0, 1):  # a new fit
            self.steps, self._lowest = [], math.inf
        if step.centers is not None:  # else the pass was made before the fit was resumed
            self._current.append(step._replace(centers=step.centers.detach().cpu()))

    def on_fit_end(self, result: Any) -> None:
        """Keep the restart if it is the best so far."""
        if result is not None and result.objective < self._lowest:
            self.steps, self._lowest = self._current, result.objective
