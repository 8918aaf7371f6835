"""The interface of a temperature rule."""

from __future__ import annotations

__all__ = ["TemperatureRule", "check_number"]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import Any

from ..data.scaling import Scaling
from ..data.source import Source
from ..errors import InputError
from ..model.params import Params
from ..model.stats import Stats


class TemperatureRule(ABC):
    """A rule for the temperature T of a fit. Temperatures and distortions are in the units of the scaled data.

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

    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        """Return the rule with the properties of the scaled data that it needs.

        This takes at most one pass over the data, or a few passes if there are very many features.
        """
        return self

    def after_fit(self, temperature: Any) -> TemperatureRule:
        """Return the rule for further batches of a model that was fitted with a temperature, in the data's units."""
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
    if not isinstance(number, Real) or isinstance(number, bool) or not 0 < float(number) < math.inf:
        raise InputError(
            parameter="temperature", value=f"{rule}:{number}", hint="give a finite number above 0 after the colon"
        )
