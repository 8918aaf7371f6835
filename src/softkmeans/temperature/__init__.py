"""The temperature rules, which determine the initial T of a fit and how T changes with the data."""

from __future__ import annotations

__all__ = [
    "PARAMETRIC",
    "TEMPERATURES",
    "Calibrated",
    "Critical",
    "Fixed",
    "MaximumLikelihood",
    "NoTemperature",
    "Perplexity",
    "Schedule",
    "TemperatureRule",
    "as_temperature",
    "critical_temperature",
]

from .base import PARAMETRIC, TEMPERATURES, Fixed, NoTemperature, TemperatureRule, as_temperature
from .calibrated import Calibrated
from .critical import Critical, critical_temperature
from .maximum_likelihood import MaximumLikelihood
from .perplexity import Perplexity
from .schedule import Schedule
