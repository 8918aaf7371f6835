"""The temperature at which memberships are calibrated probabilities."""

from __future__ import annotations

__all__ = ["Calibrated", "calibrated_temperature"]

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from ..data.scaling import Scaling
from ..data.source import Source
from ..model.m_step import em_step
from ..model.params import Params
from ..model.stats import Stats
from .base import TemperatureRule
from .maximum_likelihood import MaximumLikelihood
from .moments import check_squared, covariance

COINCIDE = 1e-12  # of the data's squared spread: of centers so near each other, rounding leaves no variance between
UNIMODAL = 4.0  # squared separation, in variances, up to which two Gaussians' mixture has one mode


@dataclass(frozen=True)
class Calibrated(TemperatureRule):
    """The temperature at which memberships mean what they say: of rows with 0.8 for a cluster, 8 in 10 belong to it.

    Maximum likelihood takes correlated features for independent evidence and is too sure. What memberships depend on is
    only where rows are between centers, so T is twice the variance there: see `calibrated_temperature`. The
    covariance of the features, d² numbers, is summed up in one pass.
    """

    solved = True

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        check_squared("calibrated", scaling)
        return _CalibratedTo(covariance(view))

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return MaximumLikelihood().start(scaling, mean_distortion)


@dataclass(frozen=True, repr=False)
class _CalibratedTo(Calibrated):
    """The rule for data of a given covariance (d, d), in the space of the fit."""

    covariance: Tensor

    def __repr__(self) -> str:
        return repr(Calibrated())

    @override
    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """See `TemperatureRule.solve`; T is what it would be at the centers that EM moves to."""
        centers = params.centers + em_step(params, stats)
        found = max(calibrated_temperature(centers, stats.weight, self.covariance), MaximumLikelihood().least(scaling))
        return math.log(found / float(params.temperature[0])), 1.0


@torch.no_grad()
def calibrated_temperature(centers: Tensor, weight: Tensor, covariance: Tensor) -> float:
    r"""Give T = 2 s², with s² the variance of the rows within clusters along the lines that join centers.

    The likeliest temperature takes s² to be the mean over all features. Correlated features measure the same thing
    several times; it counts each as new evidence, and memberships come out too hard. What they depend on is where a row
    lies between centers, so only the variance along those lines matters.

    Parameters
    ----------
    centers : Tensor (k, d)
        The weighted means of the rows by their memberships, as EM's update has them.
    weight : Tensor (k,)
        The weights of the clusters by the same memberships; an empty cluster plays no part.
    covariance : Tensor (d, d)
        The covariance of all rows. It does not change during a fit.

    Returns
    -------
    float
        T, in units of squared distances. Where no direction is told, as there is but one cluster or all centers
        coincide, it is twice the mean variance. It is 0 where clusters are points.

    Notes
    -----
    With memberships r and shares p_k = W_k / n, rows have within clusters the covariance

        W = Σ_ik r_ik (x_i - c_k)(x_i - c_k)ᵀ / n = covariance - Σ_k p_k (c_k - m)(c_k - m)ᵀ,  m = Σ_k p_k c_k,

    which takes no pass over rows. Between two clusters, log(r_k / r_l) is linear along u = (c_k - c_l) / D, with slope
    2 D / T. For two normal distributions of variance s² = uᵀ W u it is D / s² (Fisher's discriminant on this line):
    hence T = 2 s². With two clusters, such an EM fits a mixture of two normal distributions to the rows' places on the
    line of the centers.

    As there is one T for all pairs, it is the mean of theirs, weighted by how many rows lie between the two: by p_k p_l
    exp(-z / 8), Bhattacharyya's coefficient, with z = D² / s². Pairs far apart, whose rows are sure anyway, hardly
    count.

    A pair nearer than two standard deviations, z < 4, is no evidence of two clusters: the density has one mode. Taken
    at its word it would feed on itself: hotter, nearer, hotter, until all centers are the mean. Its s² is multiplied by
    (1 + z / 4) / 2. That makes it half of s² + D² / 4, the variance of the pair taken for one cluster, as it is at
    z = 4. As z goes to 0, T goes to uᵀ W u, half of what keeps coinciding centers together (Rose 1998).

    Shifts, rotations, and further features in which centers do not differ change nothing. If every feature is given
    twice, T is twice as large, as squared distances are, and memberships stay the same.

    References
    ----------
    Bhattacharyya, "On a measure of divergence between two statistical populations defined by their probability
    distributions", Bulletin of the Calcutta Mathematical Society 35, 1943. Fisher, "The use of multiple measurements in
    taxonomic problems", Annals of Eugenics 7, 1936. Rose, "Deterministic annealing for clustering, compression,
    classification, regression, and related optimization problems", Proceedings of the IEEE 86, 1998. Behboodian, "On
    the modes of a mixture of two normal distributions", Technometrics 12, 1970.

    Examples
    --------
    Two clusters 6 apart, of variance 2 along the line between them and 0.1 across:

    >>> centers = torch.tensor([[-3.0, 0.0], [3.0, 0.0]])
    >>> covariance = torch.tensor([[2.0 + 9.0, 0.0], [0.0, 0.1]])
    >>> round(calibrated_temperature(centers, torch.tensor([50.0, 50.0]), covariance), 6)
    4.0
    """
    c, p, total = centers.double(), _shares(weight.double()), covariance.double()
    within = _within(c, p, total)
    gap, variance = _lines(c - p @ c, within)
    pairs = (gap > COINCIDE * total.trace()) & (variance > 0) & torch.outer(p, p).triu(1).bool()
    if not pairs.any():
        return 2 * max(0.0, float(within.trace())) / c.shape[1]
    separation = (gap / variance)[pairs]
    overlap = (torch.outer(p, p)[pairs].log() - separation / 8).softmax(0)
    modest = (0.5 + 0.5 * separation / UNIMODAL).clamp_max(1)
    return 2 * float(overlap @ (variance[pairs] * modest))


def _shares(weight: Tensor) -> Tensor:
    """Shares (k,) of the clusters."""
    return weight / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


def _within(c: Tensor, p: Tensor, covariance: Tensor) -> Tensor:
    """Give the covariance (d, d) within clusters."""
    apart = c - p @ c
    return covariance - (apart.mT * p) @ apart


def _lines(c: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances (k, k) of centers, and the variance (k, k) within clusters along the lines between them."""
    gap = torch.cdist(c, c, compute_mode="donot_use_mm_for_euclid_dist").square()
    inner = c @ within @ c.mT
    own = inner.diagonal()
    return gap, (own[:, None] + own - 2 * inner) / gap
