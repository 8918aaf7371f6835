"""Plots of a soft clustering: clusters, memberships, losses, annealing paths, and measures of quality."""

from __future__ import annotations

__all__ = [
    "BifurcationDisplay",
    "ClusterDisplay",
    "DescriptionDisplay",
    "EnergyDisplay",
    "LossDisplay",
    "MembershipDisplay",
    "ReliabilityDisplay",
    "SelectionDisplay",
    "SilhouetteDisplay",
    "UncertaintyDisplay",
    "animate_training",
]

from ..errors import MissingExtraError

try:
    import matplotlib  # noqa: F401 -- imported first, as all modules below need it
except ImportError as error:
    raise MissingExtraError("softkmeans.plots", "matplotlib", "plot") from error

from .animation import animate_training
from .bifurcation import BifurcationDisplay
from .clusters import ClusterDisplay
from .description import DescriptionDisplay
from .energy import EnergyDisplay
from .loss import LossDisplay
from .memberships import MembershipDisplay
from .reliability import ReliabilityDisplay
from .selection import SelectionDisplay
from .silhouette import SilhouetteDisplay
from .uncertainty import UncertaintyDisplay
