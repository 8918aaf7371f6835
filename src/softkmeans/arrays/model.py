"""A fitted model on arrays: memberships and labels of rows."""

from __future__ import annotations

__all__ = ["ArrayModel"]

import math
from collections.abc import Iterator

import numpy as np

from ..errors import InputError
from . import passes
from .distances import Array, ArrayDistance
from .passes import ArrayRule

MAX_SCALED_VALUE = 1e150  # squares of larger values overflow float64
MIN_TEMPERATURE = 1e-200  # in scaled units; below it or above its inverse, logits or objectives might overflow
MIN_DISTANCE, MAX_DISTANCE = 1e-300, 1e300  # of the noise cluster, in the same units
MIN_PRIOR = 1e-300  # lower bound of a prior, so that its logarithm is finite
MAX_TILE_WORK = 2**18  # n k (d + 8), up to which arrays stay in cache, and BLAS computes products in one thread

quietly = np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore")


class ArrayModel:
    """A fitted model that computes memberships and labels: `estimators.fitted_model.Clustering` without PyTorch.

    Rows are centered to the median of the centers, and scaled by a power of two.

    Parameters
    ----------
    centers : ndarray (k, d)
        Centers in the data's units, float64.
    distance : ArrayDistance
        The distance.
    temperature : float or ndarray (k,)
        T > 0, or that of each cluster.
    priors : ndarray (k,)
        Prior probability of each cluster.
    noise_distance : float or None
        Distance of the noise cluster from every row.
    fuzzifier : float or None
        The fuzzifier of fuzzy memberships, which ignore temperature and priors; None for the softmax.
    """

    def __init__(
        self,
        centers: Array,
        distance: ArrayDistance,
        *,
        temperature: float | Array,
        priors: Array,
        noise_distance: float | None,
        fuzzifier: float | None,
    ) -> None:
        self.distance, k = distance, len(centers)
        t = np.broadcast_to(np.asarray(temperature, np.float64), k)
        self.shift, self.scale = np.zeros(centers.shape[1]), 1.0
        if not distance.normalizes:
            self.shift = np.sort(centers, axis=0)[(k - 1) // 2]
            largest = float(t.max()) if fuzzifier is None else noise_distance or 1.0
            spread = float(np.abs(centers - self.shift).max())
            self.scale = _power_of_two(max(spread, largest ** (1 / distance.power), 1e-150))
        self.centers, unit = self._scaled(centers), self.scale**distance.power
        noise = None if noise_distance is None else min(max(noise_distance / unit, MIN_DISTANCE), MAX_DISTANCE)
        self.has_noise = noise is not None
        self.rule: ArrayRule
        if fuzzifier is None:
            self.logits, noise_logit = _logits(
                np.maximum(t / unit, MIN_TEMPERATURE), priors, noise, self._log_partition(temperature, unit)
            )
            self.rule = lambda logits: passes.softmax(logits, noise_logit)
        else:
            self.logits, noise_logit = (np.ones(k), np.zeros(k)), -math.inf if noise is None else -noise
            self.rule = lambda logits: passes.fuzzy(logits, noise_logit, fuzzifier)
        beta, b = self.logits
        has_equal_logits = bool((beta == beta[0]).all() and not self.has_noise)
        self.keeps_far = fuzzifier is None and has_equal_logits
        self.is_plain = has_equal_logits and bool((b == b[0]).all())  # the nearest center is the most probable one

    def _log_partition(self, temperature: float | Array, unit: float) -> Array:
        """Return log Z(T) (k,), by which the densities differ if each cluster has a temperature; else 0."""
        if np.ndim(temperature) == 0:
            return np.zeros(1)
        return self.distance.log_partition(np.asarray(temperature) / unit, self.centers.shape[1])

    def _scaled(self, x: Array) -> Array:
        """Return rows (n, d), centered, scaled and embedded."""
        return self.distance.embed((x - self.shift) / self.scale)

    @quietly
    def memberships(self, x: Array) -> Array:
        """Return the memberships (n, k) of rows (n, d)."""
        resp = np.empty((len(x), len(self.centers)))
        for rows, z in self._tiles(x):
            resp[rows] = self._resp(z).T
        return resp

    @quietly
    def labels(self, x: Array, reject_below: float | None = None) -> Array:
        """Return the most probable cluster (n,) of each row; -1 for noise, or for memberships below a threshold."""
        labels = np.empty(len(x), np.int64)
        for rows, z in self._tiles(x):
            if self.is_plain and reject_below is None:
                labels[rows] = passes.nearest(z, self.centers, self.distance)[0]
                continue
            resp = self._resp(z)
            largest = resp.max(0)
            rejected = largest < (-1.0 if reject_below is None else reject_below)
            if self.has_noise:
                rejected |= largest < 1 - resp.sum(0)
            labels[rows] = np.where(rejected, -1, resp.argmax(0))
        return labels

    def _resp(self, z: Array) -> Array:
        """Return the memberships (k, n) of scaled rows (n, d)."""
        return passes.assign(z, self.centers, self.logits, self.distance, self.rule, keeps_far=self.keeps_far)

    def _tiles(self, x: Array) -> Iterator[tuple[slice, Array]]:
        """Yield scaled rows, tile by tile, and where they are.

        Raises
        ------
        InputError
            If a row is too far away, or has no direction and the distance compares these.
        """
        k, d = self.centers.shape
        size = max(1, MAX_TILE_WORK // (k * (d + 8)))
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            z = self._scaled(x[rows])
            if not np.abs(z).max() <= MAX_SCALED_VALUE:
                problem = f"rows are more than {MAX_SCALED_VALUE:g} times the centers' spread away from the centers"
                raise InputError(problem, hint="check the data for wrong values")
            if self.distance.normalizes and not (has_direction := z.any(1)).all():
                row = start + int(np.flatnonzero(~has_direction)[0])
                problem = f"row {row} is all zeros (counted from 0), but the cosine distance compares directions"
                raise InputError(problem, hint="drop such rows")
            yield rows, z


def _logits(t: Array, priors: Array, noise: float | None, log_z: Array) -> tuple[tuple[Array, Array], float]:
    """Return the coefficients beta and b (k,) of the logits, and the logit of the noise: see `model.logits`."""
    probabilities = priors if noise is None else np.append(priors, max(0.0, 1 - priors.sum()))
    b, noise_logit = np.log(np.maximum(probabilities, MIN_PRIOR)) + math.log(len(probabilities)), -math.inf
    if noise is not None:
        b, noise_logit = b[:-1], float(b[-1] - noise / t[0])
    return (1 / t, b - log_z + log_z.min()), noise_logit


def _power_of_two(value: float) -> float:
    """Return the greatest power of two up to a positive value."""
    return 2.0 ** (math.frexp(value)[1] - 1)
