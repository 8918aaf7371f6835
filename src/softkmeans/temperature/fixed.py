"""Temperatures that are known before the centers are: a number, a multiple of the critical one, a schedule."""

from __future__ import annotations

__all__ = ["Critical", "Fixed", "NoTemperature", "Schedule", "critical_temperature"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_count, check_positive
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from ..errors import InputError
from .base import TemperatureRule
from .moments import check_squared, largest_variance


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


def critical_temperature(X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Give the temperature T_c = 2 λ_max(Cov) above which all centers at the mean are stable.

    At lower temperatures some cluster structure has a lower free energy. Other optima may exist above T_c too, where a
    few rows are far away.

    Rose, "Deterministic annealing for clustering, compression, classification, regression, and related optimization
    problems", Proc. IEEE 1998.

    Parameters
    ----------
    X : array-like, sparse matrix, frame or Tensor (n, d)
        Rows.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows.

    Returns
    -------
    float
        In the units of squared data; 0 if all rows are the same.

    Raises
    ------
    InputError
        If the data can't be used.

    Examples
    --------
    >>> critical_temperature([[-3.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    9.0
    """
    source = as_source(X, sample_weight)
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    return 2 * largest_variance(scaling.view(source)) * scaling.unit


@dataclass(frozen=True)
class Critical(TemperatureRule):
    """A multiple of the critical temperature T_c = 2 λ_max(Cov), at which one cluster comes apart into several.

    Above 1 all centers coincide at the mean; the lower, the harder.

    Parameters
    ----------
    factor : float
        T / T_c.
    """

    factor: float = 0.5

    def __post_init__(self) -> None:
        check_positive("the multiple of the critical temperature", self.factor)

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        check_squared(f"critical:{self.factor:g}", scaling)
        found = self.factor * 2 * largest_variance(view) * scaling.unit
        return Fixed(found or scaling.unit)  # where all rows are the same, one temperature is as good as another

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        raise NotImplementedError  # bound, it is another rule


@dataclass(frozen=True)
class Schedule(TemperatureRule):
    """Falling temperatures, in the data's units: the fit passes through all of them and ends at the last.

    Parameters
    ----------
    temperatures : sequence of float
        Each lower than the one before; `Schedule.geometric` makes such a series.
    """

    temperatures: Sequence[float]

    def __post_init__(self) -> None:
        try:
            values = np.asarray(self.temperatures, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"the schedule {self.temperatures!r} came, expected a series of temperatures (m,)"
            ) from None
        if values.ndim != 1 or not len(values):
            raise InputError(f"a schedule of shape {values.shape} came, expected a series of temperatures (m,)")
        for value in values.tolist():
            check_positive("a temperature of the schedule", value)
        for before, after in pairwise(values.tolist()):
            if not after < before:
                raise InputError(f"the schedule goes from {before:g} to {after:g}: give temperatures that fall")
        object.__setattr__(self, "temperatures", tuple(values.tolist()))

    @classmethod
    def geometric(cls, first: float, last: float, number: int = 20) -> Schedule:
        """Make a schedule of so many temperatures, each the same share of the one before.

        Parameters
        ----------
        first, last : float
            Where it begins and ends.
        number : int
            How many temperatures there are, 2 or more.
        """
        check_positive("first", first)
        check_positive("last", last)
        check_count("number", number)
        if number < 2:
            raise InputError(f"number={number} of temperatures from {first:g} to {last:g}: give 2 or more")
        return cls(np.geomspace(first, last, number).tolist())

    @override
    def stages(self, scaling: Scaling) -> tuple[float, ...]:
        return tuple(scaled_temperature(value, scaling) for value in self.temperatures[:-1])

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return scaled_temperature(self.temperatures[-1], scaling)


class NoTemperature(TemperatureRule):
    """For assignment rules that know no temperature: T is 1 in the space of the fit."""

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return 1.0
