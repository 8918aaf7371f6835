"""Callbacks of a fit: progress bars, printed or logged losses, recording, early stopping, or your own."""

from __future__ import annotations

__all__ = [
    "CALLBACKS",
    "Callback",
    "EarlyStopping",
    "LossLogger",
    "LossPrinter",
    "ProgressBar",
    "Recorder",
    "Step",
    "TimeLimit",
]

from ..registries import CALLBACKS
from .base import Callback, Step
from .logging import LossLogger, LossPrinter
from .progress import ProgressBar
from .recorder import Recorder
from .stopping import EarlyStopping, TimeLimit
