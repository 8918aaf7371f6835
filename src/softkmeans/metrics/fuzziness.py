"""How sharp memberships are: functions of ``resp`` alone."""

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
from ._inputs import Table, as_memberships, average, parts, pieces, with_noise


def partition_coefficient(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Give Bezdek's partition coefficient, the mean of Σ_k r².

    It is the chance that a row's cluster, drawn twice by its memberships, is the same: 1 for crisp memberships and
    1 / k where all are equal. It tends to fall as k grows: see `modified_partition_coefficient`.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. A row that sums to s < 1 counts as s of a row with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        From 1 / k to 1.

    Raises
    ------
    InputError
        If ``resp`` or the weights can't be used, or no row belongs to a cluster.

    References
    ----------
    Bezdek, "Numerical taxonomy with fuzzy sets", Journal of Mathematical Biology 1, 1974.

    Examples
    --------
    >>> partition_coefficient([[1.0, 0.0], [0.5, 0.5]])
    0.75
    """
    return float(average((part.p.square().sum(1), part.w) for part in parts(as_memberships(resp, sample_weight))))


def modified_partition_coefficient(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Give Davé's modified partition coefficient, 1 - k / (k - 1) (1 - PC): 0 where all memberships are equal.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships in two clusters or more. A row that sums to s < 1 counts as s of a row with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        From 0 to 1, which crisp memberships have.

    Raises
    ------
    InputError
        If ``resp`` or the weights can't be used, no row belongs to a cluster, or there is but one cluster.

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
        raise InputError("resp has one column, and one cluster has no modified coefficient: give two clusters or more")
    return 1 - k / (k - 1) * (1 - partition_coefficient(source))


def partition_entropy(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Give Bezdek's partition entropy, the mean of -Σ_k r log r, in nats.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. A row that sums to s < 1 counts as s of a row with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        From 0, which crisp memberships have, to log k, where all are equal.

    Raises
    ------
    InputError
        If ``resp`` or the weights can't be used, or no row belongs to a cluster.

    References
    ----------
    Bezdek, "Cluster validity with fuzzy sets", Journal of Cybernetics 3, 1974.

    Examples
    --------
    >>> round(partition_entropy([[1.0, 0.0], [0.5, 0.5]]), 4)  # log(2) / 2
    0.3466
    """
    return float(average((_entropy(part.p), part.w) for part in parts(as_memberships(resp, sample_weight))))


def effective_n_clusters(resp: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    """Give how many clusters are in use: exp of the entropy of the mean membership, its perplexity.

    k clusters of the same size count as k, an empty one as none. It says how even the sizes are, not how sharp the
    memberships: clusters that share every row count in full.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. A row that sums to s < 1 counts as s of a row with memberships resp / s.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        From 1 to k.

    Raises
    ------
    InputError
        If ``resp`` or the weights can't be used, or no row belongs to a cluster.

    References
    ----------
    Hill, "Diversity and evenness: a unifying notation and its consequences", Ecology 54, 1973: his number of order 1.

    Examples
    --------
    >>> round(effective_n_clusters([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 12)
    2.0
    """
    size = average((part.p, part.w) for part in parts(as_memberships(resp, sample_weight)))
    return math.exp(float(entr(size).sum()))


def _complement(p: Tensor) -> Tensor:
    return 1 - p.amax(1)


def _margin(p: Tensor) -> Tensor:
    first, second = p.topk(2, 1).values.unbind(1)
    return 1 - (first - second)


def _entropy(p: Tensor) -> Tensor:
    entropy: Tensor = entr(p).sum(1)
    return entropy


UNCERTAINTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "complement": _complement,
    "margin": _margin,
    "entropy": _entropy,
}


def uncertainty(resp: Table, *, kind: str = "complement") -> Array:
    """Give how unsure each row's cluster is, from 0 where its memberships are crisp.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. What a row lacks to 1 counts as one more cluster: a row that is noise for certain is not unsure.
    kind : {"complement", "margin", "entropy"}
        What is measured. "complement" (default) is 1 - max r: the chance that the likeliest cluster is wrong, at most
        1 - 1 / k. "margin" is 1 - (first - second): 1 where the two likeliest are as likely. "entropy" is
        -Σ r log r / log k: 1 where all are equal; if any row lacks something to 1, k counts the noise.

    Returns
    -------
    ndarray or Tensor (n,)
        A tensor where one came, of its type; weights play no part in it.

    Raises
    ------
    InputError
        If ``resp`` can't be used, or the kind is not known.

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
    source, found, noisy, dtype = as_memberships(resp), list[Tensor](), False, torch.float64
    for (piece,) in pieces(source):
        p, dtype = with_noise(piece), floating_dtype(None, piece.rows)
        found.append(UNCERTAINTIES[kind](p))
        noisy = noisy or bool(p[:, -1].any())
    most = math.log(max(2, source.n_features + noisy)) if kind == "entropy" else 1.0  # one cluster leaves no doubt
    return like(resp, (torch.cat(found) / most).to(dtype))
