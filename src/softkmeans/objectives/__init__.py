"""The objectives that a fit minimizes, computed from Stats."""

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
from .distortion import Distortion
from .fixed_point import Equilibrium, FixedPoint
from .free_energy import FreeEnergy
from .fuzzy import FuzzyDistortion
from .likelihood import NegativeLogLikelihood
