"""Initialization of the centers. To add a method, write functions and register them in `registry`."""

from __future__ import annotations

__all__ = ["SEEDINGS", "STREAMED_SEEDINGS", "add_centers", "initial_centers"]

from .methods_in_memory import add_centers
from .registry import SEEDINGS, STREAMED_SEEDINGS, initial_centers
