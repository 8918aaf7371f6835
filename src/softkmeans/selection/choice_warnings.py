"""Warnings about a selected number of clusters."""

from __future__ import annotations

__all__ = ["choice_warnings"]

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._utils.text import printable
from ..data.block import Block, as_tensor
from ..data.source import BlockSource, Source
from ..distances import as_distance
from ..errors import Message, Setting
from ..estimators.soft_kmeans import SoftKMeans
from .likelihood_rows import LikelihoodRows

MAX_RESOLUTION = 0.5  # of rounded values, relative to the standard deviation within clusters
MAX_SKEWNESS = 1.0
MAX_EXCESS_KURTOSIS = 3.0
N_STANDARD_ERRORS = 4  # of the skewness or kurtosis of a normal distribution, which a larger one must exceed
MAX_NAMES = 5


class _Moments(NamedTuple):
    """Moments of the features within clusters.

    Attributes
    ----------
    deviation, skewness, excess_kurtosis : ndarray (r,)
        Standard deviation, skewness and excess kurtosis; the last two are 0 for a feature without variance.
    """

    deviation: NDArray[np.float64]
    skewness: NDArray[np.float64]
    excess_kurtosis: NDArray[np.float64]


def choice_warnings(
    at_end: bool,
    choices: Mapping[str, int],
    n_distinct: int,
    source: Source,
    rows: LikelihoodRows,
    mixture: SoftKMeans,
    n: float,
) -> tuple[Message, ...]:
    """Return one line for each problem of a selected number of clusters.

    Parameters
    ----------
    at_end : bool
        Whether the choice is at the end of the range.
    choices : mapping of str to int
        The number of clusters that each criterion selects, of the criteria that are defined for the selected number.
    n_distinct : int
        Number of distinct rows.
    source : Source
        The rows for likelihoods.
    rows : LikelihoodRows
        The same rows, with what is known of their features.
    mixture : SoftKMeans
        The selected mixture, fitted on these rows.
    n : float
        The number of rows that the weighted rows count as.
    """
    found = []
    n_clusters = len(mixture.cluster_centers_)
    if at_end:
        subject = "1 cluster is" if n_clusters == 1 else f"{n_clusters} clusters are"
        problem = f"{subject} the end of the range, which is no answer, as more may be better: raise the end of "
        found.append(Message(problem, Setting("k_range"), ", or set ", Setting("grow", True)))
    found += _warn_about_majority(choices, n_clusters)
    if rows.categories:
        problem = f"{_subject(rows.categories)} only two values"
        found.append(Message(f"{problem}; such features do not count in BIC, ICL and the held-out score"))
    if n_clusters == n_distinct < n / 2:
        problem = f"the rows have only {n_distinct} distinct values, and each is taken for a cluster"
        found.append(
            Message(f"{problem}: count how often each occurs instead, or lower the end of ", Setting("k_range"))
        )
    elif as_distance(mixture.distance).is_squared:
        moments = _moments_within_clusters(source, mixture)
        found += _warn_about_rounding(rows, moments) or _warn_about_tails(rows, moments, n)
    return tuple(found)


def _warn_about_majority(choices: Mapping[str, int], n_clusters: int) -> list[Message]:
    """Return a warning if at least half of the criteria, and at least two, agree on one other number of clusters."""
    others = Counter(k for k in choices.values() if k != n_clusters)
    k, count = others.most_common(1)[0] if others else (n_clusters, 0)
    if count < max(2, len(choices) / 2):
        return []
    names = ", ".join(name for name, choice in choices.items() if choice == k)
    problem = f"{count} of {len(choices)} criteria select {k}, not {n_clusters}: {names}"
    return [Message(f"{problem}; compare both numbers, for example by their stability")]


def _moments_within_clusters(source: Source, mixture: SoftKMeans) -> _Moments:
    """Return the moments of the features of a source's rows around the centers of their clusters; noise has none."""
    clustering = mixture._clustering(source)
    centers = as_tensor(mixture.cluster_centers_).to(source.device, source.dtype)

    def mean_powers(unit: Tensor, powers: tuple[int, int]) -> Tensor:
        def sums(block: Block) -> Tensor:
            labels = clustering.labels(BlockSource(block, source)).to(source.device)
            w, rest = block.w * (labels >= 0), (block.x - centers[labels.clamp_min(0)]) / unit
            return torch.stack([w.sum().expand_as(unit), *(w @ rest**power for power in powers)])

        total: Tensor = source.sum(lambda block: block.sum(sums))
        return total[1:] / total[0]

    deviation = mean_powers(centers.new_ones(centers.shape[1]), (2, 1))[0].sqrt()
    varies = deviation > 0
    third, fourth = mean_powers(torch.where(varies, deviation, 1.0), (3, 4))
    skewness, excess = third, torch.where(varies, fourth - 3, 0.0)
    return _Moments(*(moment.cpu().numpy() for moment in (deviation, skewness, excess)))


def _warn_about_rounding(rows: LikelihoodRows, moments: _Moments) -> list[Message]:
    """Return a warning if clusters are hardly wider than the spacing of rounded values."""
    deviation = np.sqrt(np.maximum(moments.deviation**2 - rows.noise_variance, 0.0))
    text = (
        "few distinct values, about as far apart as clusters are wide: the likelihoods of normal distributions, and so "
        "BIC, ICL and the held-out score, say little about such data; compare other criteria, and the stability"
    )
    return _warn_of_features(rows, rows.resolution > MAX_RESOLUTION * deviation, text)


def _warn_about_tails(rows: LikelihoodRows, moments: _Moments, n: float) -> list[Message]:
    """Return a warning if features are skewed or have heavy tails within clusters."""
    is_skewed = np.abs(moments.skewness) > max(MAX_SKEWNESS, N_STANDARD_ERRORS * (6 / n) ** 0.5)
    is_heavy = moments.excess_kurtosis > max(MAX_EXCESS_KURTOSIS, N_STANDARD_ERRORS * (24 / n) ** 0.5)
    text = (
        "a skewed or heavy-tailed distribution within clusters, so BIC may count the parts of a cluster: "
        "transform such features, for example by the logarithm"
    )
    return _warn_of_features(rows, is_skewed | is_heavy, text)


def _warn_of_features(rows: LikelihoodRows, is_affected: NDArray[np.bool_], text: str) -> list[Message]:
    """Return the warning that some features (r,) have what the text says; none if no feature is affected."""
    names = [rows.names[j] for j in is_affected.nonzero()[0]]
    return [Message(f"{_subject(names)} {text}")] if names else []


def _subject(names: list[str]) -> str:
    """Return names of features as the subject of a sentence, with "has" or "have"."""
    shown = ", ".join(map(printable, names[:MAX_NAMES])) + (
        f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    )
    return f"feature {shown} has" if len(names) == 1 else f"features {shown} have"
