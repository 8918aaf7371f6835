"""Restore a fitted estimator from the content of a model file, and check all that is in it."""

from __future__ import annotations

__all__ = [
    "PREPROCESSING",
    "RULE_FIELD_IN_FILE",
    "SCALAR_ATTRIBUTES",
    "STATS_NAMES_IN_FILE",
    "check_parameters",
    "restore_fit",
    "restore_pipeline",
]

import math
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor

from ..callbacks import Step
from ..data.convert import floating_dtype
from ..distances import as_distance
from ..estimators.base import SoftClusterer
from ..estimators.data_units import transformed_names
from ..estimators.pipeline import Model, feature_names
from ..estimators.preprocessing import from_node
from ..estimators.provenance import Provenance
from ..estimators.soft_kmeans import SoftKMeans
from ..fitting.partial_fit import OnlineState
from ..model.assignment import as_assignment
from ..solvers import as_solver
from ..temperature import as_temperature

# Attributes that are numbers, with their types.
SCALAR_ATTRIBUTES: dict[str, type] = {
    "temperature_": float,
    "objective_": float,
    "free_energy_": float,
    "distortion_": float,
    "entropy_": float,
    "inertia_": float,
    "noise_weight_": float,
    "n_iter_": int,
    "converged_": bool,
}
MAY_BE_NAN = ("free_energy_",)  # if each cluster has its own temperature
# Fields of Stats that have another name in files of version 2.
STATS_NAMES_IN_FILE = {"irls_weight": "pull", "kink_weight": "anchor"}
RULE_FIELD_IN_FILE = ("noise_logit=", "outside=")  # likewise, in the description of the assignment rule
PREPROCESSING = "preprocessing."  # begins the names of the tensors of transformers
MAX_ROUNDING_ERROR = 1e-6  # of the sum of the priors, in files of versions that did not normalize them
CENTER_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_parameters(estimator: SoftClusterer) -> None:
    """Raise an error unless the parameters pass the checks of a fit that do not need the data."""
    settings = estimator._settings(warm=False)
    as_distance(settings.distance)
    as_solver(settings.solver)
    if as_assignment(settings.assignment).uses_temperature:
        as_temperature(settings.temperature)
    _require(estimator.device is None or isinstance(estimator.device, str), "the device must be a name")
    torch.device(estimator.device or "cpu")
    floating_dtype(estimator.dtype, torch.empty(0, device="cpu"))


def restore_fit(estimator: SoftClusterer, content: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Set the fitted attributes of an estimator.

    Raises
    ------
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError or ValueError
        If the content is inconsistent.
    """
    centers = tensors["cluster_centers_"]
    n_clusters, estimator.n_features_in_ = centers.shape
    _require(0 not in centers.shape and centers.dtype in CENTER_DTYPES, "the centers must be a matrix of floats")
    _require(bool(centers.isfinite().all()), "the centers must be finite")
    estimator.cluster_centers_ = centers if content["tensor"] else centers.numpy()
    for name, kind in SCALAR_ATTRIBUTES.items():
        if name in content["attributes"]:
            value = content["attributes"][name]
            _require(math.isfinite(value) or name in MAY_BE_NAN, f"{name} must be finite")
            _require(isinstance(value, kind) and isinstance(value, bool) == (kind is bool), f"{name} has a wrong type")
            setattr(estimator, name, value)
    if isinstance(estimator, SoftKMeans):
        _restore_mixture(estimator, tensors, n_clusters)
    if "made" in content:  # not before version 4
        estimator._provenance = Provenance.from_json(content["made"], n_clusters)
    if "progress" in content:
        _restore_progress(estimator, content["progress"], tensors)
    if "history_" in tensors:
        _require(tensors["cluster_weights_"].shape == (n_clusters,), "cluster_weights_ has a wrong shape")
        _require(tensors["history_"].shape[1:] == (len(Step._fields) - 1,), "history_ has a wrong shape")
        estimator.cluster_weights_ = tensors["cluster_weights_"].numpy()
        rows = tensors["history_"].tolist()
        estimator.history_ = tuple(Step(int(row[0]), *row[1:-2], *map(int, row[-2:])) for row in rows)


def _restore_progress(estimator: SoftClusterer, kind: str, tensors: dict[str, Tensor]) -> None:
    fields = {name: field for field, name in STATS_NAMES_IN_FILE.items()}
    short_names = {name: name.removeprefix("progress.") for name in tensors if name.startswith("progress.")}
    state = {fields.get(short, short): tensors[name] for name, short in short_names.items()}
    progress = OnlineState.of(kind.replace(*RULE_FIELD_IN_FILE[::-1]), state)
    centers, stats = tensors["cluster_centers_"], progress.running.stats
    _require(progress.shift.shape == centers.shape[1:], "the online state has another number of features")
    _require(stats.weighted_sum.shape == centers.shape, "the sums of the online state have a wrong shape")
    per_cluster = (stats.weight, stats.irls_weight, stats.kink_weight, stats.distortion)
    _require(
        all(part.shape == centers.shape[:1] for part in per_cluster), "the online state has another number of clusters"
    )
    _require(
        all(part.dtype.is_floating_point and part.isfinite().all() for part in state.values()),
        "the online state must be finite",
    )
    _require(
        progress.scale > 0 and progress.running.seen >= 0 and progress.running.unit >= 0,
        "the online state must not be negative",
    )
    estimator._progress = progress


def _restore_mixture(estimator: SoftKMeans, tensors: dict[str, Tensor], n_clusters: int) -> None:
    if not as_assignment(estimator.assignment).uses_temperature:
        return
    if "temperature_" in tensors:
        estimator.temperature_ = tensors["temperature_"].numpy()
    temperature = estimator.temperature_
    is_per_cluster = (
        isinstance(temperature, np.ndarray) and temperature.shape == (n_clusters,) and temperature.dtype == float
    )
    _require(
        isinstance(temperature, float) or is_per_cluster, "the temperature must be a number, or one for each cluster"
    )
    _require(bool(np.isfinite(temperature).all() and np.min(temperature) > 0), "the temperature must be above 0")
    equal_priors = torch.full(
        (n_clusters,), 1 / n_clusters, dtype=torch.float64, device="cpu"
    )  # version 1 had no others
    estimator.priors_ = tensors.get("priors_", equal_priors).numpy()
    priors = estimator.priors_
    are_priors = priors.shape == (n_clusters,) and priors.min() >= 0 and priors.max() <= 1 + MAX_ROUNDING_ERROR
    _require(
        bool(are_priors and priors.sum() < 1 + MAX_ROUNDING_ERROR),
        "the priors must be at least 0 with a sum of at most 1",
    )


def restore_pipeline(estimator: SoftClusterer, content: dict[str, Any], tensors: dict[str, Tensor]) -> Model:
    """Return the estimator with the names of its features, in a pipeline if transformers were saved with it.

    Raises
    ------
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError or ValueError
        If the content is inconsistent.
    """
    names = content["feature_names"]
    content, tensors = _from_version_2(estimator, content, tensors) if "scaler" in content else (content, tensors)
    node, step_names = content["preprocessing"], content["steps"]
    preprocessing = None if node is None else from_node(node, PREPROCESSING, tensors)
    own_names = names if preprocessing is None else content.get("transformed_names", [])
    _require(isinstance(own_names, list), "the names of the features must be a list")
    _require(len(own_names) in (0, estimator.n_features_in_), "feature_names has a wrong length")
    if own_names:
        estimator.feature_names_in_ = np.array(own_names, dtype=object)
    if step_names is None:
        _require(preprocessing is None, "the steps have no names")
        return estimator
    _require(all(isinstance(name, str) and name and "__" not in name for name in step_names), "a step's name is wrong")
    _require(len(set(step_names)) == len(step_names), "two steps have the same name")
    front = [preprocessing] if len(step_names) == 2 else [step for _, step in getattr(preprocessing, "steps", [])]
    model = Pipeline(list(zip(step_names, [*front, estimator], strict=True)))
    _require((feature_names(model) or []) == names, "feature_names are not those of the first step")
    n_features = len(transformed_names(model))
    _require(n_features == estimator.n_features_in_, "the centers have another number of features than the last step")
    return model


def _from_version_2(
    estimator: SoftClusterer, content: dict[str, Any], tensors: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return content and tensors as this version writes them; version 2 had no transformer but a StandardScaler."""
    scaler = content["scaler"]
    if scaler is None:
        return content | {"preprocessing": None, "steps": None}, tensors
    node = {
        "class": "StandardScaler",
        "parameters": scaler,
        "n_features": estimator.n_features_in_,
        "feature_names": content["feature_names"],
    }
    renamed = {f"{PREPROCESSING}{name.removeprefix('scaler.')}": tensor for name, tensor in tensors.items()}
    return content | {"preprocessing": node, "steps": ["standardscaler", type(estimator).__name__.lower()]}, renamed


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
