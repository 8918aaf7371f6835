"""Initialization of the centers."""

from __future__ import annotations

__all__ = ["SEEDINGS", "Seeding", "add_centers", "initial_centers"]

from .base import Seeding
from .methods_in_memory import add_centers
from .registry import SEEDINGS, initial_centers
