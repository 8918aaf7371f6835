"""Functions on a block of rows: memberships, distances and sufficient statistics.

The compiled kernels (`cpu`) serve large blocks on the CPU; the reference kernels (`reference`) serve all others.
"""

from __future__ import annotations

__all__ = [
    "SOFTMAX",
    "Logits",
    "accumulate",
    "accumulate_distortion",
    "assign",
    "distances",
    "entropy_slope",
    "lognorm",
    "min_distances",
    "nearest",
    "row_gradient",
    "tiles",
]

from .dispatch import (
    accumulate,
    accumulate_distortion,
    assign,
    distances,
    entropy_slope,
    lognorm,
    min_distances,
    nearest,
    row_gradient,
)
from .gradients import Logits
from .reference import SOFTMAX, tiles
