"""The annealing tree and the curves of the number of clusters, as a report draws them."""

from __future__ import annotations

__all__ = ["path_content", "selection_content"]

from typing import Any

import numpy as np
import torch

from ..annealing import annealing_path
from ..data.source import Source
from ..distances import Distance
from ..registries import CRITERIA
from ..selection import select_n_clusters

MAX_PATH_CLUSTERS = 16
MARGIN_OF_PATH = 3  # the tree ends at the last event or at the fitted temperature, divided by this
MAX_K = 10
MAX_SELECTION_ROWS = 5_000  # larger data is sampled, as every number of clusters takes several fits


def path_content(source: Source, estimator: Any, distance: Distance) -> dict[str, Any]:
    """Return the annealing path of the rows: temperatures, clusters with their parents and weights, and transitions.

    Parameters
    ----------
    source : Source
        The rows that the estimator receives.
    estimator : SoftKMeans or FuzzyCMeans
        The fitted estimator, for its number of clusters.
    distance : Distance
        The distance of the path.
    """
    limit = min(MAX_PATH_CLUSTERS, max(2 * len(estimator.cluster_centers_), 4))
    path = annealing_path(source, distance=distance, max_clusters=limit)
    last = min(
        [t.temperature for t in path.transitions] + [float(np.mean(vars(estimator).get("temperature_", np.inf)))]
    )
    levels = [level for level in path.levels if level.temperature >= last / MARGIN_OF_PATH]
    return {
        "critical": path.critical_temperature,
        "levels": [
            {"temperature": level.temperature, "parents": level.parents.tolist(), "weights": level.weights.tolist()}
            for level in levels
        ],
        "transitions": [
            {"temperature": change.temperature, "level": change.level, "kind": change.kind}
            for change in path.transitions
        ],
        "lifetimes": {str(k): value for k, value in path.lifetimes().items()},
    }


def selection_content(source: Source, sample_weight: Any) -> dict[str, Any] | None:
    """Return the scores of every criterion for 1 to 10 clusters, and the number that each chooses.

    None if there are too few distinct rows to compare numbers.

    Parameters
    ----------
    source : Source
        The rows that the estimator receives.
    sample_weight : array-like (n,) or None
        Weights of the rows.
    """
    n = source.n_rows
    index = np.arange(n)
    if n > MAX_SELECTION_ROWS:
        index = np.sort(np.random.default_rng(0).choice(n, MAX_SELECTION_ROWS, replace=False))
    x = source.take(torch.from_numpy(index)).cpu().numpy()
    weights = None if sample_weight is None else np.asarray(sample_weight)[index]
    last = min(MAX_K, len(np.unique(x, axis=0)) - 1)
    if last < 2:
        return None
    found = select_n_clusters(x, range(1, last + 1), sample_weight=weights, path=False, random_state=0)
    scores = {name: np.asarray(found.scores[name], dtype=float).tolist() for name in CRITERIA if name in found.scores}
    return {
        "k": list(range(1, last + 1)),
        "scores": scores,
        "headers": {name: CRITERIA[name].header for name in scores},
        "choices": found.choices,
        "chosen": found.n_clusters,
        "criterion": CRITERIA[found.criterion].header,
        "confidence": found.confidence,
        "at_end": found.at_end,
        "n_rows": len(index),
    }
