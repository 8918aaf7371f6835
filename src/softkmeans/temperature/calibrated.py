"""The temperature at which memberships are calibrated probabilities."""

from __future__ import annotations

__all__ = ["Calibrated", "calibrated_temperature"]

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from .._utils.few_numbers import as_array, from_array, log
from .._utils.one_thread import in_one_thread
from ..data.scaling import Scaling
from ..data.source import Source
from ..model.m_step import em_step
from ..model.params import Params
from ..model.stats import Stats
from .base import TemperatureRule
from .maximum_likelihood import MaximumLikelihood
from .moments import Covariance, check_squared

MIN_SQUARED_GAP = 1e-12  # fraction of the total variance; for closer centers, the variance along their line is rounding
UNIMODAL_SEPARATION = 4.0  # squared distance of two Gaussians, in variances, up to which their mixture has one mode
FEW_NUMBERS = 1000  # k d max(k, d), up to which PyTorch and BLAS use one thread anyway


@dataclass(frozen=True)
class Calibrated(TemperatureRule):
    """The temperature at which memberships are calibrated: of rows with membership 0.8, 80 % belong to the cluster.

    Maximum likelihood treats correlated features as independent evidence, so its memberships are too confident.
    Memberships depend only on the positions of rows along the lines between centers. T is therefore twice the variance
    along these lines: see `calibrated_temperature`. One pass computes the covariance of the features, d² numbers. If
    there are more features than rows, or many features of sparse rows, each pass computes the variances along the lines
    instead.
    """

    solves_equation = True

    @override
    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        check_squared("calibrated", scaling)
        return _BoundCalibrated(Covariance.of(view, scaling))

    @override
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float:
        return MaximumLikelihood().start(scaling, mean_distortion)


@dataclass(frozen=True, repr=False)
class _BoundCalibrated(Calibrated):
    """The rule for data with a given covariance, in the units of the scaled data."""

    covariance: Covariance

    def __repr__(self) -> str:
        return repr(Calibrated())

    @override
    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """Return the result of `TemperatureRule.solve`, for the T at the centers after an EM step."""
        centers = params.centers + em_step(params, stats)
        calibrated = _in_float64(centers, stats.weight, self.covariance)
        temperature = max(calibrated, MaximumLikelihood().lower_bound(scaling))
        return math.log(temperature / float(params.temperature[0])), 1.0


@torch.no_grad()
def calibrated_temperature(centers: Tensor, weight: Tensor, covariance: Tensor) -> float:
    r"""Compute T = 2 s², where s² is the variance of rows within clusters along the lines between centers.

    Maximum likelihood sets s² to the mean variance over all features. Correlated features measure the same quantity
    several times. Maximum likelihood counts each as independent evidence, and memberships become too hard. They depend
    only on the positions of rows along the lines between centers, so only the variance along these lines counts.

    Parameters
    ----------
    centers : Tensor (k, d)
        The means of the rows, weighted with their memberships, as after an EM update.
    weight : Tensor (k,)
        The cluster weights for the same memberships; an empty cluster has no effect.
    covariance : Tensor (d, d)
        The covariance of all rows. It does not change during a fit.

    Returns
    -------
    float
        T, in units of squared distances. With one cluster, or if all centers coincide, there is no line between
        centers, and T is twice the mean variance. T is 0 if clusters have no variance.

    Notes
    -----
    With memberships r and cluster weights p_k = W_k / n that sum to 1, the covariance within clusters is

        W = Σ_ik r_ik (x_i - c_k)(x_i - c_k)ᵀ / n = covariance - Σ_k p_k (c_k - m)(c_k - m)ᵀ,  m = Σ_k p_k c_k,

    which needs no pass over the rows. Between two clusters, log(r_k / r_l) is linear along u = (c_k - c_l) / D, with
    slope 2 D / T. For two normal distributions of variance s² = uᵀ W u the slope is D / s² (Fisher's discriminant on
    this line), hence T = 2 s². With two clusters, EM with this T fits a mixture of two normal distributions to the
    projections of the rows onto the line through the centers.

    Because there is one T for all pairs, it is the mean of their temperatures. The weight of a pair measures how many
    rows lie between its centers: p_k p_l exp(-z / 8), with the Bhattacharyya coefficient exp(-z / 8) and z = D² / s².
    Pairs that are far apart hardly count; memberships between them are near 0 or 1 anyway.

    The density of a pair closer than two standard deviations, z < 4, has one mode and is no evidence of two clusters.
    With T = 2 s², such pairs would reinforce themselves: a higher T moves the centers closer, which raises T again,
    until all centers are at the mean. For these pairs, s² is therefore multiplied by (1 + z / 4) / 2. The result is
    half of s² + D² / 4, the variance of the pair if it is regarded as one cluster, and equals s² at z = 4. As z goes
    to 0, T goes to uᵀ W u, half of the temperature above which coinciding centers are stable (Rose 1998).

    T is invariant under shifts, rotations, and added features in which the centers do not differ. If every feature is
    repeated, T doubles, as squared distances do, and memberships stay the same.

    References
    ----------
    Bhattacharyya, "On a measure of divergence between two statistical populations defined by their probability
    distributions", Bulletin of the Calcutta Mathematical Society 35, 1943. Fisher, "The use of multiple measurements in
    taxonomic problems", Annals of Eugenics 7, 1936. Rose, "Deterministic annealing for clustering, compression,
    classification, regression, and related optimization problems", Proceedings of the IEEE 86, 1998. Behboodian, "On
    the modes of a mixture of two normal distributions", Technometrics 12, 1970.

    Examples
    --------
    Two clusters at distance 6, with variance 2 along the line between them and 0.1 perpendicular to it:

    >>> centers = torch.tensor([[-3.0, 0.0], [3.0, 0.0]])
    >>> covariance = torch.tensor([[2.0 + 9.0, 0.0], [0.0, 0.1]])
    >>> round(calibrated_temperature(centers, torch.tensor([50.0, 50.0]), covariance), 6)
    4.0
    """
    return _in_float64(centers, weight, Covariance.given(covariance.double()))


@torch.no_grad()
def _in_float64(centers: Tensor, weight: Tensor, covariance: Covariance) -> float:
    """Return the result of `calibrated_temperature`."""
    c, p = centers.double(), _normalized(weight.double())
    n_features = c.shape[1]
    c, total = covariance.near(c - p @ c)  # which may read the rows, in threads
    parts = c, p, total, covariance.trace, n_features
    if c.device.type != "cpu" or c.numel() * max(c.shape) <= FEW_NUMBERS:
        return _calibrated_temperature(*parts)
    return in_one_thread(lambda: _calibrated_temperature(*parts))  # threads would change the last bits


def _calibrated_temperature(c: Tensor, p: Tensor, total: Tensor, trace: float, n_features: int) -> float:
    """Compute the temperature.

    Parameters
    ----------
    c : Tensor (k, m)
        The centers, less their mean.
    p : Tensor (k,)
        The cluster weights, which sum to 1.
    total : Tensor (m, m)
        The covariance of all rows. If they have more features, those in which the centers do not differ are left out.
    trace : float
        The sum of the variances of all features.
    n_features : int
        Their number.
    """
    within = total - (c.mT * p) @ c
    squared_gap, variance = _gaps_and_variances(c, within)
    both = torch.outer(p, p)  # each pair occurs twice, which its mean does not change
    pairs = (squared_gap > MIN_SQUARED_GAP * trace) & (variance > 0) & (both > 0)
    if not pairs.any():
        return 2 * max(0.0, trace - float(p @ c.square().sum(1))) / n_features
    separation = (squared_gap / variance)[pairs]
    overlap = from_array(log(as_array(both[pairs]))) - separation / 8
    overlap = (overlap - overlap.max()).exp()
    reduction = (0.5 + 0.5 * separation / UNIMODAL_SEPARATION).clamp_max(1)
    return 2 * float(overlap @ (variance[pairs] * reduction) / overlap.sum())


def _normalized(weight: Tensor) -> Tensor:
    """Return cluster weights (k,) divided by their sum."""
    return weight / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


def _gaps_and_variances(c: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distances (k, k) of centers, and the variances (k, k) within clusters along the lines."""
    squared_gap = torch.cdist(c, c, compute_mode="donot_use_mm_for_euclid_dist").square()
    products = c @ within @ c.mT
    own = products.diagonal()
    return squared_gap, (own[:, None] + own - 2 * products) / squared_gap
