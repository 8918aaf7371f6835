"""Soft k-means as a PyTorch module whose centroids are parameters."""

from __future__ import annotations

__all__ = ["SoftKMeansLayer"]

import math
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from typing_extensions import override

from .. import functional
from .._utils.checks import check_count, check_known, check_positive
from ..distances import Distance, check_features, distance_name
from ..errors import InputError, Message, Setting
from ..functional.callables import AnyDistance, DistanceFunction, check_function, find_distance, with_density
from ..functional.losses import LOSSES
from .parameters import at_least_single, checked_log_temperature, prior_logits_of
from .precise import PreciseModule

LR_OF_SPREAD = 0.1  # learning rate of Adam, relative to the spread of the rows around the centroids


class SoftKMeansLayer(PreciseModule):
    """Soft assignment of rows to learnable centroids.

    Parameters
    ----------
    n_clusters : int
        Number of clusters k.
    n_features : int
        Number of features d.
    temperature : float or sequence of k floats, default=1.0
        Temperature T > 0, or that of each cluster: the higher, the softer the assignment. By default, it divides the
        *squared* distance. Its inverse is β = 1/T.
    distance : str, Distance or callable, default="sqeuclidean"
        Distance between rows and centroids, or its name. A callable takes rows (..., n, d) and centroids (k, d),
        returns distances (..., n, k), and must be differentiable. An ``nn.Module`` becomes a submodule, whose
        parameters are trained with the centroids. A callable has no density, so it does not support "nll" or
        ``learn_temperature=True``.
    learn_temperature : bool, default=False
        Whether log T is a parameter that is learned with the centroids. Only ``loss(x, "nll")`` can learn T.
    priors : array-like (k,), optional
        Prior probability (mixing weight) of each cluster. With a noise cluster, 1 minus their sum is the prior of
        noise. By default, all are equal.
    learn_priors : bool, default=False
        Whether the priors are learned with the centroids: their logits are a parameter. The distortion can't learn
        priors.
    noise_distance : float, optional
        Distance of a noise cluster from every row, in the units of the distance. Memberships then sum to less than 1.
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
    log_temperature : nn.Parameter or Tensor () or (k,)
        log T: a parameter if ``learn_temperature`` is True, else a buffer. It keeps at least 32 bits when the module is
        converted to half precision.
    prior_logits : nn.Parameter or Tensor (k,) or (k + 1,), or None
        The priors are their softmax; that of a noise cluster is the last. A parameter if ``learn_priors`` is True, else
        a buffer; None if all priors are equal.

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

    precise = ("log_temperature", "prior_logits")
    distance: Distance | DistanceFunction
    centroids: nn.Parameter
    log_temperature: Tensor
    prior_logits: Tensor | None

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        temperature: float | ArrayLike | Tensor = 1.0,
        *,
        distance: AnyDistance = "sqeuclidean",
        learn_temperature: bool = False,
        priors: ArrayLike | Tensor | None = None,
        learn_priors: bool = False,
        noise_distance: float | None = None,
        centroids: Tensor | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("n_clusters", n_clusters)
        check_count("n_features", n_features)
        if noise_distance is not None:
            check_positive("noise_distance", noise_distance, ", in the units of the distance")
        self.n_clusters, self.n_features, self.noise_distance = n_clusters, n_features, noise_distance
        self.distance, self.learn_temperature = find_distance(distance), learn_temperature
        self.learn_priors = learn_priors
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        if centroids is None:
            initial = torch.randn(n_clusters, n_features, generator=generator, **options)
        else:
            given = centroids if isinstance(centroids, Tensor) else torch.as_tensor(centroids)
            initial = given.detach().clone().to(**options)
            self._check_centroids(initial)
        self._check_distance(initial if centroids is not None else None)
        self.centroids = nn.Parameter(initial)
        precise: dict[str, Any] = {"device": initial.device, "dtype": at_least_single(initial.dtype)}
        log_t = checked_log_temperature(temperature, n_clusters, initial.dtype).to(**precise)
        if noise_distance is not None and log_t.ndim:
            problem, hint = "is not supported with a temperature per cluster", "use one temperature for all"
            raise InputError(problem, parameter="noise_distance", value=noise_distance, hint=hint)
        self._add("log_temperature", log_t, is_learned=learn_temperature)
        n_priors, logits = n_clusters + (noise_distance is not None), None
        if priors is not None:
            logits = prior_logits_of(priors, n_clusters, has_noise=noise_distance is not None)
        elif learn_priors:
            logits = torch.zeros(n_priors, device="cpu")
        self._add("prior_logits", None if logits is None else logits.to(**precise), is_learned=learn_priors)

    def _add(self, name: str, value: Tensor | None, *, is_learned: bool) -> None:
        """Add a parameter if it is learned, else a buffer."""
        if is_learned and value is not None:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

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
        """Temperature T, a Tensor () or (k,); differentiable if it is learned. It can be set to a number or k numbers.

        Raises
        ------
        InputError
            If it is set to a number that is not finite and above 0, or to k numbers when the layer has one temperature.

        Examples
        --------
        >>> layer = SoftKMeansLayer(3, 2)
        >>> layer.temperature = 2.0
        >>> layer.temperature
        tensor(2.)
        """
        return self.log_temperature.exp()

    @temperature.setter
    def temperature(self, value: float | ArrayLike | Tensor) -> None:
        log_t = checked_log_temperature(value, self.n_clusters, self.centroids.dtype)
        if log_t.ndim > self.log_temperature.ndim:
            problem = "has a value for each cluster, but the layer has one temperature"
            raise InputError(problem, parameter="temperature", hint="create the layer with k temperatures")
        with torch.no_grad():
            self.log_temperature.copy_(log_t)

    @property
    def log_prior(self) -> Tensor | None:
        """Logarithms of the priors (k,), or (k + 1,) with that of the noise; None if all are equal."""
        return None if self.prior_logits is None else self.prior_logits.log_softmax(0)

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
            Memberships; those of a row sum to 1, or to less if there is a noise cluster.

        Examples
        --------
        >>> layer = SoftKMeansLayer(2, 1, temperature=2.0, centroids=torch.tensor([[0.0], [2.0]]))
        >>> layer(torch.tensor([[0.0], [1.0]])).detach()
        tensor([[0.8808, 0.1192],
                [0.5000, 0.5000]])
        """
        x = self._validate(x)
        return functional.assign(x, self.centroids, **self._model)

    @property
    def _model(self) -> dict[str, Any]:
        """The arguments of the functions of `functional` that describe the model."""
        return {
            "temperature": self.temperature,
            "distance": self.distance,
            "log_prior": self.log_prior,
            "noise_distance": self.noise_distance,
        }

    def loss(self, x: Tensor, objective: str | None = None, *, sample_weight: Tensor | None = None) -> Tensor:
        """Compute the mean of an objective over a batch of rows.

        Parameters
        ----------
        x : Tensor (..., n, d)
            Rows.
        objective : {"free_energy", "distortion", "nll"}, optional
            Objective to average. By default, "nll" if the layer learns its temperature or has one for each cluster,
            else "free_energy".

            - "free_energy": -T log Σ_k exp(-d / T), which EM minimizes.
            - "distortion": Σ_k r d, with gradients also through the memberships r.
            - "nll": negative log-likelihood of the equivalent mixture. It is the only objective that can learn T.
        sample_weight : Tensor (..., n), optional
            Weights of the rows in the mean.

        Returns
        -------
        Tensor ()
            The loss, in the type of x, or float32 if that has fewer bits.

        Raises
        ------
        InputError
            If the objective is unknown or cannot learn T or the priors, if it needs a density and the distance is a
            callable, if it needs one temperature and each cluster has its own, or if x has a wrong shape or no rows.

        Examples
        --------
        >>> layer = SoftKMeansLayer(2, 1, temperature=2.0, centroids=torch.tensor([[0.0], [2.0]]))
        >>> x = torch.tensor([[1.0], [1.0]])
        >>> layer.loss(x).item(), layer.loss(x, "distortion").item()  # 1 - 2 log 2, and 1
        (-0.386..., 1.0)
        """
        x = self._validate(x)
        name = self._checked_objective(objective)
        loss: Tensor = LOSSES[name](x, self.centroids, sample_weight=sample_weight, **self._model)
        return loss

    @torch.no_grad()
    def suggested_lr(self, x: Tensor) -> float:
        """Suggest a learning rate for Adam: a tenth of the spread of the rows around the centroids, in one feature.

        Adam moves each coordinate by about the learning rate in every step, whatever the units of the data. Choose
        initial centroids first, such as rows of the data: the spread depends on them. A scheduler that lowers the rate
        when the loss no longer falls, such as ``ReduceLROnPlateau``, brings the centroids closer to the optimum.

        Parameters
        ----------
        x : Tensor (..., n, d)
            Rows.

        Returns
        -------
        float
            The learning rate.

        Raises
        ------
        InputError
            If the distance is a callable or is not a function of the Euclidean distance, or if x has a wrong shape.

        Examples
        --------
        >>> x = torch.tensor([[0.0], [2.0], [100.0], [102.0]])
        >>> layer = SoftKMeansLayer(2, 1, centroids=x[1:3])
        >>> round(layer.suggested_lr(x), 3)
        0.141
        """
        if not (isinstance(self.distance, Distance) and self.distance.is_radial):
            name = distance_name(self.distance)
            problem = f"has no learning rate to suggest, as {name} is no function of the Euclidean distance"
            raise InputError(problem, parameter="distance", value=name, hint="try rates from 0.001 to 0.1")
        model = {**self._model, "noise_distance": None, "log_prior": None}
        mean = functional.distortion(self._validate(x), self.centroids, **model).double()
        return LR_OF_SPREAD * math.sqrt(float(self.distance.to_squared(mean)) / self.n_features)

    def _checked_objective(self, name: str | None) -> str:
        """Return the name of an objective; raise an InputError if the layer does not support it."""
        if name is None:
            return "nll" if self.learn_temperature or self.log_temperature.ndim else "free_energy"
        temperature_limits = {"free_energy": "infinity (∂F/∂T = -H < 0)", "distortion": "0 (∂E/∂T > 0)"}
        if self.learn_temperature and name in temperature_limits:
            problem = f"cannot learn a temperature, which would go to {temperature_limits[name]}"
            hint = Message("use ", Setting("objective", "nll"), ", or ", Setting("learn_temperature", False))
            raise InputError(problem, parameter="objective", value=name, hint=hint)
        if self.learn_priors and name == "distortion":
            hint = Message("use ", Setting("objective", "nll"), ", or ", Setting("learn_priors", False))
            raise InputError("cannot learn priors", parameter="objective", value=name, hint=hint)
        check_known("objective", name, tuple(LOSSES))
        return name

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
        SoftKMeansLayer(3, 2, temperature=1.0, distance='sqeuclidean')
        >>> SoftKMeansLayer(3, 2, distance=torch.cdist)
        SoftKMeansLayer(3, 2, temperature=1.0, distance=cdist)
        """
        name = distance_name(self.distance)
        parts = [
            str(self.n_clusters),
            str(self.n_features),
            f"temperature={self._shown_temperature()}",
            f"distance={repr(name) if isinstance(self.distance, Distance) else name}",
        ]
        parts += ["learn_temperature=True"] * self.learn_temperature
        parts += ["learn_priors=True"] * self.learn_priors
        parts += [] if self.noise_distance is None else [f"noise_distance={self.noise_distance}"]
        return ", ".join(parts)

    def _shown_temperature(self) -> str:
        """Return T as a text; if each cluster has its own, the lowest and the highest."""
        t = self.log_temperature.detach()
        if t.is_meta:  # as it has no values
            return "..."
        low, high = (str(float(f"{value:.4g}")) for value in (t.exp().min().item(), t.exp().max().item()))
        return f"{low} to {high}" if t.ndim else low
