"""Training of the module by the library's own fit loop, and the way there and back between module and estimator."""

from __future__ import annotations

__all__ = ["train_layer"]

import math
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
from ..fitting.fit import fit
from ..fitting.results import Result
from ..solvers import Solver
from ..temperature import Fixed, MaximumLikelihood
from .layer import SoftKMeansLayer


def train_layer(
    layer: SoftKMeansLayer,
    x: Tensor | ArrayLike,
    *,
    objective: str | None = None,
    solver: str | Solver = "adam",
    init: Any = None,
    max_iter: int = 300,
    tol: float = 1e-6,
    sample_weight: Tensor | ArrayLike | None = None,
    random_state: int | np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Any = None,
    resume: bool = False,
) -> Result:
    """Train a layer's centroids, and its temperature if that is learned, on all rows; step sizes follow the data.

    A plain PyTorch loop over ``layer.loss(x, objective)`` does the same; this one also scales steps to the data's
    spread, works through the rows block by block, keeps the best centroids, stops by itself and can be watched.

    Parameters
    ----------
    layer : SoftKMeansLayer
        Changed in place: its centroids, and its temperature where it learns that.
    x : Tensor or array-like (n, d)
        Rows.
    objective : {"free_energy", "distortion", "nll"}, optional
        What is minimized: by default "nll" if the layer learns its temperature, else "free_energy". "distortion" is
        backpropagated through the layer's own functions.
    solver : {"adam", "auto", "em", "lbfgs", "online"} or Solver, default="adam"
        All others take far fewer passes than "adam", which alone can minimize the distortion.
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable, optional
        Where the centroids start: where they are, by default; "k-means++" finds better places in the data.
    max_iter : int, default=300
        Passes over the data, at most.
    tol : float, default=1e-6
        Relative improvement of the objective that still counts, as for `SoftKMeans`.
    sample_weight : Tensor or array-like (n,), optional
        Weights of the rows.
    random_state : int, numpy Generator or None
        Where a seeding draws from.
    callbacks : sequence of Callback
        Objects that watch the training, such as `LossPrinter`.
    checkpoint : str, path-like or Checkpoint, optional
        The folder where the training keeps what it needs to go on, should it be stopped.
    resume : bool, default=False
        Whether to go on from the last checkpoint, if there is one.

    Returns
    -------
    Result
        What the fit found. If it is interrupted, or fails, the layer is left as it was.

    Raises
    ------
    InputError
        If the data or a parameter can't be used.

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
    temperature, distance = float(layer.temperature.detach()), as_distance(layer.distance)
    source = as_source(x, sample_weight, device=layer.centroids.device)
    if source.n_features != layer.n_features:
        raise InputError(f"x has {source.n_features} features, expected the {layer.n_features} of the layer")
    result = fit(
        source,
        layer.n_clusters,
        temperature=MaximumLikelihood() if layer.learn_temperature else Fixed(temperature),
        objective=objective,
        solver=solver,
        init=layer.centroids if init is None else init,
        init_temperature=temperature if init is None else None,
        max_iter=max_iter,
        tol=tol,
        distance=distance,
        random_state=random_state,
        callbacks=callbacks,
        checkpoint=checkpoint,
        resume=resume,
    )
    with torch.no_grad():
        layer.centroids.copy_(result.centers)
        if layer.learn_temperature:
            layer.log_temperature.fill_(math.log(result.temperature))
    return result
