"""The density exp(-d / T) / Z(T) of a distance that is a function of the Euclidean distance, by quadrature."""

from __future__ import annotations

__all__ = ["RadialDensity"]

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy  # loads its submodules when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays.density import log_sphere_area
from ..errors import InputError

N_NODES = 1024
NEGLIGIBLE = 46.0  # -log of the fraction of the density that the quadrature leaves out
LOG_RADII = torch.linspace(
    -345.0, 345.0, 691, dtype=torch.float64, device="cpu"
)  # all radii whose squares are in range
LOG_TEMPERATURES = (math.log(1e-150), math.log(1e150))  # between which the likeliest temperature is searched
LARGE = 1e300  # in place of a mean distance that does not exist


class RadialDensity(NamedTuple):
    """A density proportional to exp(-g(r²) / T) at distance r from its center.

    With u = log r, the normalization constant is the area of the unit sphere times ∫ exp(d u - g(e^2u) / T) du. The
    integrand is smooth and decays on both sides, so the trapezoidal rule converges exponentially fast (Trefethen &
    Weideman, "The exponentially convergent trapezoidal rule", SIAM Review 2014).

    Attributes
    ----------
    name : str
        Name of the distance.
    of_squared : callable
        The distance g as a function of r².
    n_features : int
        Number of features d.
    """

    name: str
    of_squared: Callable[[Tensor], Tensor]
    n_features: int

    def log_partition(self, temperature: Tensor) -> Tensor:
        """Return log Z(T), differentiable in T."""
        u = self._nodes(float(temperature.detach())).to(temperature.device)
        log_density = self._log_integrand(u, temperature.double()) + (u[1] - u[0]).log()
        return (log_sphere_area(self.n_features) + torch.logsumexp(log_density, 0)).to(temperature.dtype)

    def mean_distortion(self, temperature: float) -> float:
        """Return the mean distance under the density."""
        u = self._nodes(temperature)
        probability = torch.softmax(
            self._log_integrand(u, torch.tensor(temperature, dtype=torch.float64, device="cpu")), 0
        )
        return float(probability @ self.of_squared((2 * u).exp()))

    def likeliest_temperature(self, mean_distortion: float) -> float:
        """Return the T at which the density has this mean distance."""

        def residual(log_temperature: float) -> float:
            """Return the log of the mean distance at a temperature, minus that of the given one; it increases."""
            try:
                mean = self.mean_distortion(math.exp(log_temperature))
            except InputError:  # at so high a temperature, there is no density
                mean = LARGE
            return math.log(max(mean, 1e-300)) - math.log(max(mean_distortion, 1e-300))

        lowest, highest = LOG_TEMPERATURES
        low = high = min(max(math.log(max(mean_distortion, 1e-300) / self.n_features), lowest), highest)
        step = 1.0
        while residual(low) > 0 and low > lowest:
            low, high, step = max(low - step, lowest), low, 2 * step
        while residual(high) < 0 and high < highest:
            low, high, step = high, min(high + step, highest), 2 * step
        if residual(low) >= 0 or residual(high) <= 0:  # no temperature in the range has this mean distance
            return math.exp(low if residual(low) >= 0 else high)
        return math.exp(scipy.optimize.brentq(residual, low, high, xtol=1e-12, rtol=1e-13))

    def sample_around(
        self, center: NDArray[np.float64], temperature: float, n_samples: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw rows (n_samples, d) around a center (d,)."""
        u = self._nodes(temperature)
        probability = torch.softmax(
            self._log_integrand(u, torch.tensor(temperature, dtype=torch.float64, device="cpu")), 0
        )
        cumulative = np.cumsum(probability.numpy())
        radius = np.exp(np.interp(rng.random((n_samples, 1)), cumulative, u.numpy()))
        direction = rng.standard_normal((n_samples, self.n_features))
        rows: NDArray[np.float64] = center + radius * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return rows

    def _log_integrand(self, u: Tensor, temperature: Tensor) -> Tensor:
        return self.n_features * u - self.of_squared((2 * u).exp()) / temperature

    def _nodes(self, temperature: float) -> Tensor:
        """Return equally spaced log-radii that cover the density."""
        if not math.isfinite(temperature):
            raise InputError(
                "is not a finite number",
                parameter="temperature",
                value=temperature,
                hint="check the data and the distance",
            )
        values = self._log_integrand(LOG_RADII, torch.tensor(temperature, dtype=torch.float64, device="cpu"))
        covered = (values > values.nan_to_num(-math.inf).max() - NEGLIGIBLE).nonzero()[:, 0]
        first, last = int(covered[0]), int(covered[-1])
        if first == 0 or last == len(LOG_RADII) - 1:
            raise InputError(
                f"has no density in {self.n_features} dimensions at temperature {temperature:g}, as exp(-d / T) has no "
                "finite integral",
                parameter="distance",
                value=self.name,
                hint="use a lower temperature, or no method that needs a likelihood",
            )
        return torch.linspace(
            float(LOG_RADII[first - 1]), float(LOG_RADII[last + 1]), N_NODES, dtype=torch.float64, device="cpu"
        )
