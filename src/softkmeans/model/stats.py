"""The additive sufficient statistics through which data enters every algorithm."""

from __future__ import annotations

__all__ = ["DistortionStats", "Stats"]

from dataclasses import dataclass, fields
from typing import Self

from torch import Tensor

from .._utils.brief import with_brief_repr


@dataclass(frozen=True, slots=True)
@with_brief_repr
class Stats:
    """Sufficient statistics of some rows, given centers and a temperature. Stats of two sets of rows can be added.

    Attributes
    ----------
    weight : Tensor (k,)
        W_k = Σ w r, the cluster weights.
    irls_weight : Tensor (k,)
        A_k = Σ w r g, where g is the derivative of the distance in the squared Euclidean distance: the weights of
        iteratively reweighted least squares. Equal to ``weight`` for squared Euclidean distances.
    weighted_sum : Tensor (k, d)
        S_k = Σ w r g x. The EM update of a center is S_k / A_k, and ∂F/∂c_k = 2 (A_k c_k - S_k).
    kink_weight : Tensor (k,)
        Σ w r over the rows that coincide with the center, if the distance has a kink there (Euclidean); otherwise 0.
    distortion : Tensor (k,)
        Σ w r d, which sums to the distortion E.
    objective : Tensor ()
        Σ w logsumexp of the logits; the free energy F is -T times this.
    n : Tensor ()
        Σ w; the number of rows if they have no weights.

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

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, factor: float) -> Self:
        """Return the statistics of the same rows, with their weights multiplied by a factor."""
        return type(self)(*(getattr(self, f.name) * factor for f in fields(self)))


@dataclass(frozen=True, slots=True)
@with_brief_repr
class DistortionStats(Stats):
    """Sufficient statistics for the distortion E = Σ w r d and its gradient.

    ``irls_weight`` and ``weighted_sum`` are sums of q in place of r, so that ∂E/∂c_k = 2 (A_k c_k - S_k). Here
    q = r - s / T, where s = r (d - mean) and the mean of a row's distances d is weighted by its memberships. The other
    sums are those of `Stats`.

    Attributes
    ----------
    slope : Tensor (k,)
        Σ w s, the derivative of E with respect to the logits' offsets b.
    slope_distortion : Tensor (k,)
        Σ w s d, minus the derivative of E with respect to the inverse temperatures β.
    """

    slope: Tensor
    slope_distortion: Tensor
