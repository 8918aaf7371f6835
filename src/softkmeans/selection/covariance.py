"""Gaussian mixtures with one covariance for all clusters, of three shapes: spherical, diagonal and full ("tied").

Soft k-means fits spherical clusters only. If clusters are not spherical, the likelihood of a mixture of spherical
clusters keeps increasing with their number. A comparison of the likelihoods of the three shapes reveals this. The
mixtures are those of Banfield & Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 1993, with one
covariance for all clusters.
"""

from __future__ import annotations

__all__ = ["MIN_RELATIVE_VARIANCE", "SHAPES", "GaussianMixture", "Shape", "gaussian_mixture"]

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

MIN_RELATIVE_VARIANCE = 1e-12  # relative to the largest variance; directions with less count as flat (variance 0)


class Shape(NamedTuple):
    """A shape that the covariance within clusters may have.

    Attributes
    ----------
    description : str
        What clusters of this shape look like.
    covariance : callable
        Function from the covariance (d, d) within clusters to that of the shape.
    n_parameters : callable
        Function from d to the number of parameters of the covariance.
    """

    description: str
    covariance: Callable[[Tensor], Tensor]
    n_parameters: Callable[[int], int]


SHAPES: dict[str, Shape] = {
    "spherical": Shape(
        "clusters are spherical",
        lambda within: within.diagonal().mean() * torch.eye(len(within)).to(within),
        lambda d: 1,
    ),
    "diag": Shape("clusters are elongated along the features", lambda within: within.diagonal().diag(), lambda d: d),
    "tied": Shape(
        "clusters are elongated, all in the same directions", lambda within: within, lambda d: d * (d + 1) // 2
    ),
}


class GaussianMixture(NamedTuple):
    """A mixture of normal distributions that have one covariance.

    Attributes
    ----------
    centers : Tensor (k, d)
        Means, in coordinates in which the covariance is the identity.
    axes : Tensor (d, d)
        Matrix that rows are multiplied by to get these coordinates.
    log_priors : Tensor (k,)
        Logarithms of the mixing weights.
    log_normalizer : float
        Log-density of a row minus its logsumexp over the clusters.
    """

    centers: Tensor
    axes: Tensor
    log_priors: Tensor
    log_normalizer: float

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density (m,) of rows (m, d)."""
        distances = torch.cdist(x @ self.axes, self.centers, compute_mode="donot_use_mm_for_euclid_dist").square()
        result: Tensor = (self.log_priors - distances / 2).logsumexp(1) + self.log_normalizer
        return result


def gaussian_mixture(
    shape: str, centers: Tensor, fractions: Tensor, priors: Tensor, covariance: Tensor
) -> GaussianMixture | None:
    """Return the mixture of a shape, or None if the clusters have no variance along some direction.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    centers : Tensor (k, d)
        Means of the rows weighted by their memberships.
    fractions : Tensor (k,)
        Cluster weights Σ w r divided by Σw.
    priors : Tensor (k,)
        Mixing weights of the clusters.
    covariance : Tensor (d, d)
        Covariance of all rows.
    """
    deviations = centers - fractions @ centers
    within = SHAPES[shape].covariance(covariance - deviations.T @ (fractions[:, None] * deviations))
    if shape == "tied":
        variances, axes = torch.linalg.eigh(within)
    else:  # the covariance is diagonal
        variances = within.diagonal()
        axes = torch.eye(len(variances)).to(variances)
    if not variances.min() > MIN_RELATIVE_VARIANCE * covariance.diagonal().max():
        return None
    axes = axes / variances.sqrt()
    log_normalizer = -0.5 * (len(variances) * math.log(2 * math.pi) + float(variances.log().sum()))
    return GaussianMixture(centers @ axes, axes, priors.log(), log_normalizer)
