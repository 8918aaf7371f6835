"""Figures over all rows, and the rows that a report shows: all, or a stratified sample."""

from __future__ import annotations

__all__ = ["Overview", "ShownRows", "overview_of", "shown_rows"]

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.sampling import exponential_times
from ..estimators.assigned_rows import AssignedBlock, AssignedRows

Array = NDArray[np.float64]

MAX_ROWS = 20_000
MAX_BYTES = 4_330_000  # of the numbers of the rows; base64 adds a third
MIN_ROWS = 100
MIN_ROWS_OF_CLUSTER = 30  # shown of each cluster that has them
N_AMBIGUOUS = 100  # most ambiguous rows, which are always shown
N_BINS = 20  # of histograms from 0 to 1


class Overview(NamedTuple):
    """Sums over all rows at the fitted temperature.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    weight : float
        Σw.
    cluster_weights : ndarray (k,)
        Σ w r of each cluster.
    cluster_rows : ndarray (k + 1,)
        Number of rows whose likeliest cluster is each; in the last entry those that are most likely noise.
    certainty : ndarray (N_BINS,)
        Weight of the rows by their largest membership, in bins of equal width from 0 to 1.
    silhouette : ndarray (k,)
        Weighted mean of the simplified silhouette widths of each cluster's rows; NaN without rows.
    distortion, entropy : float
        E and H.
    ambiguous : ndarray (m,) of int
        Indices of the rows with the smallest difference of their two largest memberships.
    """

    n_rows: int
    weight: float
    cluster_weights: Array
    cluster_rows: NDArray[np.int64]
    certainty: Array
    silhouette: Array
    distortion: float
    entropy: float
    ambiguous: NDArray[np.int64]


@dataclass(frozen=True)
class ShownRows:
    """The rows that a report shows, in the order of the data.

    Attributes
    ----------
    index : ndarray (m,) of int
        Their indices in the data.
    values, received, weights, resp, distances : ndarray
        As in `AssignedBlock`.
    """

    index: NDArray[np.int64]
    values: Array
    received: Array
    weights: Array
    resp: Array
    distances: Array

    def take(self, which: NDArray[np.int64]) -> ShownRows:
        """Return some of the rows, by their places here."""
        return ShownRows(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


def overview_of(rows: AssignedRows, *, metric_power: int) -> Overview:
    """Compute figures over all rows in one pass. ``metric_power`` is 2 if the distance is a square, else 1."""
    k = rows.n_clusters
    weight, distortion, entropy, n_rows = 0.0, 0.0, 0.0, 0
    sums, counts = np.zeros(k), np.zeros(k + 1, dtype=np.int64)
    certainty, widths = np.zeros(N_BINS), np.zeros((2, k))
    margins, indices = np.empty(0), np.empty(0, dtype=np.int64)
    for block in rows.blocks():
        w, resp = block.weights, block.resp
        labels, largest = _labels(resp), resp.max(1)
        n_rows, weight = n_rows + len(w), weight + float(w.sum())
        sums += w @ resp
        counts += np.bincount(labels, minlength=k + 1)
        certainty += np.bincount(np.minimum((largest * N_BINS).astype(int), N_BINS - 1), w, minlength=N_BINS)
        distortion += float(w @ (resp * block.distances).sum(1))
        entropy -= float(w @ (resp * np.log(np.maximum(resp, 1e-300))).sum(1))
        if k > 1:
            own = resp.argmax(1)
            widths[0] += np.bincount(own, w * silhouette_widths(block.distances ** (1 / metric_power), own), k)
            widths[1] += np.bincount(own, w, k)
            ordered = np.partition(resp, -2, axis=1)
            margins = np.concatenate([margins, ordered[:, -1] - ordered[:, -2]])
            indices = np.concatenate([indices, block.start + np.arange(len(w))])
            best = np.argsort(margins, kind="stable")[:N_AMBIGUOUS]
            margins, indices = margins[best], indices[best]
    with np.errstate(invalid="ignore"):
        silhouette = widths[0] / widths[1]
    return Overview(n_rows, weight, sums, counts, certainty, silhouette, distortion, entropy, indices)


def silhouette_widths(distances: Array, own: NDArray[np.int64]) -> Array:
    """Return the simplified silhouette widths (m,) from distances to the centers (m, k), k > 1; 0 if both are 0."""
    a = distances[np.arange(len(own)), own]
    others = distances.copy()
    others[np.arange(len(own)), own] = math.inf
    b = others.min(1)
    larger = np.maximum(a, b)
    widths: Array = np.where(larger > 0, (b - a) / np.where(larger > 0, larger, 1.0), 0.0)
    return widths


def _labels(resp: Array) -> NDArray[np.int64]:
    """Return the likeliest cluster (m,) of rows; k for noise."""
    labels: NDArray[np.int64] = resp.argmax(1)
    labels[resp.max(1) < 1 - resp.sum(1)] = resp.shape[1]
    return labels


def n_shown_rows(n_rows: int, bytes_per_row: int, max_rows: int | None) -> int:
    """Return how many rows a report shows."""
    limit = max(MIN_ROWS, MAX_BYTES // bytes_per_row)
    return min(n_rows, limit, MAX_ROWS if max_rows is None else max_rows)


def shown_rows(rows: AssignedRows, overview: Overview, n_shown: int, seed: int = 0) -> ShownRows:
    """Return all rows, or a sample: of each cluster in proportion to its number of rows, and the most ambiguous ones.

    The sample depends on the seed and on the rows, not on how they are divided into blocks.
    """
    if n_shown >= overview.n_rows:
        return _joined([_part(block, np.arange(len(block.weights))) for block in rows.blocks()])
    forced = overview.ambiguous[: n_shown // 10]
    quota = _quotas(overview.cluster_rows, n_shown - len(forced))
    kept: list[tuple[Array, ShownRows] | None] = [None] * len(quota)
    always: list[ShownRows] = []
    for block in rows.blocks():
        labels = _labels(block.resp)
        is_forced = np.isin(block.start + np.arange(len(labels)), forced)
        always.append(_part(block, np.flatnonzero(is_forced)))
        times = exponential_times(block.start, len(labels), seed)
        for stratum, size in enumerate(quota):
            own = np.flatnonzero((labels == stratum) & ~is_forced)
            if not size or not len(own):
                continue
            own = own[np.argsort(times[own], kind="stable")[:size]]
            time, part = times[own], _part(block, own)
            if (before := kept[stratum]) is not None:
                time, part = np.concatenate([before[0], time]), _joined([before[1], part])
                best = np.argsort(time, kind="stable")[:size]
                time, part = time[best], part.take(best)
            kept[stratum] = (time, part)
    sample = _joined([*always, *(part[1] for part in kept if part is not None)])
    return sample.take(np.argsort(sample.index, kind="stable"))


def _quotas(counts: NDArray[np.int64], n_shown: int) -> NDArray[np.int64]:
    """Return how many rows of each stratum are shown: in proportion, but some of each."""
    share = np.floor(counts * (n_shown / counts.sum())).astype(np.int64)
    least = min(MIN_ROWS_OF_CLUSTER, n_shown // max(len(counts), 1))
    quotas: NDArray[np.int64] = np.minimum(np.maximum(share, least), counts)
    return quotas


def _part(block: AssignedBlock, which: NDArray[np.int64]) -> ShownRows:
    return ShownRows(
        block.start + which,
        block.values[which],
        block.received[which],
        block.weights[which],
        block.resp[which],
        block.distances[which],
    )


def _joined(parts: list[ShownRows]) -> ShownRows:
    names = [field.name for field in fields(ShownRows)]
    return ShownRows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
