"""Decreasing temperatures, for annealing."""

from __future__ import annotations

__all__ = ["Schedule"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from typing_extensions import override

from .._utils.checks import check_count, check_positive
from ..data.scaling import Scaling
from ..errors import InputError
from .base import TemperatureRule, scaled_temperature

EXPECTED = "a sequence of temperatures (m,)"


@dataclass(frozen=True)
class Schedule(TemperatureRule):
    """Decreasing temperatures, in the data's units: a fit runs at each of them in turn and ends at the last.

    Parameters
    ----------
    temperatures : sequence of float
        Each lower than the one before; `Schedule.geometric` creates such a sequence.
    """

    temperatures: Sequence[float]
    needs_rows = False

    def __post_init__(self) -> None:
        try:
            values = np.asarray(self.temperatures, dtype=np.float64)
        except (TypeError, ValueError):
            raise _error(f"{self.temperatures!r} are not numeric", expected=EXPECTED) from None
        if values.ndim != 1 or not len(values):
            raise _error(f"have shape {values.shape}", expected=EXPECTED)
        for value in values.tolist():
            if not 0 < value < math.inf:
                raise _error(f"contain {value:g}", hint="give finite numbers above 0")
        for before, after in pairwise(values.tolist()):
            if not after < before:
                raise _error(f"go from {before:g} to {after:g}", hint="give decreasing temperatures")
        object.__setattr__(self, "temperatures", tuple(values.tolist()))

    @classmethod
    def of(cls, temperatures: Sequence[float] | Schedule) -> Schedule:
        """Return the schedule of a sequence of temperatures; a schedule is returned unchanged."""
        return temperatures if isinstance(temperatures, Schedule) else cls(temperatures)

    @classmethod
    def geometric(cls, first: float, last: float, number: int = 20) -> Schedule:
        """Create a schedule in which the ratio of consecutive temperatures is constant.

        Parameters
        ----------
        first, last : float
            The first and the last temperature.
        number : int
            Number of temperatures, 2 or more.
        """
        check_positive("first", first)
        check_positive("last", last)
        check_count("number", number)
        if number < 2:
            problem = f"is too few temperatures for {first:g} to {last:g}"
            raise InputError(problem, parameter="number", value=number, hint="give 2 or more")
        return cls(np.geomspace(first, last, number).tolist())

    @override
    def stages(self, scaling: Scaling) -> tuple[float, ...]:
        return tuple(scaled_temperature(value, scaling) for value in self.temperatures[:-1])

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return scaled_temperature(self.temperatures[-1], scaling)


def _error(problem: str, **parts: str) -> InputError:
    return InputError(problem, parameter="temperatures", **parts)
