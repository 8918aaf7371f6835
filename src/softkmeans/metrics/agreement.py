"""Agreement of two soft clusterings of the same rows."""

from __future__ import annotations

__all__ = ["AVERAGES", "align", "soft_adjusted_rand", "soft_mutual_information"]

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.special import entr

from .._utils.checks import check_known
from .._utils.one_thread import in_one_thread_if_few
from ..data.convert import Array, like
from ..data.source import Source
from ..errors import InputError, Message, Setting
from ._inputs import Table, aligned_blocks, as_memberships, check_same_rows, with_noise_column

MIN_RELATIVE_RANGE = 1e-12  # of the largest agreement: a smaller difference from chance is rounding
MIN_INFORMATION = 1e-14  # nats: less is rounding
MIN_VARIANCE = 1e-12  # of memberships, relative to their mean: below, all rows are equal up to rounding in float32

AVERAGES: dict[str, Callable[[float, float], float]] = {
    "arithmetic": lambda h_a, h_b: (h_a + h_b) / 2,
    "geometric": lambda h_a, h_b: math.sqrt(h_a * h_b),
    "min": min,
    "max": max,
}


def soft_adjusted_rand(resp_a: Table, resp_b: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    r"""Return the Frobenius adjusted Rand index of two soft clusterings: agreement on pairs of rows, beyond chance.

    The entry r_i · r_j of a clustering's matrix (n, n) is the probability that rows i and j are in the same cluster, if
    their clusters are drawn from their memberships. The index compares the matrices of the two clusterings. For crisp
    clusterings it equals the adjusted Rand index of Hubert and Arabie. The index of a clustering with itself is 1,
    whether soft or crisp; indices that put soft counts into Hubert and Arabie's formula do not have this property.
    Agreement by chance is the mean agreement over all orders of the rows of one clustering.

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
        both the memberships of all rows are equal, up to relative differences of 1e-6, which may be rounding.

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

    For nearly equal memberships both differences would be rounding. So A and B are divided by their means ⟨A,J⟩ / ⟨J,J⟩
    and ⟨B,J⟩ / ⟨J,J⟩, and J is subtracted, which changes neither difference. For these matrices O_A = -D_A, and

        (⟨A,B⟩ - C) / ((⟨A,A⟩ + ⟨B,B⟩) / 2 - C),    C = D_A D_B (1 / D_J + 1 / O_J).

    No matrix (n, n) is needed. With the mean m_a of the memberships, s_i = r_i - m_a and u_i = m_a · s_i / ‖m_a‖², the
    entries of A are u_i + u_j + s_i · s_j / ‖m_a‖². So ⟨A,B⟩ = 2 n Σ u_i v_i + ‖Σ s_i t_iᵀ‖² / (‖m_a‖² ‖m_b‖²), where v
    and t belong to B.

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
    pairs = _pair_sums(*_checked(resp_a, resp_b, sample_weight))
    inverse = 1 / pairs.n_self
    if pairs.n_pairs > pairs.n_self:
        inverse += 1 / (pairs.n_pairs - pairs.n_self)
    chance = pairs.d_a * pairs.d_b * inverse
    mean_square = (pairs.aa + pairs.bb) / 2
    if pairs.variance > MIN_VARIANCE and mean_square - chance > MIN_RELATIVE_RANGE * mean_square:
        return (pairs.ab - chance) / (mean_square - chance)
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
    if information <= MIN_INFORMATION:  # the entropy of a single cluster may be rounding, too, and cannot be divided by
        return float(max(h_a, h_b) <= MIN_INFORMATION)
    return information / AVERAGES[average_method](h_a, h_b)


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
        expected = Message(f"at most the {k_b} of ", Setting("resp_b"))
        raise InputError(f"has {k_a} clusters", parameter="resp_a", expected=expected, hint="swap the two")
    _, partners = linear_sum_assignment(overlap.numpy(), maximize=True)
    unmatched = np.setdiff1d(np.arange(k_b), partners)
    return like(resp_b, torch.from_numpy(np.concatenate([partners, unmatched])))


def _checked(resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None) -> tuple[Source, Source]:
    """Convert two sets of memberships of the same rows to sources and check them; the first has the weights."""
    first, second = as_memberships(resp_a, sample_weight, "resp_a"), as_memberships(resp_b, name="resp_b")
    check_same_rows(resp_a=first, resp_b=second)
    return first, second


def _paired_blocks(first: Source, second: Source) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield blocks of memberships in both clusterings (m, k_a + 1), (m, k_b + 1), noise last, and weights (m,)."""
    for a, b in aligned_blocks(first, second):
        yield with_noise_column(a), with_noise_column(b).to(a.device), a.w


def _sum(parts: Iterable[Tensor]) -> Tensor:
    return functools.reduce(operator.add, (part.cpu().double() for part in parts))


def _contingency(resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None) -> Tensor:
    """Return the contingency table Σ w a_k b_l (k_a + 1, k_b + 1), noise last."""
    blocks = _paired_blocks(*_checked(resp_a, resp_b, sample_weight))
    return _sum(in_one_thread_if_few(functools.partial(_overlaps, *block), block[0].numel()) for block in blocks)


def _overlaps(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
    """Return Σ w a_k b_l over some rows."""
    return (a.mT * w) @ b


class _PairSums(NamedTuple):
    """Sums over pairs of rows of two matrices (n, n), each divided by its mean, minus 1: see `soft_adjusted_rand`.

    Attributes
    ----------
    aa, bb, ab : float
        Sums of products over all pairs.
    d_a, d_b : float
        Sums over the diagonals.
    n_pairs, n_self : float
        Number of pairs, and of those of a row with itself; weighted.
    variance : float
        Variance of the memberships of one clustering, relative to their squared mean; the larger of the two.
    """

    aa: float
    bb: float
    ab: float
    d_a: float
    d_b: float
    n_pairs: float
    n_self: float
    variance: float


def _pair_sums(first: Source, second: Source) -> _PairSums:
    """Return the sums over pairs of rows, in two passes: the mean memberships, then sums of differences from them."""
    columns = (torch.cat([a, b, torch.ones_like(w)[:, None]], 1).mT @ w for a, b, w in _paired_blocks(first, second))
    *sums, weight = _sum(columns)
    k, n_columns = first.n_features + 1, len(sums) + 2
    mean_a, mean_b = torch.stack(sums[:k]) / weight, torch.stack(sums[k:]) / weight

    def products(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
        (s, u), (t, v) = _relative(a, mean_a), _relative(b, mean_b)
        z = torch.cat([s, t, u[:, None], v[:, None]], 1)
        # A row of weight 2 is in 4 pairs, 2 of which are on the diagonal: a copy with itself. If w <= 1, all w² are.
        w_self = w * w.clamp_max(1)
        diagonal = torch.stack([2 * u + s.square().sum(1), 2 * v + t.square().sum(1), torch.ones_like(w)])
        return torch.cat([((z.mT * w) @ z).flatten(), diagonal @ w_self])

    total = _sum(products(*block) for block in _paired_blocks(first, second))
    gram, (d_a, d_b, n_self) = total[:-3].view(n_columns, n_columns), total[-3:].tolist()

    def over_pairs(rows: slice, columns: slice, u: int, v: int) -> float:
        return float(2 * weight * gram[u, v] + gram[rows, columns].square().sum())

    a, b, u, v = slice(0, k), slice(k, -2), -2, -1
    return _PairSums(
        aa=over_pairs(a, a, u, u),
        bb=over_pairs(b, b, v, v),
        ab=over_pairs(a, b, u, v),
        d_a=d_a,
        d_b=d_b,
        n_pairs=float(weight) ** 2,
        n_self=n_self,
        variance=float(max(gram[rows, rows].trace() for rows in (a, b)) / weight),
    )


def _relative(r: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return r (m, k) minus the mean (k,), in units of the mean's length, and its component along the mean (m,)."""
    mean = mean.to(r)
    length = torch.linalg.vector_norm(mean)
    difference = (r - mean) / length
    return difference, difference @ (mean / length)
