"""What has another objective, or none: fuzzy memberships, the textbook's update, a T that solves an equation."""

from __future__ import annotations

__all__ = ["Equilibrium", "FixedPoint", "FuzzyDistortion"]

import math
from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import override

from ..data.block import Block
from ..kernels import melting
from ..model.assignment import Fuzzy, Rule
from ..model.params import Params, Summary, em_step
from ..model.stats import Stats
from .free_energy import FreeEnergy, NegativeLogLikelihood

ASTRAY = 0.01  # how far off, in logarithms, the temperature kept may be from solving its rule's equation
THIN = 512  # rows of a block that show how the entropy answers to T: how soon it is met depends on that, and no more


class FuzzyDistortion(FreeEnergy):
    """J = Σ w u^m d, fuzzy c-means' objective at its best memberships; there is no temperature, T stays 1."""

    name = "fuzzy"

    @override
    def masses(self, params: Params) -> tuple[Tensor, Rule]:
        rule, noise = self.variant.rule, self.variant.noise
        assert isinstance(rule, Fuzzy)  # noqa: S101 -- for mypy
        return torch.zeros_like(params.temperature), rule if noise is None else replace(rule, outside=-noise)

    @override
    def resolution(self, summary: Summary) -> float:
        return -float(summary.stats.objective)

    @override
    def distortion(self, stats: Stats) -> float:
        return -float(stats.objective)

    @override
    def entropy(self, params: Params, summary: Summary) -> float:
        return math.nan  # the sums don't hold it

    @override
    def softness(self, params: Params, summary: Summary) -> float:
        return math.inf


class FixedPoint(FreeEnergy):
    """How far, squared, centres are from the means that the update moves them to, summed over the rows' shares.

    What the textbook's update lowers where it lowers no objective: it ends where this is 0.
    """

    name = "fixed_point"
    has_gradient = False
    patience = 10  # it may rise for a while

    @override
    def value(self, params: Params, summary: Summary) -> float:
        step = self._tangent(params, em_step(params, summary.stats))
        return float(summary.stats.weight @ step.square().sum(1))

    @override
    def resolution(self, summary: Summary) -> float:
        return float(summary.stats.n) * self.space.variance

    @override
    def in_units(self, value: float, n: float) -> float:
        return value * self.space.scale**2

    @override
    def merit(self, params: Params, summary: Summary) -> float:
        return self.free_energy(params, summary)


class Equilibrium(FixedPoint):
    """How far, squared, centres and the temperature that solves its rule's equation are from where they stay."""

    name = "equilibrium"
    patience = 30
    _solved: tuple[Stats, tuple[float, float]] | None = None

    @override
    def is_met(self, value: float, summary: Summary, tol: float) -> bool:
        return value <= 0.01 * tol * self.resolution(summary)

    @override
    def summarize(self, block: Block, params: Params) -> Summary:
        summary = super().summarize(block, params)
        if not self.temperature.needs_slope:
            return summary
        b, rule = self.masses(params)
        some = block.thinned(THIN)
        noise = (self.variant.noise or 0.0) / float(params.temperature[0])
        slope = melting(some, params.centers, 1 / params.temperature, b, self.space.distance, rule, noise)
        return summary._replace(extra=slope * (len(block) / len(some)))

    def _solve(self, params: Params, summary: Summary) -> tuple[float, float]:
        """See `TemperatureRule.solve`; what is found is remembered, as a pass is asked for it several times."""
        if self._solved is None or self._solved[0] is not summary.stats:
            entropy, slope = self.entropy(params, summary), float(summary.extra.sum())
            found = self.temperature.solve(self.space, params, summary.stats, entropy, slope)
            self._solved = (summary.stats, found)
        return self._solved[1]

    @override
    def value(self, params: Params, summary: Summary) -> float:
        off = 10 * self._solve(params, summary)[0]  # so that a tol of 1e-4 asks for T to a thousandth
        return super().value(params, summary) + float(summary.stats.n) * self.space.variance * off**2

    @override
    def update(self, params: Params, summary: Summary) -> Params:
        """EM's step of the centres, and Newton's of log T, by no more than 1."""
        excess, slope = self._solve(params, summary)
        move = max(-1.0, min(1.0, excess / max(slope, 0.1)))
        return super().update(params, summary)._replace(temperature=params.temperature * math.exp(move))

    @override
    def is_reached(self, params: Params, summary: Summary) -> bool:
        return abs(self._solve(params, summary)[0]) <= ASTRAY

    @override
    def merit(self, params: Params, summary: Summary) -> float:
        """Give the NLL: F at other temperatures is another scale."""
        return NegativeLogLikelihood(self.space, self.temperature, self.variant).value(params, summary)
