"""What looks for better optima than a single descent finds: annealing, and a local search."""

from __future__ import annotations

__all__ = ["AnnealingPath", "Level", "Transition", "annealing_path"]

from .path import AnnealingPath, Level, Transition, annealing_path
