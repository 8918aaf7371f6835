"""Detect centers that coincide: clusters that no row tells apart."""

from __future__ import annotations

__all__ = ["coincident_clusters"]

import torch
from torch import Tensor

from ..model.assignment import AssignmentRule

MAX_MEMBERSHIP_DIFFERENCE = 0.02  # of a typical row in two clusters that coincide


def coincident_clusters(
    centers: Tensor, beta: Tensor, typical_distance: float, degree: int, rule: AssignmentRule
) -> list[int]:
    """Return the clusters whose center coincides with that of an earlier cluster.

    Two centers coincide if a row at the typical distance from the one, and as much farther from the other as the
    centers are apart, has nearly equal memberships in both.

    Parameters
    ----------
    centers : Tensor (k, d)
        Centers.
    beta : Tensor (k,)
        Inverse temperatures; 1 for an assignment rule without a temperature.
    typical_distance : float
        Mean distance of a row from the centers.
    degree : int
        The power of the Euclidean distance that the distance is proportional to.
    rule : AssignmentRule
        The assignment rule.

    Examples
    --------
    >>> from softkmeans.model.assignment import Softmax
    >>> centers, beta = torch.tensor([[0.0], [5.0], [0.001]]), torch.ones(3)
    >>> coincident_clusters(centers, beta, 1.0, 2, Softmax())
    [2]
    """
    k, apart = len(centers), torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
    farther = (typical_distance ** (1 / degree) + apart) ** degree
    logits = torch.stack([(-beta * typical_distance).expand(k, k).mT, -beta * farther])  # [j, i]: j is the nearer one
    memberships = rule(logits, 0).resp
    coincides = (memberships[0] - memberships[1]).abs() < MAX_MEMBERSHIP_DIFFERENCE
    return coincides.tril(-1).any(1).nonzero()[:, 0].tolist()
