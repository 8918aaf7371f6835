"""Geometry of the unit sphere."""

from __future__ import annotations

__all__ = ["log_sphere_area"]

import math


def log_sphere_area(n_features: int) -> float:
    """Return the log of the area of the unit sphere in d dimensions, 2 π^(d/2) / Γ(d/2)."""
    return math.log(2) + n_features / 2 * math.log(math.pi) - math.lgamma(n_features / 2)
