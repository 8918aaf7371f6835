"""Conversion between fitted estimators and PyTorch modules."""

from __future__ import annotations

__all__ = ["layer_attributes", "layer_parameters", "make_layer"]

from typing import Any

import numpy as np
import torch

from ..data.block import as_tensor
from ..distances import as_distance, name_or_distance
from ..errors import InputError
from ..model.assignment import as_assignment
from ..nn.layer import SoftKMeansLayer
from ..registries import ASSIGNMENTS


def make_layer(model: Any, *, learn_temperature: bool) -> SoftKMeansLayer:
    """Return a module with the centers and the temperature of a fitted estimator."""
    is_plain = as_assignment(model.assignment) == ASSIGNMENTS["softmax"] and np.ptp(model.priors_) == 0
    if np.ndim(model.temperature_) or model.noise_distance is not None or not is_plain:
        raise InputError(
            "cannot convert this model to a layer, which supports softmax memberships, one temperature, equal priors "
            "and no noise cluster",
            hint="use softkmeans.export_onnx",
        )
    centers = as_tensor(model.cluster_centers_)
    return SoftKMeansLayer(
        len(centers),
        centers.shape[1],
        float(model.temperature_),
        distance=model.distance,
        learn_temperature=learn_temperature,
        centroids=centers,
        device=centers.device,
        dtype=centers.dtype,
    )


def layer_parameters(layer: SoftKMeansLayer) -> dict[str, Any]:
    """Return the parameters of the estimator that corresponds to a module."""
    return {
        "n_clusters": layer.n_clusters,
        "temperature": "auto" if layer.learn_temperature else float(layer.temperature.detach()),
        "distance": name_or_distance(as_distance(layer.distance)),
    }


def layer_attributes(layer: SoftKMeansLayer) -> dict[str, Any]:
    """Return the fitted attributes of the estimator that corresponds to a module; the centroids are copied."""
    centers = layer.centroids.detach().cpu()
    centers = centers.float() if centers.dtype == torch.bfloat16 else centers  # NumPy has no bfloat16
    return {
        "cluster_centers_": centers.numpy().copy(),
        "temperature_": float(layer.temperature.detach()),
        "priors_": np.full(len(centers), 1 / len(centers)),
        "n_features_in_": layer.n_features,
    }
