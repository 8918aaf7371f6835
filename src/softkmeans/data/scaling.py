"""The space a fit works in: the data's rows shifted and scaled so that no square overflows, underflows or cancels."""

from __future__ import annotations

__all__ = ["Scaling"]

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from .._utils.reductions import total
from ..distances import Distance, check_features
from ..errors import InputError
from ..model.stats import Stats
from .block import Block
from .source import ScaledView, Source
from .validation import check_signs


class Scaling(NamedTuple):
    """A shift and a power of two that bring rows near the origin at a spread near 1; only the fit's edges know of it.

    Attributes
    ----------
    distance : Distance
        Taken between embedded rows and centers.
    shift : Tensor (d,)
        What is taken off the rows: their weighted mean, or 0 where the distance minds translation.
    scale : float
        What the rows are then divided by; a power of two, so that nothing is rounded.
    variance : float
        Weighted variance, mean over features, of the rows in this space; 0 where all are the same.
    """

    distance: Distance
    shift: Tensor
    scale: float
    variance: float = 1.0

    @classmethod
    def of(cls, source: Source, distance: Distance) -> Scaling:
        """Measure the rows of a source, in two passes.

        Raises
        ------
        InputError
            If the rows span more than float64 can hold, or have no direction where the distance needs one.
        """
        check_features(distance, source.n_features)
        sizes, mean = _mean(source)
        shift = mean if distance.translates else torch.zeros_like(mean)
        rough = _power_of_two(float(sizes.max()))
        squares = _weighted(source, lambda x: ((x - mean) / rough).square())
        variances = squares[1:] / squares[0]
        varies = variances.sqrt() > 1e-15 * sizes / rough  # else it is what rounding makes of equal entries
        variance = float(torch.where(varies, variances, 0.0).mean())
        if not (sizes.isfinite().all() and variances.isfinite().all()):
            raise InputError("the data's values are too large for float64 arithmetic: divide them by a power of ten")
        if variance == 0:
            return cls(distance, shift, min(max(rough, 1e-150), 1e150), 0.0)
        if distance.translates and not 1e-150 < rough * math.sqrt(variance) < 1e150:
            spread = f"{rough * math.sqrt(variance):.3g}"
            raise InputError(f"the data's spread is {spread}, the square of which float64 can't hold: rescale the data")
        scale = rough * (_power_of_two(math.sqrt(variance)) if distance.translates else 1.0)
        return cls(distance, shift, scale, variance * (rough / scale) ** 2 if distance.translates else 1.0)

    @classmethod
    def around(cls, distance: Distance, centers: Tensor, temperature: float) -> Scaling:
        """Derive a space from fitted centers (k, d) alone, good for looking at any rows from there."""
        if not distance.translates:
            return cls(distance, torch.zeros_like(centers[0]), 1.0)
        middle = centers.median(0).values  # a center far astray is not to drown the others
        spread = (centers - middle).abs().max().item()
        scale = _power_of_two(max(spread, temperature ** (1 / distance.power), 1e-150))
        if scale > 1e150:
            raise InputError(
                f"the centers lie {spread:.3g} apart, the square of which float64 can't hold: rescale them"
            )
        return cls(distance, middle, scale)

    def transform(self, x: Tensor) -> Tensor:
        """Bring rows or centers (m, d) in the data's units into this space.

        Raises
        ------
        InputError
            If a row is all zeros where the distance goes by directions.
        """
        z = self.distance.embed((x - self.shift) / self.scale)
        if not self.distance.translates and not z.any(-1).all():
            raise InputError(
                f"the {self.distance.name} distance goes by directions, and at least {int((~z.any(-1)).sum())} rows "
                "are all zeros: leave such rows out"
            )
        return z

    def inverse_transform(self, c: Tensor) -> Tensor:
        """Give centers (k, d) back in the data's units."""
        return c * self.scale + self.shift if self.distance.translates else c

    def inverse_transform_stats(self, stats: Stats) -> Stats:
        """Give sums over rows in the data's units."""
        if not self.distance.translates:
            return stats
        slope = self.scale ** (self.distance.power - 2)  # what the distance's slope in the squared one is measured in
        weighted_sum = (stats.weighted_sum * self.scale + stats.irls_weight[:, None] * self.shift) * slope
        distortion = stats.distortion * self.unit
        return replace(stats, irls_weight=stats.irls_weight * slope, weighted_sum=weighted_sum, distortion=distortion)

    def view(self, source: Source) -> Source:
        """See a source's rows as they are in this space."""
        return ScaledView(source, self)

    @property
    def unit(self) -> float:
        """What a distance, or temperature, of 1 in this space is in the data's units."""
        return self.scale**self.distance.power


def _mean(source: Source) -> tuple[Tensor, Tensor]:
    """Weighted mean size (d,) and mean (d,) of each feature."""
    sums = _weighted(source, lambda x: torch.cat([x.abs(), x], 1))
    check_signs(0, int(sums[0] != 0))  # here, as each of several processes may have had rows without weight only
    sizes, mean = (sums[1:] / sums[0]).chunk(2)
    return sizes, mean


def _weighted(source: Source, of: Callable[[Tensor], Tensor]) -> Tensor:
    """Give Σ w, followed by Σ w f(x) of a function of rows (m, d)."""

    def sums(piece: Block) -> Tensor:
        return torch.cat([total(piece.w)[None], total(piece.w[:, None] * of(piece.x))])

    return source.sum(lambda block: block.sum(sums))


def _power_of_two(size: float) -> float:
    """Return the power of two next below a size; 1 for a size of 0 or one that is not finite."""
    return 2.0 ** (math.frexp(size)[1] - 1) if 0 < size < math.inf else 1.0
