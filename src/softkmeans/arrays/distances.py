"""The distances on arrays: functions of the squared Euclidean distance."""

from __future__ import annotations

__all__ = [
    "COSINE",
    "EUCLIDEAN",
    "SQUARED_EUCLIDEAN",
    "ArrayDistance",
    "far_rows",
    "relative_distances",
    "squared",
    "squared_from_differences",
]

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .density import log_polar_partition, log_power_partition

Array: TypeAlias = NDArray[Any]

MAX_FEW_FEATURES = 4  # up to which differences of coordinates are as fast as a product, and more precise
MIN_PRODUCT_RATIO = 1e-7  # of squared distance to squared norms; smaller distances are computed from differences
FAR_RATIO = 1e4  # of a row's squared distance to the squared size of the set of centers, from which the row is far


class ArrayDistance(NamedTuple):
    """A distance, which is a function of the squared Euclidean distance of embedded rows.

    Attributes
    ----------
    of_squared : callable
        The distance at squared Euclidean distances. It may change them in place.
    slope : callable or None
        The derivative with respect to the squared Euclidean distance, at the distance; None if it is constant.
    constant_slope : float or None
        That derivative if it is constant.
    normalizes : bool
        Whether rows are divided by their lengths; they are then not centered.
    power : int
        The power of the Euclidean distance that it is proportional to; 0 if it does not depend on the scale.
    log_partition : callable
        log Z(T) of the density, at temperatures (k,) and a number of features.
    """

    of_squared: Callable[[Array], Array]
    slope: Callable[[Array], Array] | None
    constant_slope: float | None
    normalizes: bool
    power: int
    log_partition: Callable[[Array, int], Array]

    def embed(self, x: Array) -> Array:
        """Transform rows (n, d) as the distance requires: to unit length for the cosine."""
        return _unit(x) if self.normalizes else x


def _unit(x: Array) -> Array:
    """Scale rows (n, d) to length 1; a row of zeros stays 0."""
    largest = np.abs(x).max(1, keepdims=True)  # dividing by it first, so that no square over- or underflows
    scaled = x / np.where(largest > 0, largest, 1.0)
    norm = np.sqrt(np.einsum("nd,nd->n", scaled, scaled))[:, None]
    unit: Array = scaled / np.where(norm > 0, norm, 1.0)
    return unit


def _half(squares: Array) -> Array:
    return np.multiply(squares, 0.5, out=squares)


def _root(squares: Array) -> Array:
    return np.sqrt(squares, out=squares)


def _slope_of_root(d: Array) -> Array:
    with np.errstate(divide="ignore"):
        slope: Array = 0.5 / d
    return slope


def _power_partition(power: int) -> Callable[[Array, int], Array]:
    return lambda temperatures, n_features: log_power_partition(power, np.log(temperatures), n_features)


SQUARED_EUCLIDEAN = ArrayDistance(lambda squares: squares, None, 1.0, False, 2, _power_partition(2))
EUCLIDEAN = ArrayDistance(_root, _slope_of_root, None, False, 1, _power_partition(1))
COSINE = ArrayDistance(_half, None, 0.5, True, 0, log_polar_partition)  # 1 - cos = ‖x - c‖² / 2 on the unit sphere


def squared(z: Array, c: Array) -> Array:
    """Return the squared Euclidean distances (k, n) of centers (k, d) to rows (n, d), with at least half of the digits.

    They are computed by a matrix product, or from differences if the product loses them to cancellation.

    Examples
    --------
    >>> squared(np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]]))
    array([[ 1.,  1.],
           [25.,  9.]])
    """
    if c.shape[1] <= MAX_FEW_FEATURES:
        return squared_from_differences(z, c)
    norms = np.einsum("nd,nd->n", z, z) + np.einsum("kd,kd->k", c, c)[:, None]
    squares = product(c, z)
    squares *= -2
    squares += norms
    norms *= MIN_PRODUCT_RATIO
    return squared_from_differences(z, c) if (squares < norms).any() else squares


def squared_from_differences(z: Array, c: Array) -> Array:
    """Return squared Euclidean distances (k, n) from differences; few features are added up one by one."""
    if c.shape[1] > MAX_FEW_FEATURES:
        differences = c[:, None] - z
        squares: Array = np.einsum("knd,knd->kn", differences, differences)
        return squares
    total: Array = np.subtract.outer(c[:, 0], z[:, 0])
    total *= total
    for j in range(1, c.shape[1]):
        difference = np.subtract.outer(c[:, j], z[:, j])
        difference *= difference
        total += difference
    return total


def product(a: Array, b: Array) -> Array:
    """Return the product a bᵀ (m, k) of arrays (m, d) and (k, d), with the same bits for any number of threads.

    BLAS computes products of so few numbers in one thread, but not those of a matrix and a vector.
    """
    return np.einsum("md,kd->mk", a, b) if 1 in (len(a), len(b)) else a @ b.T


def far_rows(min_distance: Array, c: Array, distance: ArrayDistance) -> Array:
    """Return the indices (r,) of rows far from all centers (k, d), given their distances (n,) to the nearest center.

    For these rows, the distances to two centers are nearly equal, and their difference is lost to rounding.
    """
    if distance.power != 2:
        return np.empty(0, np.int64)
    size = np.square(c - c[0]).sum(1).max()
    return np.flatnonzero(min_distance > FAR_RATIO * size)


def relative_distances(z: Array, c: Array) -> Array:
    """Return the squared distances (k, n) of centers to rows, less those of the first center, without cancellation."""
    step = c - c[0]
    relative: Array = (step * (c + c[0])).sum(1)[:, None] - 2 * product(step, z)
    return relative
