"""Pictures of a soft clustering: the clusters with their certainty, and the loss per step."""

from __future__ import annotations

__all__ = ["ClusterDisplay", "LossDisplay"]

from ..errors import MissingExtraError

try:
    import matplotlib  # noqa: F401 -- asked for before all others, which need it
except ImportError as error:
    raise MissingExtraError("softkmeans.plots", "matplotlib", "plot") from error

from .clusters import ClusterDisplay
from .loss import LossDisplay
