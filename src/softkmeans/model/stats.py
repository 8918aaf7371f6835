"""The one additive summary through which data enters every algorithm."""

from __future__ import annotations

__all__ = ["Stats"]

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Stats:
    """What a fit needs to know of some rows, given centers and a temperature. Stats of two sets of rows add up.

    Attributes
    ----------
    weight : Tensor (k,)
        W_k = Σ w r, each cluster's share of the rows.
    irls_weight : Tensor (k,)
        A_k = Σ w r g, where g is the distance's slope in the squared distance: how firmly a cluster's rows hold its
        center. Equal to ``weight`` for squared Euclidean distances.
    weighted_sum : Tensor (k, d)
        S_k = Σ w r g x. The center that EM moves to is S_k / A_k, and ∂F/∂c_k = 2 (A_k c_k - S_k).
    kink_weight : Tensor (k,)
        Σ w r over rows that sit exactly on the center where the distance has a kink there (Euclidean), else 0.
    distortion : Tensor (k,)
        Σ w r d; its total is E.
    objective : Tensor ()
        Σ w logsumexp of the logits, so that F = -T times this.
    n : Tensor ()
        Σ w, the number of rows where nothing is weighted.

    Examples
    --------
    >>> from softkmeans import accumulate
    >>> one, other = (accumulate(x, [[0.0], [5.0]], temperature=1.0) for x in ([[0.2]], [[4.8], [5.2]]))
    >>> (one + other).weight
    tensor([1.0000, 2.0000], dtype=torch.float64)
    """

    weight: Tensor
    irls_weight: Tensor
    weighted_sum: Tensor
    kink_weight: Tensor
    distortion: Tensor
    objective: Tensor
    n: Tensor

    def __add__(self, other: Stats) -> Stats:
        return Stats(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, factor: float) -> Stats:
        """Give what the same rows add up to with weights so many times as large."""
        return Stats(*(getattr(self, f.name) * factor for f in fields(self)))
