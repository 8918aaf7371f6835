"""Models on disk: one safetensors file, its metadata in JSON. Loading runs no code."""

from __future__ import annotations

__all__ = ["load", "save"]

import json
import os
from dataclasses import asdict, is_dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save as to_bytes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.atomic import atomic_write
from ..callbacks import Step
from ..data.block import as_tensor
from ..data.frames import as_rows
from ..distances import Distance, name_or_distance
from ..errors import InputError, warn
from ..estimators.base import SoftClusterer
from ..estimators.fuzzy_cmeans import FuzzyCMeans
from ..estimators.pipeline import Model, parts
from ..estimators.soft_kmeans import SoftKMeans
from ..fitting.partial_fit import OnlineState
from ..solvers import SOLVERS
from ..temperature import Calibrated, Critical, Fixed, MaximumLikelihood, Perplexity, Schedule

FORMAT, VERSION = "softkmeans", 2

KINDS: dict[str, type[SoftClusterer]] = {kind.__name__: kind for kind in (SoftKMeans, FuzzyCMeans)}
SCALARS = (
    "temperature_",
    "objective_",
    "free_energy_",
    "distortion_",
    "entropy_",
    "inertia_",
    "noise_weight_",
    "n_iter_",
    "converged_",
)
# Objects that parameters may be.
SETTINGS: dict[str, Any] = {
    **{type(solver).__name__.lower(): type(solver) for solver in SOLVERS.values()},
    "fixed": Fixed,
    "maximum_likelihood": MaximumLikelihood,
    "perplexity": Perplexity,
    "critical": Critical,
    "schedule": Schedule,
    "calibrated": Calibrated,
}
ARRAYS = ("init", "temperature", "priors", "frozen")  # parameters that may be arrays
OF_ONE_FIT = ("checkpoint", "resume")  # and of no model
SCALER = ("mean_", "scale_", "var_")
# Fields of Stats that the file calls by another name, as its version 2 always did.
NAMES_IN_FILE = {"irls_weight": "pull", "kink_weight": "anchor"}
CENTERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# What a file that was tampered with makes reading raise.
DAMAGE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to one file, whole or not at all.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted; a pipeline of a ``StandardScaler`` and one of these, in that order, is kept as such.
    path : str or path-like
        Where to; ``.safetensors`` is the usual ending. A file there is replaced.

    Raises
    ------
    InputError
        If the model is of another kind, or the file can't be written.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Warns
    -----
    UserWarning
        If a parameter can't be kept, being a function or an object of your own: the loaded model has its default.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> model = SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [5.0], [5.1]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, Path(folder) / "model.safetensors")
    ...     load(Path(folder) / "model.safetensors").predict([[4.0]])
    array([1])
    """
    scaler, estimator = parts(model)
    check_is_fitted(estimator)
    attributes = vars(estimator)
    tensors = {"cluster_centers_": as_tensor(estimator.cluster_centers_).cpu().contiguous()}
    for name in ("temperature_", "priors_"):
        if np.ndim(attributes.get(name, 0.0)):
            tensors[name] = torch.from_numpy(attributes[name])
    if "cluster_weights_" in attributes:  # absent in what came from a layer
        tensors["cluster_weights_"] = as_tensor(estimator.cluster_weights_)
        figures = [step[:-1] for step in estimator.history_]  # all but the centers, which a history is without
        tensors["history_"] = torch.tensor(figures, dtype=torch.float64)
    kept = {name: value for name, value in estimator.get_params().items() if name not in OF_ONE_FIT}
    parameters = {name: _plain(name, value, tensors) for name, value in kept.items()}
    content = {
        "kind": type(estimator).__name__,
        "parameters": {name: value for name, value in parameters.items() if value is not _LOST},
        "attributes": {n: attributes[n] for n in SCALARS if n in attributes and n not in tensors},
        "feature_names": list(map(str, getattr(scaler or estimator, "feature_names_in_", []))),
        "tensor": isinstance(estimator.cluster_centers_, Tensor),
        "scaler": None,
    }
    progress = attributes.get("_progress")
    if progress is not None:
        content["progress"] = progress.kind
        tensors |= {f"progress.{NAMES_IN_FILE.get(n, n)}": tensor for n, tensor in progress.tensors().items()}
    if scaler is not None:
        content["scaler"] = {name: getattr(scaler, name) for name in ("with_mean", "with_std")}
        found = {name: getattr(scaler, name) for name in SCALER}
        tensors |= {f"scaler.{name}": torch.as_tensor(value) for name, value in found.items() if value is not None}
    metadata = {"format": FORMAT, "version": str(VERSION), "content": json.dumps(content)}
    with atomic_write(path) as temporary:
        temporary.write_bytes(to_bytes(tensors, metadata))


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    SoftKMeans, FuzzyCMeans or Pipeline
        As it was saved, but for ``labels_``, which belong to the data.

    Raises
    ------
    InputError
        If the file is missing, damaged, no model of this library, or from a newer version of it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(SoftKMeans(1).fit([[0.0], [2.0]]), Path(folder) / "model.safetensors")
    ...     load(Path(folder) / "model.safetensors").cluster_centers_
    array([[1.]])
    """
    metadata, tensors = _read(Path(path))
    try:
        content = json.loads(metadata["content"])
        kind = KINDS[content.get("kind", "SoftKMeans")]  # version 1 knew no other
        estimator = kind(**{n: _restored(v, tensors) for n, v in content["parameters"].items()})
        _restore_fit(estimator, content, tensors)
        return _with_scaler(estimator, content, tensors)
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is damaged, its content does not fit together ({reason}): save it anew") from None


_LOST = object()


def _plain(name: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """Say a parameter in JSON; arrays go among the tensors, and what can't be said is lost with a warning."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.integer | np.floating | np.bool_):
        return value.item()
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, torch.dtype | torch.device):
        return str(value).removeprefix("torch.")
    if isinstance(value, Distance) and isinstance(known := name_or_distance(value), str):
        return known
    if is_dataclass(value) and type(value) in SETTINGS.values():
        (kind,) = (key for key, made in SETTINGS.items() if made is type(value))
        return {"kind": kind, "settings": asdict(value)}  # type: ignore[arg-type]
    if name in ARRAYS and not callable(value):
        found = as_tensor(as_rows(value)).resolve_neg().cpu().contiguous()
        tensors[name] = found.float() if found.dtype == torch.bfloat16 else found  # which NumPy lacks
        return {"kind": "tensor", "name": name}
    if name == "dtype":
        return np.dtype(value).name
    warn(f"the parameter {name}={value!r} can't be saved; the loaded model has its default", UserWarning)
    return _LOST


def _restored(value: Any, tensors: dict[str, Tensor]) -> Any:
    match value:
        case {"kind": "tensor"}:
            return tensors[value.get("name", "init")].numpy()
        case {"kind": kind, "settings": settings}:
            return SETTINGS[kind](**{n: tuple(v) if isinstance(v, list) else v for n, v in settings.items()})
    return value


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file, if it is one of ours."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a model file in it")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no dict
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is no model file, or was cut off or damaged ({error}): save the model anew") from None
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is a safetensors file, but no softkmeans model: give one that softkmeans saved")
    version = metadata.get("version", "")
    if not (version.isdecimal() and len(version) < 9 and int(version) <= VERSION):
        found = f"{path} has format version {version[:20]}"
        raise InputError(f"{found}, this softkmeans reads up to {VERSION}: upgrade softkmeans")
    return metadata, tensors


def _restore_fit(estimator: SoftClusterer, content: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    centers = tensors["cluster_centers_"]
    n_clusters, estimator.n_features_in_ = centers.shape
    _require(0 not in centers.shape and centers.dtype in CENTERS, "the centers are no matrix of floats")
    _require(bool(centers.isfinite().all()), "the centers are not finite")
    estimator.cluster_centers_ = centers if content["tensor"] else centers.numpy()
    for name in SCALARS:
        if name in content["attributes"]:
            setattr(estimator, name, content["attributes"][name])
    if isinstance(estimator, SoftKMeans):
        _restore_mixture(estimator, tensors, n_clusters)
    if "progress" in content:
        _restore_progress(estimator, content["progress"], tensors)
    if "history_" in tensors:
        _require(tensors["cluster_weights_"].shape == (n_clusters,), "cluster_weights_ has another shape")
        _require(tensors["history_"].shape[1:] == (len(Step._fields) - 1,), "history_ has another shape")
        estimator.cluster_weights_ = tensors["cluster_weights_"].numpy()
        rows = tensors["history_"].tolist()
        estimator.history_ = tuple(Step(int(row[0]), *row[1:-2], *map(int, row[-2:])) for row in rows)


def _restore_progress(estimator: SoftClusterer, kind: str, tensors: dict[str, Tensor]) -> None:
    fields = {name: field for field, name in NAMES_IN_FILE.items()}
    names = {name: name.removeprefix("progress.") for name in tensors if name.startswith("progress.")}
    found = {fields.get(short, short): tensors[name] for name, short in names.items()}
    progress = OnlineState.of(kind, found)
    centers, sums = tensors["cluster_centers_"], progress.running.stats
    _require(progress.shift.shape == centers.shape[1:], "the progress is of other features")
    _require(sums.weighted_sum.shape == centers.shape, "the progress has sums of another shape")
    each = (sums.weight, sums.irls_weight, sums.kink_weight, sums.distortion)
    _require(all(part.shape == centers.shape[:1] for part in each), "the progress is of other clusters")
    _require(all(part.dtype.is_floating_point and part.isfinite().all() for part in found.values()), "it is not finite")
    _require(
        progress.scale > 0 and progress.running.seen >= 0 and progress.running.unit >= 0, "the progress is below 0"
    )
    estimator._progress = progress


def _restore_mixture(estimator: SoftKMeans, tensors: dict[str, Tensor], n_clusters: int) -> None:
    if "temperature_" in tensors:
        estimator.temperature_ = tensors["temperature_"].numpy()
    temperature = estimator.temperature_
    several = isinstance(temperature, np.ndarray) and temperature.shape == (n_clusters,) and temperature.dtype == float
    _require(isinstance(temperature, float) or several, "the temperature is no number, nor one for each cluster")
    _require(bool(np.isfinite(temperature).all() and np.min(temperature) > 0), "the temperature is not above 0")
    equal = torch.full((n_clusters,), 1 / n_clusters, dtype=torch.float64)  # as they were in version 1
    estimator.priors_ = tensors.get("priors_", equal).numpy()
    is_share = estimator.priors_.shape == (n_clusters,) and estimator.priors_.min() >= 0
    _require(bool(is_share and estimator.priors_.sum() < 1 + 1e-9), "the priors are no shares of a whole")


def _with_scaler(estimator: SoftClusterer, content: dict[str, Any], tensors: dict[str, Tensor]) -> Model:
    names = np.array(content["feature_names"], dtype=object)
    _require(names.shape in ((0,), (estimator.n_features_in_,)), "feature_names has another length")
    if content["scaler"] is None:
        if len(names):
            estimator.feature_names_in_ = names
        return estimator
    scaler = StandardScaler(**content["scaler"])
    kept = {"mean_": scaler.with_mean or scaler.with_std, "scale_": scaler.with_std, "var_": scaler.with_std}
    for name, needed in kept.items():
        value = tensors[f"scaler.{name}"].numpy() if needed else None
        _require(value is None or value.shape == (estimator.n_features_in_,), f"the scaler's {name} has another shape")
        setattr(scaler, name, value)
    scaler.n_features_in_ = estimator.n_features_in_
    if len(names):
        scaler.feature_names_in_ = names
    return make_pipeline(scaler, estimator)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
