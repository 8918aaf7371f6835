"""The objective of fuzzy c-means."""

from __future__ import annotations

__all__ = ["FuzzyDistortion"]

import math

from typing_extensions import override

from ..model.params import Params, PassStats
from ..model.stats import Stats
from .free_energy import FreeEnergy


class FuzzyDistortion(FreeEnergy):
    """The objective of assignment rules without a temperature: for fuzzy c-means J = Σ w u^m d, at the optimal u.

    T is 1 and has no meaning.
    """

    name = "fuzzy"
    has_free_energy = False

    @override
    def tolerance_scale(self, sums: PassStats) -> float:
        return -float(sums.stats.objective)

    @override
    def distortion(self, stats: Stats) -> float:
        return -float(stats.objective)

    @override
    def entropy(self, params: Params, sums: PassStats) -> float:
        return math.nan  # cannot be computed from the sums

    @override
    def mean_entropy(self, params: Params, sums: PassStats) -> float:
        return math.inf
