"""Gaussian mixtures with one covariance for all clusters, of three types: spherical, diagonal and full ("tied").

Soft k-means fits spherical clusters only. If clusters are not spherical, the likelihood of a mixture of spherical
clusters keeps increasing with their number. A comparison of the likelihoods of the three types reveals this. The
mixtures are those of Banfield & Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 1993, with one
covariance for all clusters.
"""

from __future__ import annotations

__all__ = ["COVARIANCE_TYPES", "MIN_RELATIVE_VARIANCE", "CovarianceType", "GaussianMixture", "gaussian_mixture"]

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

MIN_RELATIVE_VARIANCE = 1e-12  # relative to the variance of all rows; less can't be told from rounding


class CovarianceType(NamedTuple):
    """A type of the covariance within clusters.

    Attributes
    ----------
    description : str
        What clusters with this covariance look like.
    variances : callable or None
        Function from the variances (d,) within clusters to those of the type; None if it has covariances.
    n_parameters : callable
        Function from d to the number of parameters of the covariance.
    """

    description: str
    variances: Callable[[Tensor], Tensor] | None
    n_parameters: Callable[[int], int]


COVARIANCE_TYPES: dict[str, CovarianceType] = {
    "spherical": CovarianceType(
        "clusters are spherical",
        lambda within: within.mean().expand_as(within),
        lambda d: 1,
    ),
    "tied_diag": CovarianceType("clusters are elongated along the features", lambda within: within, lambda d: d),
    "tied": CovarianceType("clusters are elongated, all in the same directions", None, lambda d: d * (d + 1) // 2),
}


class GaussianMixture(NamedTuple):
    """A mixture of normal distributions that have one covariance.

    Attributes
    ----------
    centers : Tensor (k, d)
        Means, in coordinates in which the covariance is the identity.
    axes : Tensor (d, d) or (d,)
        Matrix, or diagonal of a matrix, that rows are multiplied by to get these coordinates.
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
        distances = torch.cdist(
            _times(x, self.axes), self.centers, compute_mode="donot_use_mm_for_euclid_dist"
        ).square()
        result: Tensor = (self.log_priors - distances / 2).logsumexp(1) + self.log_normalizer
        return result

    def sample(self, n_samples: int, rng: np.random.Generator) -> Tensor:
        """Draw rows (n_samples, d)."""
        priors = self.log_priors.exp().cpu().numpy()
        labels = torch.from_numpy(rng.choice(len(priors), n_samples, p=priors / priors.sum()))
        noise = torch.from_numpy(rng.standard_normal((n_samples, self.centers.shape[1]))).to(self.centers)
        rows = self.centers[labels] + noise
        result: Tensor = torch.linalg.solve(self.axes, rows, left=False) if self.axes.ndim == 2 else rows / self.axes
        return result


def gaussian_mixture(
    covariance_type: str, centers: Tensor, fractions: Tensor, priors: Tensor, covariance: Tensor
) -> GaussianMixture:
    """Return the mixture of a type.

    Variances within clusters are at least `MIN_RELATIVE_VARIANCE` times those of all rows: clusters of equal rows get
    a density that is high, but finite.

    Parameters
    ----------
    covariance_type : str
        One of `COVARIANCE_TYPES`.
    centers : Tensor (k, d)
        Means of the rows weighted by their memberships.
    fractions : Tensor (k,)
        Cluster weights Σ w r divided by Σw.
    priors : Tensor (k,)
        Mixing weights of the clusters.
    covariance : Tensor (d, d) or (d,)
        Covariance of all rows, or only its diagonal for types without covariances.
    """
    deviations, of_type = centers - fractions @ centers, COVARIANCE_TYPES[covariance_type].variances
    all_variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    # In units of the standard deviation of all rows, so that features of small units are not taken for constant.
    unit = _standard_deviations(covariance_type, all_variances)
    if of_type is None:
        within = covariance - deviations.T @ (fractions[:, None] * deviations)
        variances, axes = torch.linalg.eigh(within / torch.outer(unit, unit))
        variances = variances.clamp_min(MIN_RELATIVE_VARIANCE)
        axes = axes / unit[:, None] / variances.sqrt()
    else:
        variances = of_type((all_variances - fractions @ deviations.square()) / unit.square())
        variances = variances.clamp_min(MIN_RELATIVE_VARIANCE)
        axes = 1 / (unit * variances.sqrt())
    log_volume = float(unit.log().sum() + variances.log().sum() / 2)
    log_normalizer = -0.5 * len(variances) * math.log(2 * math.pi) - log_volume
    return GaussianMixture(_times(centers, axes), axes, priors.log(), log_normalizer)


def _times(x: Tensor, axes: Tensor) -> Tensor:
    """Return rows (m, d) times a matrix (d, d), or the diagonal (d,) of one."""
    return x @ axes if axes.ndim == 2 else x * axes


def _standard_deviations(covariance_type: str, variances: Tensor) -> Tensor:
    """Return the standard deviations (d,) of all rows, given the variances; a common one for spherical clusters."""
    if covariance_type == "spherical":
        variances = variances.mean().expand_as(variances)
    return variances.clamp_min(torch.finfo(variances.dtype).tiny).sqrt()
