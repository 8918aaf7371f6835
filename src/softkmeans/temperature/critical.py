"""The critical temperature, and multiples of it."""

from __future__ import annotations

__all__ = ["Critical", "critical_temperature"]

from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_positive
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from .base import TemperatureRule
from .fixed import Fixed
from .moments import check_squared, largest_variance


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
