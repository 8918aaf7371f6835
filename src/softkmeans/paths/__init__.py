"""What looks for better optima than a single descent finds: annealing, and a local search."""

from __future__ import annotations

__all__ = ["breathe"]

from .breathing import breathe
