"""Distances between rows and centers, each with its probability density."""

from __future__ import annotations

__all__ = [
    "DISTANCES",
    "Cosine",
    "Distance",
    "Euclidean",
    "SquaredEuclidean",
    "as_distance",
    "check_distance",
    "check_features",
    "distance_name",
    "name_or_distance",
    "squared_distances",
]

from .base import (
    DISTANCES,
    Distance,
    as_distance,
    check_features,
    distance_name,
    name_or_distance,
    squared_distances,
)
from .check import check_distance
from .cosine import Cosine
from .euclidean import Euclidean, SquaredEuclidean
