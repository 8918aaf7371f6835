"""Scikit-learn estimators, alone or in a pipeline after transformers."""

from __future__ import annotations

__all__ = [
    "SCALES",
    "FuzzyCMeans",
    "Model",
    "SoftKMeans",
    "centers_in_data_units",
    "describe_scaling",
    "feature_names",
    "fills_missing",
    "fit_preprocessing",
    "fit_weights",
    "has_data_units",
    "input_columns",
    "make_model",
    "make_preprocessing",
    "n_features_in",
    "preprocess_source",
    "received_rows",
    "split_pipeline",
    "transformed_names",
    "units",
    "with_preprocessing",
]

from .data_units import centers_in_data_units, describe_scaling, has_data_units, transformed_names, units
from .fuzzy_cmeans import FuzzyCMeans
from .pipeline import (
    SCALES,
    Model,
    feature_names,
    fills_missing,
    fit_weights,
    input_columns,
    make_model,
    make_preprocessing,
    n_features_in,
    received_rows,
    split_pipeline,
    with_preprocessing,
)
from .preprocessing import fit_preprocessing, preprocess_source
from .soft_kmeans import SoftKMeans
