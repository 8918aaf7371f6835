"""How many clusters there are, and whether they can be trusted."""

from __future__ import annotations

__all__ = ["CRITERIA", "SHAPES", "Selection", "select_n_clusters"]

from .choosing import CRITERIA, Selection, select_n_clusters
from .shapes import SHAPES
