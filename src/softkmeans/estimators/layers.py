"""Conversion between fitted estimators and PyTorch modules."""

from __future__ import annotations

__all__ = ["layer_attributes", "layer_parameters", "layer_priors", "make_layer"]

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.block import as_tensor
from ..distances import as_distance, name_or_distance
from ..errors import InputError
from ..model.assignment import as_assignment
from ..nn.layer import SoftKMeansLayer
from ..registries import ASSIGNMENTS


def make_layer(model: Any, *, learn_temperature: bool, learn_priors: bool) -> SoftKMeansLayer:
    """Return a module with the centers, temperature, priors and noise distance of a fitted estimator."""
    rule = as_assignment(model.assignment)
    if rule != ASSIGNMENTS["softmax"]:
        problem = f"cannot convert {rule.name} memberships to a layer, whose memberships are a softmax"
        raise InputError(problem, hint="use softkmeans.export_onnx")
    centers = as_tensor(model.cluster_centers_)
    k, has_noise = len(centers), model.noise_distance is not None
    is_uniform = np.ptp(model.priors_) == 0 and np.isclose(model.priors_[0], 1 / (k + has_noise), rtol=1e-12)
    return SoftKMeansLayer(
        k,
        centers.shape[1],
        model.temperature_,
        distance=model.distance,
        learn_temperature=learn_temperature,
        priors=None if is_uniform else model.priors_,
        learn_priors=learn_priors,
        noise_distance=model.noise_distance,
        centroids=centers,
        device=centers.device,
        dtype=centers.dtype,
    )


def layer_parameters(layer: SoftKMeansLayer) -> dict[str, Any]:
    """Return the parameters of the estimator that corresponds to a module."""
    t = layer.temperature.detach().tolist()
    learned = "per-cluster" if layer.log_temperature.ndim else "auto"
    priors = "uniform" if layer.prior_logits is None else layer_priors(layer)
    return {
        "n_clusters": layer.n_clusters,
        "temperature": learned if layer.learn_temperature else t,
        "distance": name_or_distance(as_distance(layer.distance)),
        "priors": "learned" if layer.learn_priors else priors,
        "noise_distance": layer.noise_distance,
    }


def layer_priors(layer: SoftKMeansLayer) -> NDArray[np.float64]:
    """Return the priors (k,) of the clusters of a module, without that of the noise."""
    k = layer.n_clusters
    if layer.log_prior is None:
        return np.full(k, 1 / (k + (layer.noise_distance is not None)))
    priors: NDArray[np.float64] = layer.log_prior.detach().double().softmax(0)[:k].cpu().numpy()
    return priors


def layer_attributes(layer: SoftKMeansLayer) -> dict[str, Any]:
    """Return the fitted attributes of the estimator that corresponds to a module; the centroids are copied."""
    centers, t = layer.centroids.detach().cpu(), layer.temperature.detach().double().tolist()
    centers = centers.float() if centers.dtype == torch.bfloat16 else centers  # NumPy has no bfloat16
    return {
        "cluster_centers_": centers.numpy().copy(),
        "temperature_": np.array(t) if isinstance(t, list) else t,
        "priors_": layer_priors(layer),
        "n_features_in_": layer.n_features,
    }
