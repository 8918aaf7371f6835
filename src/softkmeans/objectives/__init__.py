"""What a fit minimises, in terms of Stats."""

from __future__ import annotations

__all__ = [
    "LEAST",
    "Distortion",
    "Equilibrium",
    "FixedPoint",
    "FreeEnergy",
    "FuzzyDistortion",
    "NegativeLogLikelihood",
    "Objective",
]

from .base import LEAST, Objective
from .fixed_point import Equilibrium, FixedPoint, FuzzyDistortion
from .free_energy import Distortion, FreeEnergy, NegativeLogLikelihood
