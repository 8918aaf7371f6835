"""The critical temperature, and multiples of it."""

from __future__ import annotations

__all__ = ["Critical", "critical_temperature"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor
from typing_extensions import override

from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from .base import Fixed, TemperatureRule, check_number
from .moments import check_squared, largest_variance


def critical_temperature(X: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Compute the temperature T_c = 2 λ_max(Cov) above which the solution with all centers at the mean is stable.

    At lower temperatures, solutions with distinct centers have a lower free energy. Such solutions may also exist above
    T_c, if a few rows are far from the others.

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
        T_c, in the squared units of the data; 0 if all rows are the same.

    Raises
    ------
    InputError
        If the data is invalid: of another shape or type, with NaN or infinity, or without rows of positive weight.

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
    """A multiple of the critical temperature T_c = 2 λ_max(Cov), below which one cluster splits into several.

    With a factor above 1, all centers coincide at the mean. The lower the factor, the harder the memberships.

    Parameters
    ----------
    factor : float
        T / T_c.
    """

    factor: float = 0.5

    def __post_init__(self) -> None:
        check_number("critical", self.factor)

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        check_squared(f"critical:{self.factor:g}", scaling)
        temperature = self.factor * 2 * largest_variance(view) * scaling.unit
        return Fixed(temperature or scaling.unit)  # if all rows are the same, any temperature gives the same fit

    @override
    def after_fit(self, temperature: Any) -> TemperatureRule:
        return Fixed(temperature)  # the value computed from the first batch

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        raise NotImplementedError  # `bind` returns another rule
