"""A temperature given as a number."""

from __future__ import annotations

__all__ = ["Fixed", "NoTemperature"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from ..data.scaling import Scaling
from ..errors import InputError
from .base import TemperatureRule


def scaled_temperature(temperature: float, scaling: Scaling) -> float:
    """Bring a temperature in the data's units into a space."""
    found = temperature / scaling.unit
    if not 1e-200 < found < 1e200:  # beyond, logits or objectives leave the range of float64
        raise InputError(
            f"temperature={temperature:g} is out of all proportion to the data, whose squared spread is about "
            f"{scaling.unit:.3g}: choose a temperature nearer to that"
        )
    return found


@dataclass(frozen=True)
class Fixed(TemperatureRule):
    """A temperature given in the data's units (of the squared distance, for the default distance) and kept.

    Parameters
    ----------
    value : float or tuple of float
        T > 0, or one for each cluster.
    """

    value: float | tuple[float, ...]

    def __post_init__(self) -> None:
        if np.ndim(self.value):  # of any kind of sequence
            object.__setattr__(self, "value", tuple(map(float, self.value)))  # type: ignore[arg-type]

    @property
    def per_cluster(self) -> bool:  # type: ignore[override]
        """Whether each cluster has its own."""
        return isinstance(self.value, tuple)

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float | tuple[float, ...]:
        if isinstance(self.value, tuple):
            return tuple(scaled_temperature(value, scaling) for value in self.value)
        return scaled_temperature(self.value, scaling)


class NoTemperature(TemperatureRule):
    """For assignment rules that know no temperature: T is 1 in the space of the fit."""

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return 1.0
