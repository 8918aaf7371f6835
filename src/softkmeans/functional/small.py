"""Few rows: plain tensor operations, since calls of the operators would take longer than the work.

They serve squared Euclidean distances with one temperature, in float64. The squared norms of the rows, which are equal
for all clusters, are left out of the logits, so that far rows lose no digits.
"""

from __future__ import annotations

__all__ = ["SmallProblem", "small_problem"]

from typing import NamedTuple

import torch
from torch import Tensor

from .graphs import is_plain

MAX_ENTRIES = 2**15  # rows times clusters
MAX_SCALED_NORM = 1e6  # of squared norms over T: beyond, rounding would change memberships by 1e-10 or more


class SmallProblem(NamedTuple):
    """The logits and distances of a few rows.

    Attributes
    ----------
    logits : Tensor (n, k)
        The logits, except for a part that is equal for all clusters of a row.
    distances : Tensor (n, k)
        The squared distances less the squared norms of the rows.
    norms : Tensor (n,)
        The squared norms.
    beta : Tensor (k,)
        The inverse temperatures, all equal.
    """

    logits: Tensor
    distances: Tensor
    norms: Tensor
    beta: Tensor

    def values(self, *, of_distortion: bool) -> Tensor:
        """Return the log-partition functions or the distortions (n,) of the rows."""
        if of_distortion:
            return (self.logits.softmax(1) * self.distances).sum(1) + self.norms
        return self.logits.logsumexp(1) - self.beta[0] * self.norms


def small_problem(x: Tensor, c: Tensor, beta: Tensor, b: Tensor) -> SmallProblem | None:
    """Return the logits and distances of rows x (n, d) to centers c (k, d), or None if the kernels suit them better.

    That is the case for many rows, for tensors of `torch.func` and of compilers, and where centers or rows are so far
    apart that a matrix product is too imprecise.
    """
    if not is_plain(x, c, beta, b) or x.is_meta:  # first: a graph must not depend on the number of rows
        return None
    if not 0 < x.shape[0] * c.shape[0] <= MAX_ENTRIES:
        return None
    x, c = x.to(beta.dtype), c.to(beta.dtype)
    origin = c.detach().mean(0)
    z, c = x - origin, c - origin
    norms, center_norms = z.square().sum(1), c.square().sum(1)
    largest = (norms.detach().max().item() + center_norms.detach().max().item()) * beta.detach()[0].item()
    if not 0 < largest < MAX_SCALED_NORM:  # also if a number is NaN
        return None
    distances = torch.addmm(center_norms, z, c.mT, alpha=-2)
    return SmallProblem(torch.addcmul(b, beta, distances, value=-1), distances, norms, beta)
