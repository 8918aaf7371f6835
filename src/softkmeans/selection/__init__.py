"""How many clusters there are, and whether they can be trusted."""

from __future__ import annotations

__all__ = ["CRITERIA", "RESAMPLES", "SHAPES", "Selection", "Stability", "doubts", "select_n_clusters", "stability"]

from .choosing import CRITERIA, Selection, select_n_clusters
from .doubts import doubts
from .shapes import SHAPES
from .stability import RESAMPLES, Stability, stability
