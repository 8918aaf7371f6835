"""The distances, each with its probability density."""

from __future__ import annotations

__all__ = [
    "DISTANCES",
    "Averaged",
    "Cosine",
    "Distance",
    "Euclidean",
    "SquaredEuclidean",
    "as_distance",
    "check_features",
    "distance_name",
    "squared_distances",
]

from .base import (
    DISTANCES,
    Averaged,
    Cosine,
    Distance,
    Euclidean,
    SquaredEuclidean,
    as_distance,
    check_features,
    distance_name,
    squared_distances,
)
