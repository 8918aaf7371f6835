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
    """Convert a temperature in the data's units to the units of the scaled data."""
    scaled = temperature / scaling.unit
    if not 1e-200 < scaled < 1e200:  # otherwise logits or objectives could exceed the range of float64
        raise InputError(
            f"is too far from the scale of the data, whose squared spread is about {scaling.unit:.3g}",
            parameter="temperature",
            value=temperature,
            hint="choose a temperature closer to it",
        )
    return scaled


@dataclass(frozen=True)
class Fixed(TemperatureRule):
    """A fixed temperature, in the data's units (for the default distance, those of squared distances).

    Parameters
    ----------
    value : float or tuple of float
        T > 0, or one for each cluster.
    """

    value: float | tuple[float, ...]
    is_given = True

    def __post_init__(self) -> None:
        if np.ndim(self.value):  # any kind of sequence
            object.__setattr__(self, "value", tuple(map(float, self.value)))  # type: ignore[arg-type]

    @property
    def per_cluster(self) -> bool:  # type: ignore[override]
        """True if each cluster has its own temperature."""
        return isinstance(self.value, tuple)

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float | tuple[float, ...]:
        if isinstance(self.value, tuple):
            return tuple(scaled_temperature(value, scaling) for value in self.value)
        return scaled_temperature(self.value, scaling)


class NoTemperature(TemperatureRule):
    """The rule for assignment rules without a temperature: T is 1 in the units of the scaled data."""

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return 1.0
