"""Metrics of soft clusterings: fuzziness, separation, agreement and calibration of memberships ``resp`` (n, k).

A row of ``resp`` may sum to less than 1 if the model has a noise cluster: the rest belongs to no cluster. Metrics of
one clustering ignore that part: a row that sums to s counts as s rows with memberships resp / s. Metrics that compare
two clusterings, and ``uncertainty``, count it as one more cluster, as scikit-learn does with the label -1. ``align``
ignores it.
"""

from __future__ import annotations

__all__ = [
    "Reliability",
    "align",
    "effective_n_clusters",
    "expected_calibration_error",
    "fuzzy_silhouette",
    "modified_partition_coefficient",
    "partition_coefficient",
    "partition_entropy",
    "reliability",
    "silhouette_samples",
    "soft_adjusted_rand",
    "soft_mutual_information",
    "uncertainty",
    "xie_beni",
]

from .agreement import align, soft_adjusted_rand, soft_mutual_information
from .fuzziness import (
    effective_n_clusters,
    modified_partition_coefficient,
    partition_coefficient,
    partition_entropy,
    uncertainty,
)
from .reliability import Reliability, expected_calibration_error, reliability
from .separation import fuzzy_silhouette, silhouette_samples, xie_beni
