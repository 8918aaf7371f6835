"""Soft k-means as a PyTorch module whose centroids are parameters."""

from __future__ import annotations

__all__ = ["SoftKMeansLayer"]

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from .. import functional
from ..functional.callables import AnyDistance, DistanceFunction, check_function, find_distance, with_density
from .._utils.checks import check_count, check_known, check_positive
from ..distances import Distance, check_features, distance_name
from ..errors import InputError, Message, Setting


class SoftKMeansLayer(nn.Module):
    """Soft assignment of rows to learnable centroids.

    Parameters
    ----------
    n_clusters : int
        Number of clusters k.
    n_features : int
        Number of features d.
    temperature : float, default=1.0
        Temperature T > 0: the higher, the softer the assignment. By default, it divides the *squared* distance. Its
        inverse is β = 1/T.
    distance : str, Distance or callable, default="sqeuclidean"
        Distance between rows and centroids, or its name. A callable takes rows (..., n, d) and centroids (k, d),
        returns distances (..., n, k), and must be differentiable. An ``nn.Module`` becomes a submodule, whose
        parameters are trained with the centroids. A callable has no density, so it does not support "nll" or
        ``learn_temperature=True``.
    learn_temperature : bool, default=False
        Whether log T is a parameter that is learned with the centroids. Only ``loss(x, "nll")`` can learn T.
    centroids : Tensor (k, d), optional
        Initial centroids; they are copied. Standard normal by default. Rows of the data are better initial centroids:
        see `softkmeans.train_layer`, which also supports k-means++.
    generator : torch.Generator, optional
        Random number generator for the default centroids. By default, PyTorch's global generator.
    device, dtype
        Device and type of the parameters, as for PyTorch's own modules.

    Attributes
    ----------
    centroids : nn.Parameter (k, d)
        The centroids.
    log_temperature : nn.Parameter or Tensor ()
        log T: a parameter if ``learn_temperature`` is True, else a buffer.

    Raises
    ------
    InputError
        If an argument is invalid.

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

    A distance with learnable feature weights:

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
        self.distance, self.learn_temperature = find_distance(distance), learn_temperature
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        if centroids is None:
            initial = torch.randn(n_clusters, n_features, generator=generator, **options)
        else:
            initial = torch.as_tensor(centroids).detach().clone().to(**options)
            self._check_centroids(initial)
        if not torch.finfo(initial.dtype).tiny <= temperature <= torch.finfo(initial.dtype).max:
            problem = f"is out of the range of {initial.dtype}"
            hint = "use float64, or rescale the data"
            raise InputError(problem, parameter="temperature", value=temperature, hint=hint)
        self._check_distance(initial if centroids is not None else None)
        self.centroids = nn.Parameter(initial)
        log_t = torch.tensor(math.log(temperature), device=initial.device, dtype=initial.dtype)
        if learn_temperature:
            self.log_temperature = nn.Parameter(log_t)
        else:
            self.register_buffer("log_temperature", log_t)

    def _check_centroids(self, centroids: Tensor) -> None:
        expected = self.n_clusters, self.n_features
        if centroids.shape != expected:
            raise InputError(f"have shape {tuple(centroids.shape)}", parameter="centroids", expected=f"{expected}")
        if not (centroids.is_meta or centroids.isfinite().all()):
            raise InputError("contain NaN or infinity", parameter="centroids", expected="finite values")

    def _check_distance(self, centroids: Tensor | None) -> None:
        """Raise an InputError if the distance is invalid; ``centroids`` are those that the user gave."""
        if isinstance(self.distance, Distance):
            check_features(self.distance, self.n_features)
        elif self.learn_temperature:
            with_density(self.distance, "learn_temperature")
        # A callable may be undefined at random centroids, and the parameters of a module may still be moved or loaded.
        elif centroids is not None and not isinstance(self.distance, nn.Module):
            check_function(self.distance, centroids)

    @property
    def temperature(self) -> Tensor:
        """Temperature T, a Tensor (); differentiable if it is learned."""
        return self.log_temperature.exp()

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Compute the memberships of rows in the clusters.

        Parameters
        ----------
        x : Tensor (..., n, d)
            Rows.

        Returns
        -------
        Tensor (..., n, k)
            Memberships; those of a row sum to 1.

        Examples
        --------
        >>> layer = SoftKMeansLayer(2, 1, temperature=2.0, centroids=torch.tensor([[0.0], [2.0]]))
        >>> layer(torch.tensor([[0.0], [1.0]])).detach()
        tensor([[0.8808, 0.1192],
                [0.5000, 0.5000]])
        """
        x = self._validate(x)
        return functional.assign(x, self.centroids, self.temperature, self.distance)

    def loss(self, x: Tensor, objective: str = "free_energy", *, sample_weight: Tensor | None = None) -> Tensor:
        """Compute the mean of an objective over a batch of rows.

        Parameters
        ----------
        x : Tensor (..., n, d)
            Rows.
        objective : {"free_energy", "distortion", "nll"}, default="free_energy"
            Objective to average:

            - "free_energy": -T log Σ_k exp(-d / T), which EM minimizes.
            - "distortion": Σ_k r d, with gradients also through the memberships r.
            - "nll": negative log-likelihood of the equivalent mixture. It is the only objective that can learn T.
        sample_weight : Tensor (..., n), optional
            Weights of the rows in the mean.

        Returns
        -------
        Tensor ()
            The loss.

        Raises
        ------
        InputError
            If the objective is unknown or cannot learn T, if it needs a density and the distance is a callable, or if
            x has a wrong shape.

        Examples
        --------
        >>> layer = SoftKMeansLayer(2, 1, temperature=2.0, centroids=torch.tensor([[0.0], [2.0]]))
        >>> x = torch.tensor([[1.0], [1.0]])
        >>> layer.loss(x).item(), layer.loss(x, "distortion").item()  # 1 - 2 log 2, and 1
        (-0.386..., 1.0)
        """
        x = self._validate(x)
        if sample_weight is not None and sample_weight.shape != x.shape[:-1]:
            problem, expected = f"has shape {tuple(sample_weight.shape)}", f"{tuple(x.shape[:-1])}"
            raise InputError(problem, parameter="sample_weight", expected=expected)
        function = self._objective_function(objective)
        loss: Tensor = function(x, self.centroids, self.temperature, self.distance, sample_weight=sample_weight)
        return loss

    def _objective_function(self, name: str) -> Any:
        temperature_limits = {"free_energy": "infinity (∂F/∂T = -H < 0)", "distortion": "0 (∂E/∂T > 0)"}
        if self.learn_temperature and name in temperature_limits:
            problem = f"cannot learn a temperature, which would go to {temperature_limits[name]}"
            hint = Message("use ", Setting("objective", "nll"), ", or ", Setting("learn_temperature", False))
            raise InputError(problem, parameter="objective", value=name, hint=hint)
        check_known("objective", name, (*temperature_limits, "nll"))
        return getattr(functional, name)

    def _validate(self, x: Tensor) -> Tensor:
        """Return x in the dtype of the centroids; raise an InputError if its type, shape or dtype is wrong."""
        if not isinstance(x, Tensor):
            problem = f"is of type {type(x).__name__}"
            raise InputError(problem, parameter="x", expected="a tensor", hint="use torch.as_tensor(x)")
        if x.ndim < 2 or x.shape[-1] != self.n_features:
            expected = f"(..., n, {self.n_features})"
            raise InputError(f"has shape {tuple(x.shape)}", parameter="x", expected=expected)
        if x.dtype == self.centroids.dtype or torch.is_autocast_enabled(x.device.type):
            return x.to(self.centroids.dtype)
        problem, expected = f"has dtype {x.dtype}", f"{self.centroids.dtype}"
        raise InputError(problem, parameter="x", expected=expected, hint="use x.to(layer.centroids.dtype)")

    @override
    def extra_repr(self) -> str:
        """Return the arguments that the module's representation shows.

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
