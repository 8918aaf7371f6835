"""Objectives for updates that minimize no objective: the squared distance from a fixed point of the update."""

from __future__ import annotations

__all__ = ["Equilibrium", "FixedPoint"]

import math

from torch import Tensor
from typing_extensions import override

from .._utils.few_numbers import from_array, quietly
from ..data.block import Block
from ..kernels import entropy_slope
from ..model.params import Params, PassStats
from ..model.stats import Stats
from .free_energy import FreeEnergy
from .likelihood import NegativeLogLikelihood

MAX_LOG_TEMPERATURE_ERROR = 0.01  # largest residual of the equation for log T at which a fit counts as converged
ENTROPY_SLOPE_N_ROWS = 512  # rows of a block used to estimate ∂H/∂log T, which only affects the speed of convergence


class FixedPoint(FreeEnergy):
    """The sum of the squared lengths of the centers' updates, weighted by the cluster weights.

    It measures the progress of textbook updates (``update="mean"``), which minimize no objective, and is 0 at a fixed
    point.
    """

    name = "fixed_point"
    has_gradient = False
    has_free_energy = False
    patience = 10  # the value may rise for a few updates

    @override
    @quietly
    def value(self, params: Params, sums: PassStats) -> float:
        step = self._tangent(params, from_array(self._m_step(params, sums.stats).step))
        return float(sums.stats.weight @ step.square().sum(1))

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return float(sums.stats.n) * self.scaling.variance

    @override
    def in_data_units(self, value: float, n: float) -> float:
        return value * self.scaling.scale**2

    @override
    def selection_value(self, params: Params, sums: PassStats) -> float:
        """Return the free energy; if each cluster has a temperature, there is none, and the NLL takes its place."""
        if self.temperature.per_cluster:
            return NegativeLogLikelihood(self.scaling, self.temperature, self.spec).value(params, sums)
        return self.free_energy(params, sums)


class Equilibrium(FixedPoint):
    """The squared distance of the centers, and of a temperature defined by an equation, from a fixed point."""

    name = "equilibrium"
    has_free_energy = True
    patience = 30
    _solved: tuple[Stats, tuple[float, float]] | None = None

    @override
    def is_at_minimum(self, value: float, sums: PassStats, tol: float) -> bool:
        return value <= 0.01 * tol * self.tolerance_scale(sums)

    @override
    def accumulate(self, block: Block, params: Params) -> PassStats:
        if not self.temperature.needs_entropy_slope:
            return super().accumulate(block, params)
        return super().accumulate(block, params)._replace(extra=self._entropy_slope(block, params))

    def _entropy_slope(self, block: Block, params: Params) -> Tensor:
        """Return ∂H/∂log T (1,) of a block, estimated from some of its rows."""
        beta, b, rule = self.logits(params)
        sample = block.subsample(ENTROPY_SLOPE_N_ROWS)
        noise = (self.spec.noise or 0.0) / float(params.temperature[0])
        slope = entropy_slope(sample, params.centers, beta, b, self.scaling.distance, rule, noise)
        return slope * (len(block) / len(sample))

    def _solve(self, params: Params, sums: PassStats) -> tuple[float, float]:
        """Return the result of `TemperatureRule.solve`, cached because each pass uses it several times."""
        if self._solved is None or self._solved[0] is not sums.stats:
            entropy, slope = self.entropy(params, sums), float(sums.extra.sum())
            solution = self.temperature.solve(self.scaling, params, sums.stats, entropy, slope)
            self._solved = (sums.stats, solution)
        return self._solved[1]

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        residual = 10 * self._solve(params, sums)[0]  # with the factor 10, tol=1e-4 determines T to about 0.1 %
        return super().value(params, sums) + float(sums.stats.n) * self.scaling.variance * residual**2

    @override
    def update(self, params: Params, sums: PassStats) -> Params:
        """Return the EM update of the centers and a Newton step of log T, which is at most 1."""
        residual, slope = self._solve(params, sums)
        step = max(-1.0, min(1.0, residual / max(slope, 0.1)))
        return super().update(params, sums)._replace(temperature=params.temperature * math.exp(step))

    @override
    def is_solution(self, params: Params, sums: PassStats) -> bool:
        return abs(self._solve(params, sums)[0]) <= MAX_LOG_TEMPERATURE_ERROR

    @override
    def selection_value(self, params: Params, sums: PassStats) -> float:
        """Return the NLL: values of F at different temperatures are not comparable.

        Without a density, return the distortion.
        """
        if not self.scaling.distance.has_density:
            return self.distortion(sums.stats)
        return NegativeLogLikelihood(self.scaling, self.temperature, self.spec).value(params, sums)
