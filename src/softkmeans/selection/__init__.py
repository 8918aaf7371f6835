"""Choose the number of clusters, and check whether a clustering can be trusted."""

from __future__ import annotations

__all__ = [
    "CRITERIA",
    "RESAMPLES",
    "SHAPES",
    "Selection",
    "Stability",
    "diagnose",
    "select_n_clusters",
    "stability",
    "summary",
]

from . import summary
from .covariance import SHAPES
from .diagnostics import diagnose
from .n_clusters import CRITERIA, Selection, select_n_clusters
from .stability import RESAMPLES, Stability, stability
