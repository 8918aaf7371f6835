"""Deterministic annealing: the annealing path, and splitting and pruning of clusters."""

from __future__ import annotations

__all__ = ["AnnealingPath", "Level", "Transition", "annealing_path"]

from .path import AnnealingPath, Level, Transition, annealing_path
