"""The distances, each with its probability density."""

from __future__ import annotations

__all__ = [
    "DISTANCES",
    "Cosine",
    "Distance",
    "Euclidean",
    "MeanUpdate",
    "SquaredEuclidean",
    "as_distance",
    "check_features",
    "distance_name",
    "squared_distances",
]

from .base import (
    DISTANCES,
    Cosine,
    Distance,
    Euclidean,
    MeanUpdate,
    SquaredEuclidean,
    as_distance,
    check_features,
    distance_name,
    squared_distances,
)
