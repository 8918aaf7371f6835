"""The temperature rules: where T starts, and how it follows the data. A new rule is a class and a line in the table."""

from __future__ import annotations

__all__ = ["TEMPERATURES", "Fixed", "MaximumLikelihood", "TemperatureRule", "as_temperature"]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from .checks import check_positive
from .errors import InputError
from .space import Space


class TemperatureRule(ABC):
    """How soft a fit is. Temperatures and distortions are in the units of the space the fit works in.

    Attributes
    ----------
    learned : bool
        Whether T is learned with the centres: the fit then minimises the NLL, else the free energy.
    """

    learned: bool

    @abstractmethod
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float:
        """Give the first T; ``mean_distortion()`` makes a pass for the rows' mean distance to their nearest start."""

    @abstractmethod
    def update(self, space: Space, temperature: float, mean_distortion: float) -> float:
        """Give the next T, from the last one and the mean expected distortion E / Σw."""


@dataclass(frozen=True)
class Fixed(TemperatureRule):
    """A temperature given in the data's units (of the squared distance, for the default distance) and kept.

    Parameters
    ----------
    value : float
        T > 0.
    """

    value: float
    learned = False

    @override
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float:
        temperature = self.value / space.unit
        if not 1e-200 < temperature < 1e200:  # beyond, logits or objectives leave the range of float64
            raise InputError(
                f"temperature={self.value:g} is out of all proportion to the data, whose squared spread is about "
                f"{space.unit:.3g}: choose a temperature nearer to that"
            )
        return temperature

    @override
    def update(self, space: Space, temperature: float, mean_distortion: float) -> float:
        return temperature


@dataclass(frozen=True)
class MaximumLikelihood(TemperatureRule):
    """The temperature at which the equivalent mixture makes the data likeliest: T = 2 E / (Σw d) at the optimum.

    Parameters
    ----------
    floor : float
        T stays above this times twice the data's variance, and so above 0 when every row sits on a centre. The
        default is far below the squared distances of rows that float64 can tell apart in clusters of any kind.
    """

    floor: float = 1e-20
    learned = True

    @override
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float:
        return self.update(space, math.nan, mean_distortion())

    @override
    def update(self, space: Space, temperature: float, mean_distortion: float) -> float:
        likeliest = space.distance.likeliest_temperature(mean_distortion, len(space.shift))
        return max(likeliest, self.floor * 2 * (space.variance or 1.0))


TEMPERATURES: dict[str, TemperatureRule] = {"auto": MaximumLikelihood()}


def as_temperature(temperature: object) -> TemperatureRule:
    """Turn a number into a fixed temperature and a name into its rule; a rule passes through.

    Raises
    ------
    InputError
        If the number is not positive and finite, or there is no rule of that name.

    Examples
    --------
    >>> as_temperature(2.0)
    Fixed(value=2.0)
    """
    if isinstance(temperature, TemperatureRule):
        return temperature
    if isinstance(temperature, str) and temperature in TEMPERATURES:
        return TEMPERATURES[temperature]
    check_positive("temperature", temperature, f", or one of {', '.join(TEMPERATURES)}")
    return Fixed(float(temperature))  # type: ignore[arg-type]
