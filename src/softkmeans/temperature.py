"""The temperature rules: where T starts, and how it follows the data. A new rule is a class and a line in the table."""

from __future__ import annotations

__all__ = ["TEMPERATURES", "Absent", "Fixed", "MaximumLikelihood", "TemperatureRule", "as_temperature"]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
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
    per_cluster : bool
        Whether each cluster has a T of its own: the fit then minimises the NLL, learned or not.
    """

    learned: bool
    per_cluster: bool = False

    @abstractmethod
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float | tuple[float, ...]:
        """Give the first T, or one for each cluster.

        ``mean_distortion()`` makes a pass for the rows' mean distance to their nearest start.
        """

    @abstractmethod
    def update(self, space: Space, temperature: float, mean_distortion: float) -> float:
        """Give the next T, from the last one and the mean expected distortion E / Σw."""


@dataclass(frozen=True)
class Fixed(TemperatureRule):
    """A temperature given in the data's units (of the squared distance, for the default distance) and kept.

    Parameters
    ----------
    value : float or tuple of float
        T > 0, or one for each cluster.
    """

    value: float | tuple[float, ...]
    learned = False

    def __post_init__(self) -> None:
        if np.ndim(self.value):  # of any kind of sequence
            object.__setattr__(self, "value", tuple(map(float, self.value)))  # type: ignore[arg-type]

    @property
    def per_cluster(self) -> bool:  # type: ignore[override]
        """Whether each cluster has its own."""
        return isinstance(self.value, tuple)

    @override
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float | tuple[float, ...]:
        given = self.value if isinstance(self.value, tuple) else (self.value,)
        found = tuple(value / space.unit for value in given)
        for value, temperature in zip(given, found, strict=True):
            if not 1e-200 < temperature < 1e200:  # beyond, logits or objectives leave the range of float64
                raise InputError(
                    f"temperature={value:g} is out of all proportion to the data, whose squared spread is about "
                    f"{space.unit:.3g}: choose a temperature nearer to that"
                )
        return found if isinstance(self.value, tuple) else found[0]

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
    per_cluster : bool
        Whether each cluster learns its own: the spherical mixture (MacKay's second soft k-means).
    """

    floor: float = 1e-20
    per_cluster: bool = False
    learned = True

    @override
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float:
        return self.update(space, math.nan, mean_distortion())

    @override
    def update(self, space: Space, temperature: float, mean_distortion: float) -> float:
        likeliest = space.distance.likeliest_temperature(mean_distortion, len(space.shift))
        return max(likeliest, self.floor * 2 * (space.variance or 1.0))


class Absent(TemperatureRule):
    """For assignment rules that know no temperature: T is 1 in the space of the fit."""

    learned = False

    @override
    def start(self, space: Space, mean_distortion: Callable[[], float]) -> float:
        return 1.0

    @override
    def update(self, space: Space, temperature: float, mean_distortion: float) -> float:
        return temperature


TEMPERATURES: dict[str, TemperatureRule] = {
    "auto": MaximumLikelihood(),
    "per-cluster": MaximumLikelihood(per_cluster=True),
}


def as_temperature(temperature: object) -> TemperatureRule:
    """Turn a number, or a sequence of k, into a fixed temperature and a name into its rule; a rule passes through.

    Parameters
    ----------
    temperature : float, sequence of k floats, {"auto", "per-cluster"} or TemperatureRule
        T > 0 in the data's units, or how to find it.

    Raises
    ------
    InputError
        If a number is not positive and finite, or there is no rule of that name.

    Examples
    --------
    >>> as_temperature(2.0)
    Fixed(value=2.0)
    """
    if isinstance(temperature, TemperatureRule):
        return temperature
    if isinstance(temperature, str) and temperature in TEMPERATURES:
        return TEMPERATURES[temperature]
    expected = f", one for each cluster, or one of {', '.join(TEMPERATURES)}"
    several = np.ndim(temperature) == 1 if not isinstance(temperature, str) else False  # type: ignore[arg-type]
    for value in temperature if several else [temperature]:  # type: ignore[attr-defined]
        check_positive("temperature", value.item() if hasattr(value, "item") else value, expected)
    return Fixed(tuple(map(float, temperature)) if several else float(temperature))  # type: ignore[arg-type,call-overload]
