"""Scikit-learn estimators, alone or in a pipeline after a ``StandardScaler``."""

from __future__ import annotations

__all__ = [
    "SCALES",
    "FuzzyCMeans",
    "Model",
    "SoftKMeans",
    "centers_in_data_units",
    "feature_names",
    "fit_scaler",
    "make_model",
    "split_pipeline",
    "standardize_source",
]

from .fuzzy_cmeans import FuzzyCMeans
from .pipeline import (
    SCALES,
    Model,
    centers_in_data_units,
    feature_names,
    fit_scaler,
    make_model,
    split_pipeline,
    standardize_source,
)
from .soft_kmeans import SoftKMeans
