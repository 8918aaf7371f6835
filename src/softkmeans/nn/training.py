"""Train the PyTorch module with the library's own fit loop."""

from __future__ import annotations

__all__ = ["train_layer"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..callbacks import Callback
from ..data.convert import as_source
from ..distances import as_distance
from ..errors import InputError
from ..fitting.fit import fit_source
from ..fitting.results import Result
from ..model.params import MIN_PRIOR
from ..settings import RunOptions, Settings, documented
from ..solvers import Solver
from ..temperature import Fixed, MaximumLikelihood, TemperatureRule
from .layer import SoftKMeansLayer


@documented
def train_layer(
    layer: SoftKMeansLayer,
    x: Tensor | ArrayLike,
    *,
    objective: str | None = Settings.objective,
    solver: str | Solver = "adam",
    init: Any = None,
    max_iter: int = Settings.max_iter,
    tol: float = 1e-6,
    sample_weight: Tensor | ArrayLike | None = RunOptions.sample_weight,
    random_state: int | np.random.Generator | None = RunOptions.random_state,
    callbacks: Sequence[Callback] | None = RunOptions.callbacks,
    checkpoint: Any = RunOptions.checkpoint,
    resume: bool = RunOptions.resume,
) -> Result:
    """Train a layer's centroids, and its temperature and priors if they are learned, on all rows.

    This minimizes the same loss as a plain PyTorch loop over ``layer.loss(x, objective)``. In addition, it adapts the
    step size to the spread of the data, reads the rows block by block, keeps the best centroids, stops when the loss
    no longer improves, and supports callbacks and checkpoints.

    Parameters
    ----------
    layer : SoftKMeansLayer
        The layer. Its centroids are changed in place, and its temperature and priors if they are learned.
    x : Tensor or array-like (n, d)
        Rows.
    objective : {"free_energy", "distortion", "nll"}, optional
        Objective to minimize; the default is that of `SoftKMeansLayer.loss`.
    {solver}
    init : str, array-like (k, d) or callable, optional
        Initial centroids, or the method to choose them, as for `SoftKMeans`. By default, the layer's current centroids;
        "k-means++" usually gives a better optimum.
    {parameters}

    Returns
    -------
    Result
        The result of the fit. If the training is interrupted or fails, the layer is unchanged.

    Raises
    ------
    InputError
        If the data or a parameter is invalid.

    Examples
    --------
    >>> import torch
    >>> from softkmeans import SoftKMeansLayer
    >>> x = torch.tensor([[0.0], [0.2], [5.0], [5.2]])
    >>> layer = SoftKMeansLayer(2, 1, temperature=0.5)
    >>> result = train_layer(layer, x, objective="distortion", init="k-means++", random_state=0)
    >>> layer.centroids.detach().flatten().sort().values.round(decimals=2)
    tensor([0.1000, 5.1000])
    """
    distance, t = as_distance(layer.distance), layer.temperature.detach().tolist()
    source = as_source(x, sample_weight, device=layer.centroids.device)
    if source.n_features != layer.n_features:
        problem, expected = f"has {source.n_features} features", f"{layer.n_features} like the layer"
        raise InputError(problem, parameter="x", expected=expected)
    settings = Settings(
        temperature=_temperature_rule(layer, t),
        priors="learned" if layer.learn_priors else _priors(layer) or "uniform",
        noise_distance=layer.noise_distance,
        objective=objective,
        solver=solver,
        init=layer.centroids if init is None else init,
        init_temperature=t if init is None else None,
        init_priors=_priors(layer) if layer.learn_priors else None,
        max_iter=max_iter,
        tol=tol,
        distance=distance,
    )
    options = RunOptions(random_state=random_state, callbacks=callbacks, checkpoint=checkpoint, resume=resume)
    result = fit_source(source, layer.n_clusters, settings, options)
    with torch.no_grad():
        layer.centroids.copy_(result.centers)
        if layer.learn_temperature:
            layer.log_temperature.copy_(torch.as_tensor(result.temperature, dtype=torch.float64, device="cpu").log())
        if layer.learn_priors and layer.prior_logits is not None:
            priors = torch.as_tensor(result.priors, device=layer.prior_logits.device)
            noise = [1 - priors.sum(0, keepdim=True)] if layer.noise_distance is not None else []
            layer.prior_logits.copy_(torch.cat([priors, *noise]).clamp_min(MIN_PRIOR).log())
    return result


def _temperature_rule(layer: SoftKMeansLayer, temperature: Any) -> TemperatureRule:
    """Return the rule that fits the layer's temperature, or that keeps it."""
    if not layer.learn_temperature:
        return Fixed(temperature)
    return MaximumLikelihood(per_cluster=bool(layer.log_temperature.ndim))


def _priors(layer: SoftKMeansLayer) -> list[float] | None:
    """Return the priors of the layer's clusters; None if all are equal."""
    if layer.log_prior is None:
        return None
    return layer.log_prior.detach().double().softmax(0)[: layer.n_clusters].tolist()
