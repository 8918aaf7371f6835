"""Centering and scaling of the data, so that squares do not overflow or underflow and differences do not cancel."""

from __future__ import annotations

__all__ = ["Scaling", "weighted_sums"]

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._utils.few_numbers import Numbers, as_array, filled, from_array, joined, lower_medians, quietly, where
from .._utils.reductions import total
from ..distances import Distance, check_features
from ..errors import InputError
from ..model.stats import Stats
from .block import Block
from .csr import column_sums
from .source import ScaledSource, Source
from .validation import check_signs

MIN_DISTANCE, MAX_DISTANCE = 1e-300, 1e300  # of the noise cluster, in the units of the scaled data
N_MEDIAN_CENTERS = 64  # as robust as all of them, which take longer than a pass over few rows


class Scaling(NamedTuple):
    """Centering by a shift and scaling by a power of two: the result is near the origin and has a spread near 1.

    Fits compute with centered and scaled rows; parameters and results are converted at the start and the end of a fit.

    Attributes
    ----------
    distance : Distance
        Distance between the embedded rows and the centers.
    shift : Tensor (d,)
        Subtracted from the rows: their weighted mean, or 0 if the distance is not invariant to translation.
    scale : float
        Divisor of the shifted rows; a power of two, so that the division does not round.
    variance : float
        Weighted variance of the scaled rows, averaged over features; 0 if all rows are equal.
    """

    distance: Distance
    shift: Tensor
    scale: float
    variance: float = 1.0

    @classmethod
    @quietly
    def of(cls, source: Source, distance: Distance) -> Scaling:
        """Compute shift, scale and variance from the rows of a source, in two passes.

        Raises
        ------
        InputError
            If the values exceed the range of float64, or the distance needs more features.
        """
        check_features(distance, source.n_features)
        magnitudes, mean = _mean_magnitudes_and_mean(source)
        shift, largest = mean if distance.translates else torch.zeros_like(mean), float(magnitudes.max())
        rough_scale = _power_of_two(largest)  # keeps the squares in range until the spread is known
        squares = as_array(weighted_sums(source, lambda x, j: ((x - mean[j]) / rough_scale).square()))
        variances = squares[1:] / squares[0]
        varies = variances**0.5 > 1e-15 * magnitudes / rough_scale  # a smaller variance is only rounding error
        variance = float(where(varies, variances, 0.0).sum()) / source.n_features
        if not (math.isfinite(largest) and math.isfinite(float(variances.max()))):
            problem = "the data's values are too large for float64 arithmetic"
            raise InputError(problem, hint="divide them by a power of ten")
        if variance == 0 and distance.power is not None:
            return cls(distance, shift, min(max(rough_scale, 1e-150), 1e150), 0.0)
        if distance.power is None:  # another scale would be another distance
            return cls(distance, shift, 1.0, variance * rough_scale**2)
        if not distance.translates:
            return cls(distance, shift, rough_scale, 1.0)
        spread = rough_scale * math.sqrt(variance)
        if not 1e-150 < spread < 1e150:
            problem = f"the data's spread is {spread:.3g}, whose square is out of range for float64"
            raise InputError(problem, hint="rescale it")
        scale = rough_scale * _power_of_two(math.sqrt(variance))
        return cls(distance, shift, scale, variance * (rough_scale / scale) ** 2)

    @classmethod
    def around(cls, distance: Distance, centers: Tensor, temperature: float) -> Scaling:
        """Compute shift and scale from fitted centers (k, d) alone, for use with any rows."""
        if not distance.translates:
            return cls(distance, torch.zeros_like(centers[0]), 1.0)
        numbers = as_array(centers)
        median = lower_medians(numbers[:: -(-len(numbers) // N_MEDIAN_CENTERS)])  # one far center does not move it
        spread, shift = float(abs(numbers - median).max()), from_array(median)
        if distance.power is None:
            return cls(distance, shift, 1.0)
        scale = _power_of_two(max(spread, temperature ** (1 / distance.power), 1e-150))
        if scale > 1e150:
            problem = f"the centers are {spread:.3g} apart, whose square is out of range for float64"
            raise InputError(problem, hint="rescale the data")
        return cls(distance, shift, scale)

    def transform(self, x: Tensor, start: int = 0) -> Tensor:
        """Center and scale rows or centers (m, d) in the data's units, and embed them for the distance.

        Parameters
        ----------
        x : Tensor (m, d)
            The rows.
        start : int
            Number of the first row, for messages.

        Raises
        ------
        InputError
            If a row is all zeros and the distance compares directions.
        """
        return self._embed((x - self.shift) / self.scale, start)

    def transform_stored(self, rows: Any, start: int = 0) -> NDArray[Any]:
        """Center, scale and embed the rows (m, d) of a CSR matrix, and return only the values that it stores (s,).

        The parameter ``start`` and the error are those of `transform`.
        """
        shift = self.shift.cpu().numpy()
        values: NDArray[Any] = (rows.data.astype(np.float64) - shift[rows.indices]) / self.scale
        if self.distance.translates and type(self.distance).embed is Distance.embed:
            return values
        counts = np.diff(rows.indptr)
        row = np.repeat(np.arange(len(counts)), counts)
        column, width = rows.indices, rows.shape[1]
        if self.distance.scales_rows:  # then other columns than those of the stored values do not matter
            column, width = np.arange(len(row)) - rows.indptr[row], max(1, counts.max(initial=0))
        z = np.zeros((len(counts), width))
        z[row, column] = values
        stored: NDArray[Any] = self._embed(torch.from_numpy(z), start).numpy()[row, column]
        return stored

    def _embed(self, x: Tensor, start: int) -> Tensor:
        z = self.distance.embed(x)
        if not self.distance.translates and not z.any(-1).all():
            row, name = start + int((~z.any(-1)).nonzero()[0]), self.distance.name
            problem = f"row {row} is all zeros (counted from 0), but the {name} distance compares directions"
            raise InputError(problem, hint="drop such rows")
        return z

    def inverse_transform(self, c: Tensor) -> Tensor:
        """Convert scaled centers (k, d) to the data's units."""
        if self.distance.power == 0:  # centers are directions
            return c
        return self.distance.unembed(c) * self.scale + self.shift

    def inverse_transform_stats(self, stats: Stats) -> Stats:
        """Convert sums over scaled rows to the data's units."""
        if not self.distance.translates:
            return stats
        slope = self.unit / self.scale**2  # unit of the distance's derivative by the squared distance
        weighted_sum = (stats.weighted_sum * self.scale + stats.irls_weight[:, None] * self.shift) * slope
        distortion = stats.distortion * self.unit
        return replace(stats, irls_weight=stats.irls_weight * slope, weighted_sum=weighted_sum, distortion=distortion)

    def view(self, source: Source) -> Source:
        """Return a source of the same rows, centered and scaled."""
        return ScaledSource(source, self)

    def transform_distance(self, distance: float) -> float:
        """Convert a distance to the units of the scaled data; it stays finite and above 0."""
        return min(max(distance / self.unit, MIN_DISTANCE), MAX_DISTANCE)

    @property
    def n_features(self) -> int:
        """The number of features."""
        return self.shift.shape[0]

    @property
    def unit(self) -> float:
        """A distance or temperature of 1 for scaled rows, converted to the data's units."""
        return 1.0 if self.distance.power is None else self.scale**self.distance.power


def _mean_magnitudes_and_mean(source: Source) -> tuple[Numbers, Tensor]:
    """Return the weighted means (d,) of each feature's absolute values and of its values."""
    sums = as_array(weighted_sums(source, lambda x, _: x.abs(), lambda x, _: x))
    check_signs(0, int(sums[0] != 0))  # checked here: single processes or blocks may have zero weights only
    means = (sums[1:] / sums[0]).reshape(2, -1)
    return means[0], from_array(means[1])


def weighted_sums(source: Source, *functions: Callable[[Tensor, Any], Tensor]) -> Tensor:
    """Return Σ w, followed by Σ w f(x) (d,) for functions f of numbers and their columns, an index of arrays (d,)."""

    def sums(piece: Block) -> Tensor:
        x = piece.x
        parts = [function(x, slice(None)) for function in functions]
        values = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        weighted = values if piece.weights is None else piece.w[:, None] * values
        sums_of_values = as_array(total(weighted))
        return from_array(joined([filled(sums_of_values, 1, float(piece.total())), sums_of_values]))

    def sums_of_stored(block: Block) -> Tensor:
        weights = None if block.weights is None else block.w.cpu().double().numpy()
        sums = column_sums(block.rows, weights, [partial(_of_arrays, function, block.device) for function in functions])
        n = float(len(block)) if weights is None else weights.sum()
        return torch.from_numpy(np.concatenate([[n], sums.ravel()])).to(block.device, block.dtype)

    return source.sum(lambda block: sums_of_stored(block) if block.is_sparse else block.sum(sums))


def _of_arrays(
    function: Callable[[Tensor, Any], Tensor], device: torch.device, x: NDArray[Any], columns: Any
) -> NDArray[Any]:
    """Apply a function of tensors to arrays."""
    index = columns if isinstance(columns, slice) else torch.from_numpy(columns).to(device).long()
    values: NDArray[Any] = function(torch.from_numpy(x).to(device), index).cpu().numpy()
    return values


def _power_of_two(value: float) -> float:
    """Return the greatest power of two up to a value; 1 if the value is 0 or not finite."""
    return 2.0 ** (math.frexp(value)[1] - 1) if 0 < value < math.inf else 1.0
