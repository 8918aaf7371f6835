"""What a fit minimizes, in terms of Stats."""

from __future__ import annotations

__all__ = [
    "MIN_PRIOR",
    "Distortion",
    "Equilibrium",
    "FixedPoint",
    "FreeEnergy",
    "FuzzyDistortion",
    "NegativeLogLikelihood",
    "Objective",
]

from .base import MIN_PRIOR, Objective
from .fixed_point import Equilibrium, FixedPoint, FuzzyDistortion
from .free_energy import Distortion, FreeEnergy, NegativeLogLikelihood
