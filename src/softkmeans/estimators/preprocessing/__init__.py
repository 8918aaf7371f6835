"""Transformers of scikit-learn in front of an estimator: which ones, in files, undone, and by tensor operations."""

from __future__ import annotations

__all__ = [
    "RECORDS",
    "SCALES",
    "Undone",
    "Words",
    "check_preprocessing",
    "first_step",
    "fit_preprocessing",
    "from_node",
    "input_names",
    "make_log",
    "n_inputs",
    "nonnegative_log1p",
    "preprocess_source",
    "record_of",
]

from .composites import RECORDS, check_preprocessing, first_step, from_node, input_names, n_inputs, record_of
from .functions import make_log, nonnegative_log1p
from .record import Undone, Words
from .sources import SCALES, fit_preprocessing, preprocess_source
