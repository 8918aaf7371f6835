"""Agreement of two soft clusterings of the same rows, from the contingency table of their clusters."""

from __future__ import annotations

__all__ = ["AVERAGES", "align", "soft_adjusted_rand", "soft_mutual_information"]

import functools
import math
import operator
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.special import entr

from .._utils.checks import check_known
from ..data.convert import Array, like
from ..errors import InputError
from ._inputs import Table, aligned_blocks, as_memberships, check_same_rows, with_noise_column

MIN_RELATIVE_RANGE = 1e-12  # of the largest agreement: a smaller difference from chance is rounding

AVERAGES: dict[str, Callable[[float, float], float]] = {
    "arithmetic": lambda h_a, h_b: (h_a + h_b) / 2,
    "geometric": lambda h_a, h_b: math.sqrt(h_a * h_b),
    "min": min,
    "max": max,
}


def soft_adjusted_rand(resp_a: Table, resp_b: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    r"""Return the Frobenius adjusted Rand index of two soft clusterings: agreement on pairs of rows, beyond chance.

    The entry r_i · r_j of a matrix (n, n) says how far a clustering puts the rows i and j together. The index compares
    the matrices of the two clusterings. For crisp clusterings it equals the adjusted Rand index of Hubert and Arabie.
    The index of a clustering with itself is 1, whether soft or crisp; indices that put soft counts into Hubert and
    Arabie's formula do not have this property. Chance means a random order of one clustering's rows.

    Parameters
    ----------
    resp_a, resp_b : array-like or Tensor (n, k_a), (n, k_b)
        Memberships of the same rows. If a row sums to less than 1, the rest counts as one more cluster.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row. A row with a weight of 1 or less
        has no copy to form a pair with, so weights that sum to 1 are supported, too.

    Returns
    -------
    float
        1 for the same clustering, up to the order of the clusters; about 0 for unrelated ones; it may be negative. It
        is also 1 if both clusterings put all rows into one cluster, or each row into a cluster of its own, or if in
        both the memberships of all rows are equal, up to differences (about 1e-6) that may be rounding.

    Raises
    ------
    InputError
        If memberships or weights are invalid, or the numbers of rows differ.

    Notes
    -----
    Let A = R_a R_aᵀ and B = R_b R_bᵀ, and let ⟨·,·⟩ be the sum of products over all pairs of rows, including the
    diagonal. Andrews et al. scale A by ⟨A,J⟩ / ⟨A,A⟩, where J is all ones, and B in the same way, and put these
    matrices into the Rand index. Its expectation over orders of the rows involves

        E⟨A,B⟩ = D_A D_B / D_J + O_A O_B / O_J,

    where D is the sum over a matrix's diagonal and O the sum over all other entries. The common factors cancel, which
    leaves

        (⟨A,B⟩ - E⟨A,B⟩) / ((⟨A,J⟩ / ⟨B,J⟩ ⟨B,B⟩ + ⟨B,J⟩ / ⟨A,J⟩ ⟨A,A⟩) / 2 - E⟨A,B⟩).

    No matrix (n, n) is needed, because ⟨A,B⟩ = ‖R_aᵀ R_b‖². For crisp memberships, ⟨A,J⟩ = ⟨A,A⟩.

    References
    ----------
    Andrews, Browne & Hvingelby, "On assessments of agreement between fuzzy partitions", Journal of Classification 39,
    2022. Hubert & Arabie, "Comparing partitions", Journal of Classification 2, 1985.

    Examples
    --------
    >>> resp = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]]
    >>> round(soft_adjusted_rand(resp, resp), 12)
    1.0
    >>> round(soft_adjusted_rand(resp, [[1, 0], [1, 0], [0, 1], [0, 1]]), 4)
    0.6033
    """
    gram, self_pairs, k = _pair_sums(resp_a, resp_b, sample_weight)
    a, b, j = slice(0, k), slice(k, -1), slice(-1, None)
    aa, bb, ab, aj, bj, jj = (
        float(gram[rows, columns].square().sum()) for rows, columns in ((a, a), (b, b), (a, b), (a, j), (b, j), (j, j))
    )
    d_a, d_b, d_j = (float(self_pairs[columns].sum()) for columns in (a, b, j))
    chance = d_a * d_b / d_j
    if jj > d_j:
        chance += (aj - d_a) * (bj - d_b) / (jj - d_j)
    maximum = (aj / bj * bb + bj / aj * aa) / 2
    if maximum - chance > MIN_RELATIVE_RANGE * maximum:
        return (ab - chance) / (maximum - chance)
    return 1.0


def soft_mutual_information(
    resp_a: Table,
    resp_b: Table,
    *,
    average_method: str | None = None,
    sample_weight: ArrayLike | Tensor | None = None,
) -> float:
    """Return the mutual information of two soft clusterings, Σ p_kl log(p_kl / (p_k p_l)), in nats or normalized.

    Draw a row at random, and draw its clusters in both clusterings independently from its memberships: p_kl is the
    probability of cluster k in one and l in the other, the mean of r_k r_l. For crisp clusterings the values equal
    scikit-learn's ``mutual_info_score`` and ``normalized_mutual_info_score``. Two draws from the same soft memberships
    differ, so the mutual information of a soft clustering with itself is less than its entropy, and less than 1 if
    normalized. Memberships that are the same in all rows have mutual information 0.

    Parameters
    ----------
    resp_a, resp_b : array-like or Tensor (n, k_a), (n, k_b)
        Memberships of the same rows. If a row sums to less than 1, the rest counts as one more cluster.
    average_method : {"arithmetic", "geometric", "min", "max"}, optional
        Divide by this mean of the two entropies of the cluster weights. None (default) does not normalize.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        0 or more; at most 1 if normalized. If both clusterings put all rows into one cluster, the normalized value is
        1, as in scikit-learn.

    Raises
    ------
    InputError
        If memberships, weights or the method are invalid, or the numbers of rows differ.

    References
    ----------
    Lei, Bezdek, Chan, Vinh, Romano & Bailey, "Extending information-theoretic validity indices for fuzzy clustering",
    IEEE Transactions on Fuzzy Systems 25, 2017.

    Examples
    --------
    >>> round(soft_mutual_information([[1, 0], [0, 1]], [[0, 1], [1, 0]]), 4)  # log(2)
    0.6931
    >>> round(soft_mutual_information([[1, 0], [0, 1]], [[0.1, 0.9], [0.9, 0.1]], average_method="arithmetic"), 4)
    0.531
    """
    if average_method is not None:
        check_known("average_method", average_method, AVERAGES, " or None")
    joint = _contingency(resp_a, resp_b, sample_weight)
    joint = joint / joint.sum()
    p_a, p_b = joint.sum(1), joint.sum(0)
    is_positive = joint > 0
    information = max(0.0, float((joint * (joint / torch.outer(p_a, p_b)).log())[is_positive].sum()))
    if average_method is None:
        return information
    h_a, h_b = float(entr(p_a).sum()), float(entr(p_b).sum())
    mean_entropy = AVERAGES[average_method](h_a, h_b)
    return information / mean_entropy if mean_entropy > 0 else float(h_a == h_b)


def align(resp_a: Table, resp_b: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> Array:
    """Return the order in which the clusters of ``resp_b`` match those of ``resp_a`` best.

    Of all orders it is the one with the largest Σ_i Σ_k a_ik b_ik, found by the Hungarian algorithm. The order does not
    change sums of squares, so ``resp_b[:, order]`` is also nearest to ``resp_a`` in least squares.

    Parameters
    ----------
    resp_a : array-like or Tensor (n, k_a)
        Memberships whose order is kept.
    resp_b : array-like or Tensor (n, k_b)
        Memberships of the same rows, k_b ≥ k_a. Rows may sum to less than 1: noise is not part of the order.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    ndarray or Tensor (k_b,) of int64
        Column k of ``resp_b[:, order]`` is the partner of column k of ``resp_a``. If k_b > k_a, the clusters without a
        partner follow in their original order. A tensor if ``resp_b`` is one.

    Raises
    ------
    InputError
        If memberships or weights are invalid, the numbers of rows differ, or k_a > k_b.

    References
    ----------
    Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2, 1955.

    Examples
    --------
    >>> import numpy as np
    >>> resp = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    >>> order = align([[0.1, 0.9], [0.8, 0.2]], resp)
    >>> order, resp[:, order]
    (array([2, 0, 1]), array([[0.1, 0.7, 0.2],
           [0.8, 0.1, 0.1]]))
    """
    overlap = _contingency(resp_a, resp_b, sample_weight)[:-1, :-1]
    k_a, k_b = overlap.shape
    if k_a > k_b:
        raise InputError(f"resp_a has {k_a} clusters, expected at most the {k_b} of resp_b: swap the two")
    _, partners = linear_sum_assignment(overlap.numpy(), maximize=True)
    unmatched = np.setdiff1d(np.arange(k_b), partners)
    return like(resp_b, torch.from_numpy(np.concatenate([partners, unmatched])))


def _paired_blocks(
    resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield blocks of memberships in both clusterings (m, k_a + 1), (m, k_b + 1), noise last, and weights (m,)."""
    first, second = as_memberships(resp_a, sample_weight, "resp_a"), as_memberships(resp_b, name="resp_b")
    check_same_rows(resp_a=first, resp_b=second)
    for a, b in aligned_blocks(first, second):
        yield with_noise_column(a), with_noise_column(b).to(a.device), a.w


def _contingency(resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None) -> Tensor:
    """Return the contingency table Σ w a_k b_l (k_a + 1, k_b + 1), noise last."""
    tables = ((a.mT * w) @ b for a, b, w in _paired_blocks(resp_a, resp_b, sample_weight))
    return functools.reduce(operator.add, (table.cpu().double() for table in tables))


def _pair_sums(resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None) -> tuple[Tensor, Tensor, int]:
    """Return the sums over rows from which pairs of rows are counted.

    The columns are those of a and b, noise included, and one cluster J with all rows. Return the sums of products of
    two columns (k_a + k_b + 1, k_a + k_b + 1), the sums of squares over pairs of a row with itself (k_a + k_b + 1,),
    and k_a.
    """
    gram, self_pairs, k = torch.zeros(()), torch.zeros(()), 0
    for a, b, w in _paired_blocks(resp_a, resp_b, sample_weight):
        z, k = torch.cat([a, b, torch.ones_like(w)[:, None]], 1), a.shape[1]
        gram = gram + ((z.mT * w) @ z).cpu().double()
        # A row of weight 2 is in 4 pairs, 2 of which are on the diagonal, a copy with itself. If w <= 1, all w² are.
        self_pairs = self_pairs + (w * w.clamp_max(1) @ z.square()).cpu().double()
    return gram, self_pairs, k
