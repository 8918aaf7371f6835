"""The assignment rules: from logits to memberships. A new rule is a function, given to the kernels."""

__all__ = ["Rule", "softmax"]

from collections.abc import Callable

import torch
from torch import Tensor

Rule = Callable[[Tensor], tuple[Tensor, Tensor]]


def softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Responsibilities and the log of their normaliser.

    Parameters
    ----------
    logits : Tensor (..., k)
        b_k - β_k d_ik.

    Returns
    -------
    resp : Tensor (..., k)
        exp(logits) over their sum; rows sum to 1.
    lognorm : Tensor (...,)
        logsumexp of the logits.
    """
    # Not exp(logits - lognorm): where the logits are large, lognorm has no digits left for the sum.
    peak = logits.detach().amax(-1, keepdim=True)
    weight = torch.exp(logits - peak)
    total = weight.sum(-1, keepdim=True)
    return weight / total, (peak + total.log()).squeeze(-1)
