"""Likelihoods of clusters of three shapes: round, stretched along the axes, and stretched in any direction.

A fit knows round clusters only. Where clusters are not round, a mixture of round ones is the likelier the more there
are of them, without end; the shapes' likelihoods, side by side, show it. This is the mixture family of Banfield &
Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 1993, with one covariance for all clusters.
"""

from __future__ import annotations

__all__ = ["SHAPES", "Shaped", "shaped"]

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

FLAT = 1e-12  # of the largest variance: clusters have no extent along a direction of less

Shape = Callable[[Tensor], Tensor]

# From the covariance (d, d) of the rows within their clusters to that of the shape; and how many numbers it has.
SHAPES: dict[str, tuple[Shape, Callable[[int], int]]] = {
    "spherical": (lambda within: within.diagonal().mean() * torch.eye(len(within)).to(within), lambda d: 1),
    "diag": (lambda within: within.diagonal().diag(), lambda d: d),
    "tied": (lambda within: within, lambda d: d * (d + 1) // 2),
}


class Shaped(NamedTuple):
    """Normal distributions of equal covariance around centers.

    Attributes
    ----------
    centers : Tensor (k, d)
        In coordinates where that covariance is the identity.
    axes : Tensor (d, d)
        What rows are multiplied by to get there.
    log_share : Tensor (k,)
        Log of the clusters' shares.
    level : float
        What a row's log-density is more than its logsumexp.
    """

    centers: Tensor
    axes: Tensor
    log_share: Tensor
    level: float

    def log_density(self, x: Tensor) -> Tensor:
        """Log-density (m,) of rows (m, d)."""
        squares = torch.cdist(x @ self.axes, self.centers, compute_mode="donot_use_mm_for_euclid_dist").square()
        found: Tensor = (self.log_share - squares / 2).logsumexp(1) + self.level
        return found


def shaped(shape: str, centers: Tensor, shares: Tensor, priors: Tensor, covariance: Tensor) -> Shaped | None:
    """Give clusters of a shape, or None if some direction has no variance in it.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    centers : Tensor (k, d)
        Means of the rows by their memberships.
    shares : Tensor (k,)
        Σ w r of the clusters over Σw.
    priors : Tensor (k,)
        The clusters' shares in the mixture.
    covariance : Tensor (d, d)
        Of all rows.
    """
    apart = centers - shares @ centers
    within = SHAPES[shape][0](covariance - apart.T @ (shares[:, None] * apart))
    along = within.diagonal()  # which are all there is, but for tied clusters
    variances, axes = torch.linalg.eigh(within) if shape == "tied" else (along, torch.eye(len(along)).to(along))
    if not variances.min() > FLAT * covariance.diagonal().max():
        return None
    axes = axes / variances.sqrt()
    level = -0.5 * (len(variances) * math.log(2 * math.pi) + float(variances.log().sum()))
    return Shaped(centers @ axes, axes, priors.log(), level)
