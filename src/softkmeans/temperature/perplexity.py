"""The temperature at which memberships have a given perplexity."""

from __future__ import annotations

__all__ = ["Perplexity"]

import math
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from ..data.scaling import Scaling
from ..data.source import Source
from ..errors import InputError
from ..model.params import Params
from ..model.stats import Stats
from .base import TemperatureRule, check_number
from .maximum_likelihood import MaximumLikelihood


@dataclass(frozen=True)
class Perplexity(TemperatureRule):
    """The temperature at which memberships have a given perplexity exp(H / Σw), an effective number of clusters.

    At fixed centers, the entropy increases with temperature: dH/dT = Σ w Var_r(d) / T³. So one T has this perplexity.
    If clusters are far apart, a fit may find no T and centers that belong together; it then issues a warning.

    Parameters
    ----------
    value : float
        The perplexity, above 1 (each row belongs to one cluster) and below n_clusters (all memberships are equal).
    """

    value: float
    solves_equation = True
    needs_entropy_slope = True

    def __post_init__(self) -> None:
        check_number("perplexity", self.value)

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        if n_clusters == 1:
            raise self._error("is not possible with 1 cluster, where it is 1", "use more clusters")
        if not 1 < self.value < n_clusters:
            raise self._error(f"with {n_clusters} clusters", f"give a number between 1 and {n_clusters}")
        return self

    def _error(self, problem: str, hint: str) -> InputError:
        return InputError(problem, parameter="temperature", value=f"perplexity:{self.value:g}", hint=hint)

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        if not scaling.distance.has_density:
            return max(mean_distortion(), MaximumLikelihood().lower_bound(scaling))
        return MaximumLikelihood().start(scaling, mean_distortion)

    @override
    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """Return the result of `TemperatureRule.solve`, for an equation between logarithms of entropies."""
        mean = max(entropy / float(stats.n), 1e-300)
        return math.log(math.log(self.value) / mean), slope / float(stats.n) / mean
