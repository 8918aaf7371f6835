"""Small objects that watch a fit: progress bars, a printed or logged loss, a recording, what stops it, or your own."""

from __future__ import annotations

__all__ = ["Callback", "EarlyStopping", "LossLogger", "LossPrinter", "ProgressBar", "Recorder", "Step", "TimeLimit"]

from .base import Callback, Step
from .lines import LossLogger, LossPrinter
from .progress import ProgressBar
from .recording import Recorder
from .stopping import EarlyStopping, TimeLimit
