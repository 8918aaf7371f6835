"""Temperatures that solve an equation together with the centers."""

from __future__ import annotations

__all__ = ["Calibrated", "Perplexity"]

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_positive
from ..data.scaling import Scaling
from ..data.source import Source
from ..errors import InputError
from ..model.params import Params, em_step
from ..model.stats import Stats
from .base import TemperatureRule
from .maximum_likelihood import MaximumLikelihood
from .moments import check_squared, covariance
from .pair_variance import calibrated_temperature


@dataclass(frozen=True)
class Perplexity(TemperatureRule):
    """The temperature at which rows are spread over a given number of clusters: exp(H / Σw) is the value asked for.

    Entropy rises with temperature, dH/dT = Σ w Var_r(d) / T³ at fixed centers, so that there is one such temperature.

    Parameters
    ----------
    value : float
        Above 1 (each row in one cluster) and below n_clusters (each in all to the same degree).
    """

    value: float
    solved = True
    needs_entropy_slope = True

    def __post_init__(self) -> None:
        check_positive("perplexity", self.value)

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        if n_clusters == 1:
            raise InputError(f"perplexity={self.value:g} came with one cluster, where it is 1: give more clusters")
        if not 1 < self.value < n_clusters:
            raise InputError(
                f"perplexity={self.value:g} with {n_clusters} clusters: give a number between 1 and {n_clusters}"
            )
        return self

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return MaximumLikelihood().start(scaling, mean_distortion)

    @override
    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """See `TemperatureRule.solve`; the equation is between logarithms of entropies."""
        mean = max(entropy / float(stats.n), 1e-300)
        return math.log(math.log(self.value) / mean), slope / float(stats.n) / mean


@dataclass(frozen=True)
class Calibrated(TemperatureRule):
    """The temperature at which memberships mean what they say: of rows with 0.8 for a cluster, 8 in 10 belong to it.

    Maximum likelihood takes correlated features for independent evidence and is too sure. What memberships depend on is
    only where rows are between centers, so T is twice the variance there: see `calibration.calibrated_temperature`. The
    covariance of the features, d² numbers, is summed up in one pass.
    """

    solved = True

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        check_squared("calibrated", scaling)
        return _CalibratedTo(covariance(view))

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return MaximumLikelihood().start(scaling, mean_distortion)


@dataclass(frozen=True, repr=False)
class _CalibratedTo(Calibrated):
    """The rule for data of a given covariance (d, d), in the space of the fit."""

    covariance: Tensor

    def __repr__(self) -> str:
        return repr(Calibrated())

    @override
    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """See `TemperatureRule.solve`; T is what it would be at the centers that EM moves to."""
        centers = params.centers + em_step(params, stats)
        found = max(calibrated_temperature(centers, stats.weight, self.covariance), MaximumLikelihood().least(scaling))
        return math.log(found / float(params.temperature[0])), 1.0
