"""Soft k-means as a PyTorch module whose centroids are parameters."""

from __future__ import annotations

__all__ = ["SoftKMeansLayer"]

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from .. import functional
from .._utils.checks import check_count, check_known, check_positive
from ..distances import Distance, check_features, distance_name
from ..errors import InputError
from ..functional import AnyDistance, DistanceFunction


class SoftKMeansLayer(nn.Module):
    """Soft assignment of rows to centroids that backpropagation can learn.

    Parameters
    ----------
    n_clusters : int
        k.
    n_features : int
        d.
    temperature : float, default=1.0
        T > 0: how soft; it divides the *squared* distance by default. β = 1/T is its inverse.
    distance : {"sqeuclidean", "euclidean", "cosine"}, Distance or callable, default="sqeuclidean"
        What is between rows and centroids. A callable takes rows (..., n, d) and centroids (k, d) to distances
        (..., n, k), and is differentiated; an ``nn.Module`` becomes a submodule, whose parameters train with the
        centroids. As it has no density, it has no "nll" and no T to learn.
    learn_temperature : bool, default=False
        Whether T is learned with the centroids, as its logarithm; only ``loss(x, "nll")`` has a T to learn.
    centroids : Tensor (k, d), optional
        Where they start, copied; standard normal numbers by default. Rows of the data are a better start: see
        `softkmeans.train_layer`, which also seeds by k-means++.
    generator : torch.Generator, optional
        Where the default start is drawn from; PyTorch's own generator otherwise.
    device, dtype
        Where the parameters are made, and their type, as for PyTorch's modules.

    Attributes
    ----------
    centroids : nn.Parameter (k, d)
        The centers.
    log_temperature : nn.Parameter or Tensor ()
        log T; a parameter if it is learned, else a buffer.

    Raises
    ------
    InputError
        If a parameter can't be used.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [0.2], [5.0], [5.2]])
    >>> layer = SoftKMeansLayer(2, 1, temperature=0.5, centroids=x[:2])
    >>> optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     layer.loss(x).backward()
    ...     optimizer.step()
    >>> layer.centroids.detach().flatten().round(decimals=2)
    tensor([0.1000, 5.1000])

    A distance that learns which features matter:

    >>> class Weighted(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.log_weight = torch.nn.Parameter(torch.zeros(2))
    ...     def forward(self, x, c):
    ...         return ((x[..., None, :] - c) ** 2 * self.log_weight.softmax(-1)).sum(-1)
    >>> layer = SoftKMeansLayer(3, 2, distance=Weighted())
    >>> [name for name, _ in layer.named_parameters()]
    ['centroids', 'distance.log_weight']
    """

    distance: Distance | DistanceFunction
    centroids: nn.Parameter
    log_temperature: Tensor

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        temperature: float = 1.0,
        *,
        distance: AnyDistance = "sqeuclidean",
        learn_temperature: bool = False,
        centroids: Tensor | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("n_clusters", n_clusters)
        check_count("n_features", n_features)
        check_positive("temperature", temperature)
        self.n_clusters, self.n_features = n_clusters, n_features
        self.distance, self.learn_temperature = functional.find_distance(distance), learn_temperature
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        if centroids is None:
            start = torch.randn(n_clusters, n_features, generator=generator, **made)
        else:
            start = torch.as_tensor(centroids).detach().clone().to(**made)
            self._check_start(start)
        if not torch.finfo(start.dtype).tiny <= temperature <= torch.finfo(start.dtype).max:
            raise InputError(f"temperature={temperature!r} is out of {start.dtype}'s range: use float64, or rescale")
        self._check_distance(start if centroids is not None else None)
        self.centroids = nn.Parameter(start)
        log_t = torch.tensor(math.log(temperature), device=start.device, dtype=start.dtype)
        if learn_temperature:
            self.log_temperature = nn.Parameter(log_t)
        else:
            self.register_buffer("log_temperature", log_t)

    def _check_start(self, start: Tensor) -> None:
        expected = self.n_clusters, self.n_features
        if start.shape != expected:
            raise InputError(f"centroids have shape {tuple(start.shape)}, expected {expected}")
        if not (start.is_meta or start.isfinite().all()):
            raise InputError("centroids contain NaN or infinity: give finite ones")

    def _check_distance(self, given: Tensor | None) -> None:
        if isinstance(self.distance, Distance):
            check_features(self.distance, self.n_features)
        elif self.learn_temperature:
            functional.with_density(self.distance, "learn_temperature=True", "learn_temperature=False")
        # Random centroids may lie where it has no meaning, and a module's parameters may be moved or loaded yet.
        elif given is not None and not isinstance(self.distance, nn.Module):
            functional.check_function(self.distance, given)

    @property
    def temperature(self) -> Tensor:
        """T, a Tensor (); differentiable where it is learned."""
        return self.log_temperature.exp()

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Give the responsibilities (..., n, k) of the clusters for rows (..., n, d).

        Parameters
        ----------
        x : Tensor (..., n, d)
            Rows.

        Examples
        --------
        >>> layer = SoftKMeansLayer(2, 1, temperature=2.0, centroids=torch.tensor([[0.0], [2.0]]))
        >>> layer(torch.tensor([[0.0], [1.0]])).detach()
        tensor([[0.8808, 0.1192],
                [0.5000, 0.5000]])
        """
        x = self._checked(x)
        return functional.assign(x, self.centroids, self.temperature, self.distance)

    def loss(self, x: Tensor, objective: str = "free_energy", *, sample_weight: Tensor | None = None) -> Tensor:
        """Give an objective's mean over a batch.

        Parameters
        ----------
        x : Tensor (..., n, d)
            Rows.
        objective : {"free_energy", "distortion", "nll"}, default="free_energy"
            "free_energy" is what EM lowers. "distortion" is Σ_k r d, backpropagated through r too. "nll" is the
            negative log-likelihood of the equivalent mixture, which alone can learn T.
        sample_weight : Tensor (..., n), optional
            Weights of the rows in the mean.

        Returns
        -------
        Tensor ()
            The loss.

        Raises
        ------
        InputError
            If there is no such objective, it can't learn T, it needs a density that a callable distance has not, or x
            has other features.

        Examples
        --------
        >>> layer = SoftKMeansLayer(2, 1, temperature=2.0, centroids=torch.tensor([[0.0], [2.0]]))
        >>> x = torch.tensor([[1.0], [1.0]])
        >>> layer.loss(x).item(), layer.loss(x, "distortion").item()  # 1 - 2 log 2, and 1
        (-0.386..., 1.0)
        """
        x = self._checked(x)
        if sample_weight is not None and sample_weight.shape != x.shape[:-1]:
            raise InputError(f"sample_weight has shape {tuple(sample_weight.shape)}, expected {tuple(x.shape[:-1])}")
        each: Tensor = self._objective(objective)(x, self.centroids, self.temperature, self.distance, reduction="none")
        if sample_weight is None:
            return each.mean()
        return (sample_weight * each).sum() / sample_weight.sum()

    def _objective(self, name: str) -> Any:
        runaway = {"free_energy": "infinity (∂F/∂T = -H < 0)", "distortion": "0 (∂E/∂T > 0)"}
        if self.learn_temperature and name in runaway:
            raise InputError(
                f"objective={name!r} can't learn a temperature, which would run off to {runaway[name]}: "
                "choose objective='nll', or learn_temperature=False"
            )
        check_known("objective", name, (*runaway, "nll"))
        return getattr(functional, name)

    def _checked(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise InputError(f"x is of type {type(x).__name__}, expected a tensor: use torch.as_tensor(x)")
        if x.ndim < 2 or x.shape[-1] != self.n_features:
            raise InputError(f"x has shape {tuple(x.shape)}, expected (..., n, {self.n_features})")
        if x.dtype == self.centroids.dtype or torch.is_autocast_enabled(x.device.type):
            return x.to(self.centroids.dtype)
        raise InputError(f"x is {x.dtype}, the centroids are {self.centroids.dtype}: use x.to(layer.centroids.dtype)")

    @override
    def extra_repr(self) -> str:
        """Say what the module is made of, for its representation.

        Examples
        --------
        >>> SoftKMeansLayer(3, 2)
        SoftKMeansLayer(3, 2, distance='sqeuclidean')
        >>> SoftKMeansLayer(3, 2, distance=torch.cdist)
        SoftKMeansLayer(3, 2, distance=cdist)
        """
        name = distance_name(self.distance)
        distance = repr(name) if isinstance(self.distance, Distance) else name
        learned = ", learn_temperature=True" if self.learn_temperature else ""
        return f"{self.n_clusters}, {self.n_features}, distance={distance}{learned}"
