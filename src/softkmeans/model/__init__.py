"""The soft k-means model: parameters, logits, assignment rules, and sufficient statistics."""

from __future__ import annotations

__all__ = ["ASSIGNMENTS", "Assignment", "AssignmentRule", "Fuzzy", "Softmax", "Stats", "as_assignment"]

from ..registries import ASSIGNMENTS
from .assignment import Assignment, AssignmentRule, Fuzzy, Softmax, as_assignment
from .stats import Stats
