"""How alike two soft clusterings of the same rows are, by the table of what their clusters share."""

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
from ._inputs import Table, as_memberships, check_same_rows, pieces, with_noise

SAME = 1e-12  # of an agreement: less than this is rounding

AVERAGES: dict[str, Callable[[float, float], float]] = {
    "arithmetic": lambda h_a, h_b: (h_a + h_b) / 2,
    "geometric": lambda h_a, h_b: math.sqrt(h_a * h_b),
    "min": min,
    "max": max,
}


def soft_adjusted_rand(resp_a: Table, resp_b: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> float:
    r"""Give the Frobenius adjusted Rand index of two soft clusterings: agreement on pairs of rows, beyond chance.

    A pair of rows i, j is together in a clustering as far as r_i · r_j says. Two clusterings agree as far as these
    matrices (n, n) point the same way. Crisp clusterings have exactly the adjusted Rand index of Hubert and Arabie.
    A clustering has 1 with itself, be it soft or crisp, unlike with indices that put soft counts into Hubert and
    Arabie's formula. Chance is a random order of one clustering's rows.

    Parameters
    ----------
    resp_a, resp_b : array-like or Tensor (n, k_a), (n, k_b)
        Memberships of the same rows. What a row lacks to 1 counts as one more cluster.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row. A row of a weight below 1 makes no
        pair with itself, so that weights that sum to 1 do, too.

    Returns
    -------
    float
        1 for the same clustering, up to the order of the clusters; about 0 for unrelated ones; it may be negative. Two
        clusterings that both put all rows together, or all apart, have 1, and so have two whose memberships are the
        same in all rows, or differ by so little (about 1e-6) that it can't be told from rounding.

    Raises
    ------
    InputError
        If memberships or weights can't be used, or the rows are not as many.

    Notes
    -----
    With A = R_a R_aᵀ, B = R_b R_bᵀ, and ⟨·,·⟩ the sum of products over all pairs, the diagonal's included, Andrews et
    al. scale A by ⟨A,J⟩ / ⟨A,A⟩, J being all ones, and B alike, and put these into the Rand index. Its expectation
    over orders of rows has

        E⟨A,B⟩ = D_A D_B / D_J + O_A O_B / O_J,

    D being a matrix's sum over the diagonal, and O that over all else. The common factors cancel, and what is left is

        (⟨A,B⟩ - E⟨A,B⟩) / ((⟨A,J⟩ / ⟨B,J⟩ ⟨B,B⟩ + ⟨B,J⟩ / ⟨A,J⟩ ⟨A,A⟩) / 2 - E⟨A,B⟩).

    No matrix (n, n) is needed, as ⟨A,B⟩ = ‖R_aᵀ R_b‖². For crisp memberships, ⟨A,J⟩ = ⟨A,A⟩.

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
    gram, own, k = _pair_sums(resp_a, resp_b, sample_weight)
    a, b, j = slice(0, k), slice(k, -1), slice(-1, None)
    aa, bb, ab, aj, bj, jj = (float(gram[of].square().sum()) for of in ((a, a), (b, b), (a, b), (a, j), (b, j), (j, j)))
    d_a, d_b, d_j = (float(own[of].sum()) for of in (a, b, j))
    chance = d_a * d_b / d_j + ((aj - d_a) * (bj - d_b) / (jj - d_j) if jj > d_j else 0.0)
    most = (aj / bj * bb + bj / aj * aa) / 2
    return (ab - chance) / (most - chance) if most - chance > SAME * most else 1.0


def soft_mutual_information(
    resp_a: Table,
    resp_b: Table,
    *,
    average_method: str | None = None,
    sample_weight: ArrayLike | Tensor | None = None,
) -> float:
    """Give the mutual information of two soft clusterings, Σ p_kl log(p_kl / (p_k p_l)), in nats or normalized.

    p_kl is the chance of cluster k in one and l in the other, of a row drawn at random whose two clusters are then
    drawn by its memberships, each on its own: the mean of r_k r_l. Crisp clusterings have exactly scikit-learn's
    ``mutual_info_score`` and ``normalized_mutual_info_score``. As two draws of one soft membership differ, a soft
    clustering has less than its entropy with itself, and normalized less than 1; memberships that are the same in all
    rows tell nothing and have 0.

    Parameters
    ----------
    resp_a, resp_b : array-like or Tensor (n, k_a), (n, k_b)
        Memberships of the same rows. What a row lacks to 1 counts as one more cluster.
    average_method : {"arithmetic", "geometric", "min", "max"}, optional
        Divide by this mean of the two entropies of the clusters' sizes. None (default) does not.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        0 or more; 1 at most if normalized. Two clusterings that both put all rows into one cluster have 1 normalized,
        as in scikit-learn.

    Raises
    ------
    InputError
        If memberships or weights can't be used, the rows are not as many, or the method is not known.

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
    seen = joint > 0
    information = max(0.0, float((joint * (joint / torch.outer(p_a, p_b)).log())[seen].sum()))
    if average_method is None:
        return information
    h_a, h_b = float(entr(p_a).sum()), float(entr(p_b).sum())
    most = AVERAGES[average_method](h_a, h_b)
    return information / most if most > 0 else float(h_a == h_b)


def align(resp_a: Table, resp_b: Table, *, sample_weight: ArrayLike | Tensor | None = None) -> Array:
    """Give the order of ``resp_b``'s clusters in which they match those of ``resp_a``.

    Of all orders it is the one with the largest Σ_i Σ_k a_ik b_ik, found by the Hungarian algorithm; as no order
    changes the squares, ``resp_b[:, order]`` is then as near to ``resp_a`` as can be in least squares.

    Parameters
    ----------
    resp_a : array-like or Tensor (n, k_a)
        Memberships whose order is kept.
    resp_b : array-like or Tensor (n, k_b)
        Memberships of the same rows in as many clusters or more. Rows may sum to less than 1: noise has no place in
        the order.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    ndarray or Tensor (k_b,) of int64
        ``resp_b[:, order]`` has in column k the partner of column k of ``resp_a``. Clusters that have no partner, as
        k_b > k_a, follow in their own order. A tensor where ``resp_b`` is one.

    Raises
    ------
    InputError
        If memberships or weights can't be used, the rows are not as many, or k_a > k_b.

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
    shared = _contingency(resp_a, resp_b, sample_weight)[:-1, :-1]
    k_a, k_b = shared.shape
    if k_a > k_b:
        raise InputError(f"resp_a has {k_a} clusters, more than the {k_b} of resp_b: swap the two")
    _, partners = linear_sum_assignment(shared.numpy(), maximize=True)
    left = np.setdiff1d(np.arange(k_b), partners)
    return like(resp_b, torch.from_numpy(np.concatenate([partners, left])))


def _side_by_side(
    resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Memberships of some rows in both clusterings (m, k_a + 1), (m, k_b + 1), noise included, and their weights."""
    first, second = as_memberships(resp_a, sample_weight, "resp_a"), as_memberships(resp_b, name="resp_b")
    check_same_rows(resp_a=first, resp_b=second)
    for a, b in pieces(first, second):
        yield with_noise(a), with_noise(b).to(a.device), a.w


def _contingency(resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None) -> Tensor:
    """Weight of the rows that clusters share (k_a + 1, k_b + 1), noise included."""
    parts = ((a.mT * w) @ b for a, b, w in _side_by_side(resp_a, resp_b, sample_weight))
    return functools.reduce(operator.add, (part.cpu().double() for part in parts))


def _pair_sums(resp_a: Table, resp_b: Table, sample_weight: ArrayLike | Tensor | None) -> tuple[Tensor, Tensor, int]:
    """Sum over rows what pair counts are made of, for the columns of a, of b, and of J, one cluster with all rows.

    Gives the sums of products of columns (k_a + k_b + 1, k_a + k_b + 1), those of squares that pair a row with itself
    (k_a + k_b + 1,), and k_a, noise included.
    """
    gram, own, k = torch.zeros(()), torch.zeros(()), 0
    for a, b, w in _side_by_side(resp_a, resp_b, sample_weight):
        z, k = torch.cat([a, b, torch.ones_like(w)[:, None]], 1), a.shape[1]
        gram = gram + ((z.mT * w) @ z).cpu().double()
        # A row of weight 2 is in 4 pairs, 2 of which are one copy with itself; of a lighter one, all w² are.
        own = own + (w * w.clamp_max(1) @ z.square()).cpu().double()
    return gram, own, k
