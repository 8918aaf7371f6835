"""Soft k-means as a PyTorch module whose centroids are parameters."""

from __future__ import annotations

__all__ = ["SoftKMeansLayer"]

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from . import functional
from .checks import check_count, check_known, check_positive
from .distances import Distance, as_distance, check_features
from .errors import InputError


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
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        What is between rows and centroids.
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
        The centres.
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
    """

    centroids: nn.Parameter
    log_temperature: Tensor

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        temperature: float = 1.0,
        *,
        distance: str | Distance = "sqeuclidean",
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
        self.distance, self.learn_temperature = as_distance(distance), learn_temperature
        check_features(self.distance, n_features)
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        if centroids is None:
            centroids = torch.randn(n_clusters, n_features, generator=generator, **made)
        start = torch.as_tensor(centroids).detach().clone().to(**made)
        if start.shape != (n_clusters, n_features):
            raise InputError(f"centroids have shape {tuple(start.shape)}, expected {(n_clusters, n_features)}")
        if not (start.is_meta or start.isfinite().all()):
            raise InputError("centroids contain NaN or infinity: give finite ones")
        if not torch.finfo(start.dtype).tiny <= temperature <= torch.finfo(start.dtype).max:
            raise InputError(f"temperature={temperature!r} is out of {start.dtype}'s range: use float64, or rescale")
        self.centroids = nn.Parameter(start)
        log_t = torch.tensor(math.log(temperature), device=self.centroids.device, dtype=self.centroids.dtype)
        if learn_temperature:
            self.log_temperature = nn.Parameter(log_t)
        else:
            self.register_buffer("log_temperature", log_t)

    @property
    def temperature(self) -> Tensor:
        """T, a Tensor (); differentiable where it is learned."""
        return self.log_temperature.exp()

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Give the responsibilities (..., n, k) of the clusters for rows (..., n, d)."""
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
            If there is no such objective, it can't learn T, or x has other features.
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
        """Say what the module is made of, for its representation."""
        learned = ", learn_temperature=True" if self.learn_temperature else ""
        return f"{self.n_clusters}, {self.n_features}, distance={self.distance.name!r}{learned}"
