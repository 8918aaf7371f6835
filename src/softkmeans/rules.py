"""The assignment rules: from logits to memberships. A new rule is a function, given to the kernels."""

__all__ = ["Rule", "softmax"]

from collections.abc import Callable

import torch
from torch import Tensor

Rule = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def softmax(logits: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """Responsibilities and the log of their normaliser.

    Parameters
    ----------
    logits : Tensor (..., k)
        b_k - β_k d_ik.
    dim : int
        Along which the clusters lie.

    Returns
    -------
    resp : Tensor (..., k)
        exp(logits) over their sum; rows sum to 1.
    lognorm : Tensor (...,)
        logsumexp of the logits.
    """
    # Not exp(logits - lognorm): where the logits are large, lognorm has no digits left for the sum.
    peak = logits.detach().amax(dim, keepdim=True)
    weight = torch.exp(logits - peak)
    total = weight.sum(dim, keepdim=True)
    return weight / total, (peak + total.log()).squeeze(dim)
