"""The interface of a temperature rule, temperatures given as numbers, and rules by name."""

from __future__ import annotations

__all__ = [
    "MIN_TEMPERATURE",
    "PARAMETRIC",
    "TEMPERATURES",
    "Fixed",
    "NoTemperature",
    "TemperatureRule",
    "as_temperature",
    "check_number",
    "scaled_temperature",
]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_positive, is_number
from ..arrays.model import MIN_TEMPERATURE
from ..data.scaling import Scaling
from ..data.source import Source
from ..errors import InputError, Message, PythonOnly
from ..model.params import Params
from ..model.stats import Stats
from ..registries import PARAMETRIC, TEMPERATURES


class TemperatureRule(ABC):
    """A rule for the temperature T of a fit.

    Temperatures and distortions are in the units of the scaled data: multiplied by ``scaling.unit``, they are in those
    of the data.

    Attributes
    ----------
    learned : bool
        Whether T is learned together with the centers. The fit then minimizes the NLL, otherwise the free energy.
    per_cluster : bool
        Whether each cluster has its own T. The fit then minimizes the NLL, whether T is learned or not.
    solves_equation : bool
        Whether T is defined by an equation (see `solve`). The fit then searches for a fixed point of T and the centers.
    needs_entropy_slope : bool
        Whether `solve` needs ∂H/∂log T, the derivative of the entropy.
    is_given : bool
        Whether T is given as numbers.
    needs_rows : bool
        Whether T depends on the rows. If False, `stages` and `start` return numbers that are given.

    Examples
    --------
    A rule that sets T to a fraction of the mean squared distance from the initial centers:

    >>> from dataclasses import dataclass
    >>> from softkmeans import SoftKMeans
    >>> @dataclass(frozen=True)
    ... class FractionOfStart(TemperatureRule):
    ...     fraction: float = 0.5
    ...     def start(self, scaling, mean_distortion):
    ...         return self.fraction * mean_distortion()
    >>> model = SoftKMeans(2, temperature=FractionOfStart(), init=[[0.0], [4.0]])
    >>> model.fit([[1.0], [-1.0], [5.0], [3.0]]).temperature_
    0.5
    """

    learned: bool = False
    per_cluster: bool = False
    solves_equation: bool = False
    needs_entropy_slope: bool = False
    is_given: bool = False
    needs_rows: bool = True

    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        """Return the rule to use for this data: for example, one that has computed its covariance.

        This takes at most one pass over the data, or a few passes if there are very many features.
        """
        return self

    def after_fit(self, temperature: Any) -> TemperatureRule:
        """Return the rule that ``partial_fit`` uses for a fitted model, given its temperature in the data's units."""
        return self

    def stages(self, scaling: Scaling) -> tuple[float, ...]:
        """Return the temperatures, in decreasing order, at which a fit runs before it uses that of `start`."""
        return ()

    @abstractmethod
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float | tuple[float, ...]:
        """Return the initial T, or one for each cluster.

        ``mean_distortion()`` makes a pass and returns the mean distance of rows to their nearest initial center.
        """

    def update(self, scaling: Scaling, temperature: float, mean_distortion: float) -> float:
        """Return the next T of a learned temperature, from the current T and the mean distortion E / Σw."""
        return temperature

    def updates(self, scaling: Scaling, temperatures: Tensor, mean_distortions: Tensor) -> Tensor:
        """Return the next of several temperatures (m,), by default the result of `update` for each."""
        pairs = zip(temperatures.tolist(), mean_distortions.tolist(), strict=True)
        return temperatures.new_tensor([self.update(scaling, t, mean) for t, mean in pairs])

    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """Return the residual of the rule's equation for log T, and minus the residual's derivative in log T.

        The residual is positive if T is too low. Both are computed from the sums of a pass, the entropy H, and
        ``slope``, ∂H/∂log T at fixed centers, which is given only if `needs_entropy_slope` is True.
        """
        raise NotImplementedError


def check_number(rule: str, number: Any) -> None:
    """Raise an InputError unless the number of a rule, as in "perplexity:1.5", is finite and above 0."""
    if not is_number(number, lambda value: 0 < value < math.inf):
        raise InputError(
            parameter="temperature", value=f"{rule}:{number}", hint="give a finite number above 0 after the colon"
        )


def scaled_temperature(temperature: float, scaling: Scaling) -> float:
    """Convert a temperature in the data's units to the units of the scaled data."""
    scaled = temperature / scaling.unit
    if not MIN_TEMPERATURE < scaled < 1 / MIN_TEMPERATURE:
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
    needs_rows = False

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


def as_temperature(temperature: object) -> TemperatureRule:
    """Return the temperature rule for a number, a sequence of k numbers, or a name; a rule is returned unchanged.

    Parameters
    ----------
    temperature : float, sequence of k floats, str or TemperatureRule
        T > 0 in the data's units; or a name from `TEMPERATURES`; or a name from `PARAMETRIC` with a number, as in
        "perplexity:1.5".

    Raises
    ------
    InputError
        If a number is not positive and finite, or if no rule has this name.

    Examples
    --------
    >>> as_temperature(2.0)
    Fixed(value=2.0)
    >>> as_temperature("critical:0.5")
    Critical(factor=0.5)
    """
    if isinstance(temperature, TemperatureRule):
        return temperature
    if isinstance(temperature, str):
        return _rule_by_name(temperature)
    several = np.ndim(temperature) == 1  # type: ignore[arg-type]
    for value in temperature if several else [temperature]:  # type: ignore[attr-defined]
        check_positive("temperature", value.item() if hasattr(value, "item") else value, _expected())
    return Fixed(tuple(map(float, temperature)) if several else float(temperature))  # type: ignore[arg-type,call-overload]


def _rule_by_name(name: str) -> TemperatureRule:
    if name in TEMPERATURES:
        return TEMPERATURES[name]
    rule, _, number = name.partition(":")
    try:
        value = float(number)
        kind = PARAMETRIC[rule]
    except (KeyError, ValueError):
        hint = Message("give a finite number above 0", _expected())
        raise InputError(parameter="temperature", value=name, hint=hint) from None
    check_number(rule, value)
    made: TemperatureRule = kind(value)
    return made


def _expected() -> Message:
    with_number = [f"{name}:NUMBER" for name in PARAMETRIC]
    names = ", ".join([*TEMPERATURES, *with_number])
    return Message(PythonOnly(", one for each cluster"), f", or one of {names}")
