"""The M-step of expectation-maximization: new centers from sufficient statistics."""

from __future__ import annotations

__all__ = ["MStep", "distortion_after", "em_step"]

from functools import cached_property

import torch
from torch import Tensor

from .._utils.few_numbers import Numbers, as_array, at_least, from_array, quietly, row_products, where
from .params import Params
from .stats import Stats


class MStep:
    """The M-step at fixed memberships, from parameters and the sums there, which are arrays if they are on the CPU.

    If the distance has a kink at the center, rows that coincide with the center shorten the step of the centers (Vardi
    & Zhang, "The multivariate L1-median and associated data depth", PNAS 2000).

    Parameters
    ----------
    params : Params
        The parameters.
    stats : Stats
        The sums at these parameters.

    Attributes
    ----------
    means : array or Tensor (k, d)
        The weighted means of the rows; the centers of clusters without weight.
    """

    def __init__(self, params: Params, stats: Stats) -> None:
        self.params, self.stats = params, stats
        self.centers, self.temperature = as_array(params.centers), as_array(params.temperature)
        self.irls_weight, self.distortion = as_array(stats.irls_weight), as_array(stats.distortion)
        self.total_distortion, self.n = float(self.distortion.sum()), float(stats.n)
        self.means = self._means()
        kink_weight = as_array(stats.kink_weight)
        self.kink_weight = kink_weight if kink_weight.any() else None  # if there is none, it would change nothing

    def is_of(self, params: Params, stats: Stats) -> bool:
        """Return whether this is the M-step from the same parameters and sums."""
        return self.params is params and self.stats is stats

    def _means(self) -> Numbers:
        """Return the weighted means (k, d) of the rows, or else the centers."""
        irls_weight = self.irls_weight[:, None]  # (k, 1)
        has_weight = irls_weight > torch.finfo(self.stats.irls_weight.dtype).tiny
        means = as_array(self.stats.weighted_sum) / irls_weight
        return means if has_weight.all() else where(has_weight, means, self.centers)

    @cached_property
    def to_means(self) -> Numbers:
        """The steps (k, d) from the centers to the means."""
        return self.means - self.centers

    @cached_property
    def step(self) -> Numbers:
        """The EM step (k, d) of the centers: to the means, unless rows at a kink shorten it."""
        return self.to_means if self.kink_weight is None else self._shortened(self.to_means, self.kink_weight)

    @property
    def new_centers(self) -> Numbers:
        """The centers (k, d) after the step."""
        return self.means if self.kink_weight is None else self.centers + self.step

    def _shortened(self, steps: Numbers, kink_weight: Numbers) -> Numbers:
        """Return steps (k, d), each shortened by the weight of the rows that coincide with its center."""
        resultant = 2 * self.irls_weight * _lengths(steps)
        moves = resultant > 0
        shrinkage = where(moves, kink_weight / where(moves, resultant, 1.0), 0.0)
        return steps * at_least(1 - shrinkage, 0.0)[:, None]

    def distortion_after(self, centers: Numbers) -> Numbers:
        """Return the distortion (k,) of each cluster at new centers (k, d), with the old memberships.

        It is an upper bound for distances that are concave in the squared distance. With the weighted mean m,
        Σ w r g ‖x - c‖² changes by A (‖c_new - m‖² - ‖c_old - m‖²). Rows that coincided with the center, at the kink,
        end up ‖c_new - c_old‖ away from it.
        """
        moves = centers - self.centers
        change = row_products(moves, moves) - 2 * row_products(moves, self.to_means)
        distortion = self.distortion + self.irls_weight * change
        if self.kink_weight is not None:
            distortion = distortion + self.kink_weight * _lengths(moves)
        return at_least(distortion, 0.0)


def _lengths(steps: Numbers) -> Numbers:
    """Return the Euclidean lengths (k,) of steps (k, d)."""
    return row_products(steps, steps) ** 0.5


@quietly
def em_step(params: Params, stats: Stats) -> Tensor:
    """Return the EM step (k, d) of the centers: see `MStep`."""
    return from_array(MStep(params, stats).step)


@quietly
def distortion_after(centers: Tensor, params: Params, stats: Stats) -> Tensor:
    """Return the distortion (k,) of each cluster at new centers (k, d): see `MStep`."""
    return from_array(MStep(params, stats).distortion_after(as_array(centers)))
