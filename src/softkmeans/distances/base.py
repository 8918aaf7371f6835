"""The interface of a distance, and distances by name."""

from __future__ import annotations

__all__ = [
    "DISTANCES",
    "Array",
    "Distance",
    "as_distance",
    "check_features",
    "distance_name",
    "name_or_distance",
    "squared_distances",
]

import copy
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, Message, Setting
from ..registries import DISTANCES
from .radial_density import RadialDensity

Array = NDArray[np.float64]


class Distance:
    """A distance d(x, c), and its probability density exp(-d / T) / Z(T).

    A subclass sets ``name`` and ``power``, and defines `of_squared` if it is a function of the Euclidean distance, or
    else `between`. Everything else has a default. The density of a function of the Euclidean distance is computed by
    quadrature, a few milliseconds for each learned T. A distance that defines only `between` has no EM update (unless
    it sets ``constant_slope``): "auto" then chooses the solver "adam". T must then be a number, unless the distance
    defines `log_partition`, `mean_distortion`, `likeliest_temperature` and `sample_around`.

    The equivalent mixture model of soft k-means has one density for each center, all with the same weight.

    Attributes
    ----------
    name : str
        Name of the distance, under which it is registered in ``DISTANCES``.
    power : int or None
        If the data is multiplied by s, the distance and the temperature are multiplied by s ** power. None if there is
        no such power: the data is then not scaled.
    translates : bool
        Whether the distance stays the same if data and centers are shifted together.
    scales_rows : bool
        Whether `embed` multiplies each row by a number, which columns of zeros do not change.
    min_features : int
        Smallest number of features for which the distance is defined.
    is_radial : bool
        Whether the distance is a function of the Euclidean distance between embedded rows and centers. Set by the base
        class: True if the distance defines `of_squared`.
    is_squared : bool
        Whether it is the squared Euclidean distance, so that T / 2 is a variance.
    is_tested : bool
        Whether the tests of the library cover the distance. Others are checked on a few rows before a fit.
    constant_slope : float or None
        The derivative of the distance with respect to the squared Euclidean distance, if it is constant: centers are
        then weighted means.
    has_exact_update : bool
        Whether the update of the centers minimizes the sum of the distances.

    Raises
    ------
    TypeError
        If a subclass lacks one of these definitions.

    Examples
    --------
    >>> import torch
    >>> from softkmeans import SoftKMeans
    >>> class Cauchy(Distance):
    ...     name = "cauchy"
    ...     power = None  # log(1 + (s r)²) is no multiple of log(1 + r²)
    ...     def of_squared(self, squared):
    ...         return torch.log1p(squared)
    >>> model = SoftKMeans(2, temperature=0.5, distance=Cauchy(), random_state=0)
    >>> model.fit_predict([[0.0], [0.2], [5.0], [5.1], [5.2]])
    array([1, 1, 0, 0, 0])
    """

    name: str
    power: int | None
    translates: bool = True
    scales_rows: bool = False
    min_features: int = 1
    is_radial: bool = True
    is_squared: bool = False
    is_tested: bool = False
    constant_slope: float | None = None
    has_exact_update: bool = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.is_radial = cls.of_squared is not Distance.of_squared
        has_function = cls.is_radial or cls.between is not Distance.between
        if not has_function and all(name.startswith("_") or name == "is_radial" for name in vars(cls)):
            return  # cloudpickle creates classes empty, and fills them later
        missing = [name for name in ("name", "power") if not hasattr(cls, name)]
        if not has_function:
            missing.append("of_squared or between")
        if cls.translates and cls.embed is not Distance.embed and cls.unembed is Distance.unembed:
            missing.append("unembed")
        if missing:
            raise TypeError(f"the distance {cls.__name__} does not define {' and '.join(missing)}")
        for parent in [base for base in cls.__mro__[1:] if issubclass(base, Distance) and base is not Distance]:
            if any(getattr(cls, name) is not getattr(parent, name) for name in ("embed", "between", "of_squared")):
                # It would inherit slopes and a density that belong to another function.
                raise TypeError(f"the distance {cls.__name__} redefines {parent.__name__}: derive it from Distance")

    @property
    def degree(self) -> int:
        """The power of the Euclidean distance that the distance is proportional to, for rows near a center."""
        return self.power or 2

    @property
    def has_update(self) -> bool:
        """True if EM can update the centers; otherwise only their gradient is known."""
        return self.is_radial or self.constant_slope is not None

    @property
    def has_density(self) -> bool:
        """True if the probability density is known, which learned temperatures and likelihoods need.

        It is known if the distance defines `log_partition`, or if it is a function of the Euclidean distance between
        rows that are not transformed: the density is then computed by quadrature.
        """
        kind = type(self)
        return kind.log_partition is not Distance.log_partition or (self.is_radial and kind.embed is Distance.embed)

    def with_mean_update(self) -> Self:
        """Return the same distance with centers that move to the weighted means of their rows, as in textbooks.

        If the means do not minimize the distances, this update minimizes no objective.
        """
        if self.constant_slope is not None:
            return self
        other = copy.copy(self)
        object.__setattr__(other, "constant_slope", 1.0)  # also works for frozen dataclasses
        object.__setattr__(other, "has_exact_update", False)
        return other

    def embed(self, x: Tensor) -> Tensor:
        """Transform rows (n, d) or centers (k, d) as the distance requires: to unit length for cosine.

        If the distance translates, it must be a linear map, and `unembed` its inverse.
        """
        return x

    def unembed(self, c: Tensor) -> Tensor:
        """Transform embedded centers (k, d) back, the inverse of `embed` for distances with ``translates=True``."""
        return c

    def retract(self, c: Tensor) -> Tensor:
        """Move centers (k, d) after a step to where embedded rows can lie: for cosine, to unit length."""
        return c

    def tangent(self, c: Tensor, gradient: Tensor) -> Tensor:
        """Project a gradient (k, d) onto the directions in which embedded centers (k, d) can move."""
        return gradient

    def between(self, z: Tensor, c: Tensor) -> Tensor:
        """Return the distances (..., n, k) of embedded rows (..., n, d) to embedded centers (k, d).

        They must be finite, and differentiable with a finite gradient, also where a row equals a center.
        """
        return self.of_squared(squared_distances(z, c))

    def of_squared(self, squared: Tensor) -> Tensor:
        """Convert squared Euclidean distances between embedded rows and centers to this distance.

        It must be differentiable. At 0, the derivative may be infinite, but not NaN: do not take a root at 0, not even
        in a branch of ``torch.where`` that is not used.
        """
        raise NotImplementedError

    def with_slope(self, squared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances at squared Euclidean distances, and the derivatives of `of_squared` there.

        A derivative is infinite at 0 if the distance has a kink there. The default uses automatic differentiation.
        """
        with torch.enable_grad():
            leaf = squared.detach().requires_grad_()
            d = self.of_squared(leaf)
            (slope,) = torch.autograd.grad(d.sum(), leaf)
        return d.detach(), slope

    def slope_and_curvature(self, squared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first and second derivatives of `of_squared` at squared Euclidean distances.

        They are 0 at 0 if the distance has a kink there. The default uses automatic differentiation.
        """
        with torch.enable_grad():
            leaf = squared.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.of_squared(leaf).sum(), leaf, create_graph=True)
            (curvature,) = torch.autograd.grad(slope.sum(), leaf, allow_unused=True, materialize_grads=True)
        is_finite = slope.isfinite() & curvature.isfinite()
        return torch.where(is_finite, slope.detach(), 0.0), torch.where(is_finite, curvature, 0.0)

    def to_squared(self, d: Tensor) -> Tensor:
        """Return the squared Euclidean distances at which the distances are d, the inverse of `of_squared`.

        The default searches by bisection between 1e-300 and 1e300.
        """
        low, high = torch.full_like(d, -690.0), torch.full_like(d, 690.0)  # logarithms
        for _ in range(60):
            middle = (low + high) / 2
            is_below = self.of_squared(middle.exp()) < d
            low, high = torch.where(is_below, middle, low), torch.where(is_below, high, middle)
        return high.exp()

    def log_partition(self, temperature: Tensor, n_features: int) -> Tensor:
        """Return log Z(T) = log ∫ exp(-d(x, c) / T) dx, differentiable in T."""
        return self._density(n_features).log_partition(temperature)

    def mean_distortion(self, temperature: float, n_features: int) -> float:
        """Return the mean distance under the density, T² ∂ log Z / ∂T."""
        return self._density(n_features).mean_distortion(temperature)

    def likeliest_temperature(self, mean_distortion: float, n_features: int) -> float:
        """Return the maximum-likelihood T at fixed memberships: the T at which the density has this mean distortion."""
        return self._density(n_features).likeliest_temperature(mean_distortion)

    def log_partition_at(self, temperature: float, n_features: int) -> float:
        """Return log Z(T) for one temperature that needs no gradient."""
        return float(self.log_partitions(torch.tensor([temperature], dtype=torch.float64, device="cpu"), n_features))

    def log_partitions(self, temperatures: Tensor, n_features: int) -> Tensor:
        """Return log Z(T) for each of the temperatures (k,)."""
        return _map(lambda t: self.log_partition(t, n_features), temperatures)

    def mean_distortions(self, temperatures: Tensor, n_features: int) -> Tensor:
        """Return the mean distance under the density for each of the temperatures (k,)."""
        return _map(lambda t: self.mean_distortion(float(t), n_features), temperatures)

    def likeliest_temperatures(self, mean_distortions: Tensor, n_features: int) -> Tensor:
        """Return the maximum-likelihood T for each of the mean distortions (k,)."""
        return _map(lambda e: self.likeliest_temperature(float(e), n_features), mean_distortions)

    def sample_around(self, center: Array, temperature: float, n_samples: int, rng: np.random.Generator) -> Array:
        """Draw rows (n_samples, d) from the density around a center (d,)."""
        return self._density(len(center)).sample_around(center, temperature, n_samples, rng)

    def _density(self, n_features: int) -> RadialDensity:
        """Return the density computed by quadrature, which serves distances without a closed form."""
        if not self.has_density:
            raise InputError(
                f"has no known density in {n_features} dimensions",
                parameter="distance",
                value=self.name,
                hint=Message("set ", Setting("temperature"), " to a number, and use no method that needs a likelihood"),
            )
        return RadialDensity(self.name, self.of_squared, n_features)


def _map(function: Callable[[Tensor], Tensor | float], values: Tensor) -> Tensor:
    """Apply a scalar function to each of the values (k,)."""
    return torch.stack([torch.as_tensor(function(value), dtype=values.dtype, device=values.device) for value in values])


def check_features(distance: Distance, n_features: int) -> None:
    """Raise an InputError if a distance is not defined for this number of features.

    Parameters
    ----------
    distance : Distance
        The distance.
    n_features : int
        Number of features of the data.

    Examples
    --------
    >>> check_features(DISTANCES["cosine"], 1)
    Traceback (most recent call last):
    softkmeans.errors.InputError: distance='cosine' needs at least 2 features, got 1: use another distance
    """
    if n_features < distance.min_features:
        raise InputError(
            f"needs at least {distance.min_features} features, got {n_features}",
            parameter="distance",
            value=distance.name,
            hint="use another distance",
        )


def as_distance(distance: object) -> Distance:
    """Return the distance with a given name; a `Distance` is returned unchanged.

    Parameters
    ----------
    distance : str or Distance
        Name of a registered distance, or the distance itself.

    Raises
    ------
    InputError
        If no distance has this name, or if it is a callable: a fit would not know how to update the centers.

    Examples
    --------
    >>> as_distance("cosine").power
    0
    """
    if isinstance(distance, Distance):  # first, as PyTorch traces this function
        return distance
    if callable(distance) and not isinstance(distance, type):
        raise InputError(
            Message(
                Setting("distance"), f"={distance_name(distance)} is a callable, for which fits have no center update"
            ),
            hint=f"use one of {', '.join(DISTANCES)}, or a Distance, or train SoftKMeansLayer.loss(x) in your own loop",
        )
    return DISTANCES.resolve(distance)


def distance_name(distance: object) -> str:
    """Return the name of a distance: its ``name``, the name of a function, or the name of its type.

    Parameters
    ----------
    distance : Distance or callable
        The distance.

    Examples
    --------
    >>> import torch
    >>> distance_name(DISTANCES["cosine"]), distance_name(torch.cdist), distance_name(torch.nn.PairwiseDistance())
    ('cosine', 'cdist', 'PairwiseDistance')
    """
    name = distance.name if isinstance(distance, Distance) else getattr(distance, "__name__", None)
    return name or type(distance).__name__


def name_or_distance(distance: Distance) -> str | Distance:
    """Return the name of a registered distance; return any other distance unchanged.

    Parameters
    ----------
    distance : Distance
        The distance.

    Examples
    --------
    >>> name_or_distance(DISTANCES["cosine"])
    'cosine'
    """
    return DISTANCES.name_of(distance) or distance


def squared_distances(z: Tensor, c: Tensor) -> Tensor:
    """Return squared Euclidean distances (..., n, k), computed by one matrix product.

    They are accurate only if the origin is near the rows: shift rows and centers first.

    Parameters
    ----------
    z : Tensor (..., n, d)
        Rows.
    c : Tensor (k, d)
        Centers.

    Examples
    --------
    >>> import torch
    >>> squared_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([[ 0.],
            [25.]])
    """
    squared = z.square().sum(-1, keepdim=True) - 2 * z @ c.mT + c.square().sum(-1)
    return squared.clamp_min(0)
