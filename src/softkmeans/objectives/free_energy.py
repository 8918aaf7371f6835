"""The free energy, the objective of soft k-means at a fixed temperature."""

from __future__ import annotations

__all__ = ["FreeEnergy"]

from typing_extensions import override

from ..model.params import Params, PassStats
from .base import Objective


class FreeEnergy(Objective):
    """The free energy F = -T Σ w log Σ exp(b - d / T), at a temperature that is not learned."""

    name = "free_energy"

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return self.free_energy(params, sums)

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return self.distortion(sums.stats)

    @override
    def logit_scale(self, params: Params) -> float:
        return params.shared_temperature

    @override
    def in_data_units(self, value: float, n: float) -> float:
        return value * self.scaling.unit
