"""Choose the number of clusters, and check whether a clustering can be trusted."""

from __future__ import annotations

__all__ = [
    "COVARIANCE_TYPES",
    "CRITERIA",
    "RESAMPLES",
    "Criterion",
    "Description",
    "Fits",
    "Folds",
    "Selection",
    "Stability",
    "describe_clusters",
    "diagnose",
    "first_within_error",
    "highest",
    "lowest",
    "select_n_clusters",
    "stability",
    "summary",
]

from ..registries import CRITERIA
from . import summary
from .covariance import COVARIANCE_TYPES
from .criterion import Criterion, Fits, Folds, first_within_error, highest, lowest
from .description import Description, describe_clusters
from .diagnostics import diagnose
from .n_clusters import select_n_clusters
from .result import Selection
from .stability import RESAMPLES, Stability, stability
