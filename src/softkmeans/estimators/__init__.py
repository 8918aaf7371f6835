"""Scikit-learn estimators, alone or in a pipeline after a ``StandardScaler``."""

from __future__ import annotations

__all__ = [
    "SCALES",
    "FuzzyCMeans",
    "Model",
    "SoftKMeans",
    "centers_in_units",
    "feature_names",
    "fitted_scaler",
    "parts",
    "scaled",
    "with_scaling",
]

from .fuzzy_cmeans import FuzzyCMeans
from .pipeline import SCALES, Model, centers_in_units, feature_names, fitted_scaler, parts, scaled, with_scaling
from .soft_kmeans import SoftKMeans
