"""Fuzziness of memberships: metrics that need only ``resp``."""

from __future__ import annotations

__all__ = [
    "UNCERTAINTIES",
    "effective_n_clusters",
    "modified_partition_coefficient",
    "partition_coefficient",
    "partition_entropy",
    "uncertainty",
]

import math
from collections.abc import Callable

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.special import entr

from .._utils.checks import check_known
from ..data.convert import Array, floating_dtype, like
from ..errors import InputError
from ._inputs import Table, aligned_blocks, as_memberships, normalized_blocks, weighted_mean, with_noise_column


def partition_coefficient(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Return Bezdek's partition coefficient, the mean of Σ_k r².

    It is the probability that two clusters drawn from a row's memberships are the same: 1 for crisp memberships and
    1 / k if all memberships are equal. It tends to fall as k grows: see `modified_partition_coefficient`.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. A row that sums to s < 1 counts as s rows with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        From 1 / k to 1.

    Raises
    ------
    InputError
        If ``resp`` or the weights are invalid, or no row belongs to a cluster.

    References
    ----------
    Bezdek, "Numerical taxonomy with fuzzy sets", Journal of Mathematical Biology 1, 1974.

    Examples
    --------
    >>> partition_coefficient([[1.0, 0.0], [0.5, 0.5]])
    0.75
    """
    blocks = normalized_blocks(as_memberships(resp, sample_weight))
    return float(weighted_mean((block.p.square().sum(1), block.w) for block in blocks))


def modified_partition_coefficient(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Return Davé's modified partition coefficient, 1 - k / (k - 1) (1 - PC): 0 if all memberships are equal.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships in two clusters or more. A row that sums to s < 1 counts as s rows with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        From 0 to 1; crisp memberships have 1.

    Raises
    ------
    InputError
        If ``resp`` or the weights are invalid, no row belongs to a cluster, or there is only one cluster.

    References
    ----------
    Davé, "Validating fuzzy partitions obtained through c-shells clustering", Pattern Recognition Letters 17, 1996.

    Examples
    --------
    >>> modified_partition_coefficient([[1.0, 0.0], [0.5, 0.5]])
    0.5
    """
    source = as_memberships(resp, sample_weight)
    k = source.n_features
    if k == 1:
        problem = "has one column, but the coefficient is not defined for one cluster"
        raise InputError(problem, parameter="resp", hint="give two clusters or more")
    return 1 - k / (k - 1) * (1 - partition_coefficient(source))


def partition_entropy(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Return Bezdek's partition entropy, the mean of -Σ_k r log r, in nats.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. A row that sums to s < 1 counts as s rows with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        From 0 for crisp memberships to log k if all memberships are equal.

    Raises
    ------
    InputError
        If ``resp`` or the weights are invalid, or no row belongs to a cluster.

    References
    ----------
    Bezdek, "Cluster validity with fuzzy sets", Journal of Cybernetics 3, 1974.

    Examples
    --------
    >>> round(partition_entropy([[1.0, 0.0], [0.5, 0.5]]), 4)  # log(2) / 2
    0.3466
    """
    blocks = normalized_blocks(as_memberships(resp, sample_weight))
    return float(weighted_mean((_entropy(block.p), block.w) for block in blocks))


def effective_n_clusters(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Return the effective number of clusters: the exponential of the entropy (perplexity) of the mean memberships.

    k clusters of the same weight count as k, and an empty cluster does not count. The value measures how equal the
    cluster weights are, not how crisp the memberships are: k clusters with equal memberships in every row count as k.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. A row that sums to s < 1 counts as s rows with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        From 1 to k.

    Raises
    ------
    InputError
        If ``resp`` or the weights are invalid, or no row belongs to a cluster.

    References
    ----------
    Hill, "Diversity and evenness: a unifying notation and its consequences", Ecology 54, 1973: Hill number of order 1.

    Examples
    --------
    >>> round(effective_n_clusters([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 12)
    2.0
    """
    blocks = normalized_blocks(as_memberships(resp, sample_weight))
    mean_memberships = weighted_mean((block.p, block.w) for block in blocks)
    return math.exp(float(entr(mean_memberships).sum()))


def _complement(p: Tensor) -> Tensor:
    """Return 1 minus the largest membership of each row (m,)."""
    return 1 - p.amax(1)


def _margin(p: Tensor) -> Tensor:
    """Return 1 minus the difference of the two largest memberships of each row (m,)."""
    first, second = p.topk(2, 1).values.unbind(1)
    return 1 - (first - second)


def _entropy(p: Tensor) -> Tensor:
    """Return the entropy of each row's memberships (m,), in nats."""
    entropy: Tensor = entr(p).sum(1)
    return entropy


UNCERTAINTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "complement": _complement,
    "margin": _margin,
    "entropy": _entropy,
}


def uncertainty(resp: Table, *, kind: str = "complement") -> Array:
    """Return how uncertain the cluster of each row is; 0 for crisp memberships.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. If a row sums to less than 1, the rest counts as one more cluster, noise: a row that is certainly
        noise has uncertainty 0.
    kind : {"complement", "margin", "entropy"}
        The measure. "complement" (default) is 1 - max r: the probability that the likeliest cluster is wrong, at most
        1 - 1 / k. "margin" is 1 - (first - second): 1 if the two largest memberships are equal. "entropy" is
        -Σ r log r / log k: 1 if all memberships are equal; if any row sums to less than 1, k includes the noise.

    Returns
    -------
    ndarray or Tensor (n,)
        A tensor of the same type if ``resp`` is a tensor. Weights have no influence.

    Raises
    ------
    InputError
        If ``resp`` or ``kind`` is invalid.

    References
    ----------
    Bensmail, Celeux, Raftery & Robert, "Inference in model-based cluster analysis", Statistics and Computing 7, 1997,
    for 1 - max r.

    Examples
    --------
    >>> uncertainty([[1.0, 0.0], [0.75, 0.25]])
    array([0.  , 0.25])
    >>> uncertainty([[1.0, 0.0], [0.75, 0.25]], kind="margin")
    array([0. , 0.5])
    """
    check_known("kind", kind, UNCERTAINTIES)
    source = as_memberships(resp)
    values, has_noise, dtype = list[Tensor](), False, torch.float64
    for (block,) in aligned_blocks(source):
        p, dtype = with_noise_column(block), floating_dtype(None, block.rows)
        values.append(UNCERTAINTIES[kind](p))
        has_noise = has_noise or bool(p[:, -1].any())
    scale = 1.0
    if kind == "entropy":
        scale = math.log(max(2, source.n_features + has_noise))  # at least 2: one cluster has entropy 0 and log 1 = 0
    return like(resp, (torch.cat(values) / scale).to(dtype))
