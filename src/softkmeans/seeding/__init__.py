"""Initialization of the centers. To add a method, write functions and register them in `initial_centers`."""

from __future__ import annotations

__all__ = ["SEEDINGS", "STREAMED_SEEDINGS", "add_centers", "initial_centers"]

from .in_memory import add_centers
from .initial_centers import SEEDINGS, STREAMED_SEEDINGS, initial_centers
