"""Fits that have no objective: the squared distance to a fixed point takes its place."""

from __future__ import annotations

__all__ = ["Equilibrium", "FixedPoint"]

import math

from typing_extensions import override

from ..data.block import Block
from ..kernels import entropy_slope
from ..model.m_step import em_step
from ..model.params import Params, PassStats
from ..model.stats import Stats
from .free_energy import FreeEnergy
from .likelihood import NegativeLogLikelihood

ASTRAY = 0.01  # how far off, in logarithms, the temperature kept may be from solving its rule's equation


THIN = 512  # rows of a block that show how the entropy answers to T: how soon it is met depends on that, and no more


class FixedPoint(FreeEnergy):
    """How far, squared, centers are from the means that the update moves them to, summed over the rows' shares.

    What the textbook's update lowers where it lowers no objective: it ends where this is 0.
    """

    name = "fixed_point"
    has_gradient = False
    patience = 10  # it may rise for a while

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        step = self._tangent(params, em_step(params, sums.stats))
        return float(sums.stats.weight @ step.square().sum(1))

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return float(sums.stats.n) * self.scaling.variance

    @override
    def in_data_units(self, value: float, n: float) -> float:
        return value * self.scaling.scale**2

    @override
    def selection_value(self, params: Params, sums: PassStats) -> float:
        return self.free_energy(params, sums)


class Equilibrium(FixedPoint):
    """How far, squared, centers and the temperature that solves its rule's equation are from where they stay."""

    name = "equilibrium"
    patience = 30
    _solved: tuple[Stats, tuple[float, float]] | None = None

    @override
    def is_met(self, value: float, sums: PassStats, tol: float) -> bool:
        return value <= 0.01 * tol * self.tolerance_scale(sums)

    @override
    def accumulate(self, block: Block, params: Params) -> PassStats:
        sums = super().accumulate(block, params)
        if not self.temperature.needs_entropy_slope:
            return sums
        b, rule = self.logit_offsets(params)
        some = block.subsample(THIN)
        noise = (self.spec.noise or 0.0) / float(params.temperature[0])
        slope = entropy_slope(some, params.centers, 1 / params.temperature, b, self.scaling.distance, rule, noise)
        return sums._replace(extra=slope * (len(block) / len(some)))

    def _solve(self, params: Params, sums: PassStats) -> tuple[float, float]:
        """See `TemperatureRule.solve`; what is found is remembered, as a pass is asked for it several times."""
        if self._solved is None or self._solved[0] is not sums.stats:
            entropy, slope = self.entropy(params, sums), float(sums.extra.sum())
            found = self.temperature.solve(self.scaling, params, sums.stats, entropy, slope)
            self._solved = (sums.stats, found)
        return self._solved[1]

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        off = 10 * self._solve(params, sums)[0]  # so that a tol of 1e-4 asks for T to a thousandth
        return super().value(params, sums) + float(sums.stats.n) * self.scaling.variance * off**2

    @override
    def update(self, params: Params, sums: PassStats) -> Params:
        """EM's step of the centers, and Newton's of log T, by no more than 1."""
        excess, slope = self._solve(params, sums)
        move = max(-1.0, min(1.0, excess / max(slope, 0.1)))
        return super().update(params, sums)._replace(temperature=params.temperature * math.exp(move))

    @override
    def is_reached(self, params: Params, sums: PassStats) -> bool:
        return abs(self._solve(params, sums)[0]) <= ASTRAY

    @override
    def selection_value(self, params: Params, sums: PassStats) -> float:
        """Give the NLL: F at other temperatures is another scale."""
        return NegativeLogLikelihood(self.scaling, self.temperature, self.spec).value(params, sums)
