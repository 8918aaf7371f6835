"""Small objects that watch a fit: progress bars, a printed or logged loss, reasons to stop, or your own."""

from __future__ import annotations

__all__ = ["Callback", "EarlyStopping", "LossLogger", "LossPrinter", "ProgressBar", "Step", "TimeLimit"]

from .base import Callback, Step
from .lines import LossLogger, LossPrinter
from .progress import ProgressBar
from .stopping import EarlyStopping, TimeLimit
