"""Where centers start. A new rule is a function, and a line in the tables of `table`."""

from __future__ import annotations

__all__ = ["SEEDINGS", "STREAMED_SEEDINGS", "add_centers", "initial_centers"]

from .in_memory import add_centers
from .initial_centers import SEEDINGS, STREAMED_SEEDINGS, initial_centers
