"""The objectives that a fit minimizes, computed from Stats."""

from __future__ import annotations

__all__ = [
    "Distortion",
    "Equilibrium",
    "FixedPoint",
    "FreeEnergy",
    "FuzzyDistortion",
    "NegativeLogLikelihood",
    "Objective",
]

from .base import Objective
from .distortion import Distortion
from .fixed_point import Equilibrium, FixedPoint
from .free_energy import FreeEnergy
from .fuzzy import FuzzyDistortion
from .likelihood import NegativeLogLikelihood
