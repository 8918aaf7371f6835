"""The density exp(-d / T) / Z(T) of a distance that is a function of the Euclidean distance, by quadrature."""

from __future__ import annotations

__all__ = ["RadialDensity"]

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ._sphere import log_sphere_area

N_NODES = 4096
NEGLIGIBLE = 46.0  # -log of the fraction of the density that the quadrature leaves out
LOG_RADII = torch.linspace(-345.0, 345.0, 2761, dtype=torch.float64)  # all radii whose squares are in range
N_BISECTIONS = 60
LOG_TEMPERATURES = (math.log(1e-150), math.log(1e150))  # between which the likeliest temperature is searched


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
        probability = torch.softmax(self._log_integrand(u, torch.tensor(temperature, dtype=torch.float64)), 0)
        return float(probability @ self.of_squared((2 * u).exp()))

    def likeliest_temperature(self, mean_distortion: float) -> float:
        """Return the T at which the density has this mean distance."""
        low, high = LOG_TEMPERATURES
        for _ in range(N_BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if self._is_above(mean_distortion, math.exp(middle)) else (middle, high)
        return math.exp(low)

    def _is_above(self, mean_distortion: float, temperature: float) -> bool:
        """Return whether the mean distance at a temperature is above a given one; it increases with temperature."""
        try:
            return self.mean_distortion(temperature) >= mean_distortion
        except InputError:  # at so high a temperature, there is no density
            return True

    def sample_around(
        self, center: NDArray[np.float64], temperature: float, n_samples: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw rows (n_samples, d) around a center (d,)."""
        u = self._nodes(temperature)
        probability = torch.softmax(self._log_integrand(u, torch.tensor(temperature, dtype=torch.float64)), 0)
        cumulative = np.cumsum(probability.numpy())
        radius = np.exp(np.interp(rng.random((n_samples, 1)), cumulative, u.numpy()))
        direction = rng.standard_normal((n_samples, self.n_features))
        rows: NDArray[np.float64] = center + radius * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return rows

    def _log_integrand(self, u: Tensor, temperature: Tensor) -> Tensor:
        return self.n_features * u - self.of_squared((2 * u).exp()) / temperature

    def _nodes(self, temperature: float) -> Tensor:
        """Return equally spaced log-radii that cover the density."""
        values = self._log_integrand(LOG_RADII, torch.tensor(temperature, dtype=torch.float64))
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
        return torch.linspace(float(LOG_RADII[first - 1]), float(LOG_RADII[last + 1]), N_NODES, dtype=torch.float64)
