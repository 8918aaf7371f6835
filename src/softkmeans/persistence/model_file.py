"""Saving and loading of models: one safetensors file with JSON metadata. Loading never runs code from the file."""

from __future__ import annotations

__all__ = ["load", "save"]

import json
import os
from dataclasses import asdict, is_dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save as to_bytes
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._utils.atomic import atomic_write
from .._utils.registry import Registry
from ..callbacks import Step
from ..data.block import as_tensor
from ..data.frames import as_rows
from ..errors import InputError, Message, Setting, warn
from ..estimators.base import SoftClusterer
from ..estimators.fuzzy_cmeans import FuzzyCMeans
from ..estimators.pipeline import Model, feature_names, split_pipeline
from ..estimators.preprocessing import record_of
from ..estimators.provenance import installed_versions, provenance_of
from ..estimators.soft_kmeans import SoftKMeans
from ..registries import (
    ASSIGNMENTS,
    DISTANCES,
    PARAMETRIC,
    SEEDINGS,
    SOLVERS,
    TEMPERATURES,
)
from ..seeding import Seeding
from ..solvers import Adam, Em, Lbfgs, Online
from ..temperature import Fixed, MaximumLikelihood, Schedule, TemperatureRule
from .restore import (
    PREPROCESSING,
    RULE_FIELD_IN_FILE,
    SCALAR_ATTRIBUTES,
    STATS_NAMES_IN_FILE,
    check_parameters,
    restore_fit,
    restore_pipeline,
)

FORMAT = "softkmeans"
VERSION = 4

MODEL_CLASSES: dict[str, type[SoftClusterer]] = {kind.__name__: kind for kind in (SoftKMeans, FuzzyCMeans)}
# Names in the file of classes that are not registered under these names.
SETTING_CLASSES: dict[str, type] = {
    **{kind.__name__.lower(): kind for kind in (Adam, Em, Lbfgs, Online)},
    "fixed": Fixed,
    "maximum_likelihood": MaximumLikelihood,
    "schedule": Schedule,
}
# Parameters whose values are names.
PARAMETER_REGISTRIES: dict[str, Registry[Any]] = {
    registry.parameter: registry for registry in (ASSIGNMENTS, DISTANCES, SEEDINGS, SOLVERS, TEMPERATURES)
}
PREDICTION_PARAMETERS = ("assignment", "distance")  # another value would give other predictions
ARRAY_PARAMETERS = ("init", "temperature", "priors", "frozen")  # parameters that may be arrays
FIT_PARAMETERS = ("checkpoint", "resume")  # parameters of a fit, which are not saved
# Suffixes of models in other formats.
OTHER_SUFFIXES = frozenset(
    {
        ".bin",
        ".ckpt",
        ".dill",
        ".h5",
        ".hdf5",
        ".joblib",
        ".json",
        ".onnx",
        ".p",
        ".pickle",
        ".pkl",
        ".pt",
        ".pt2",
        ".pth",
    }
)
# Errors that reading an inconsistent file raises.
DAMAGE_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to one file, completely or not at all.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model. The steps of a pipeline before its estimator may be scikit-learn's StandardScaler, MinMaxScaler,
        MaxAbsScaler, RobustScaler, Normalizer, PowerTransformer, PCA, SimpleImputer, OneHotEncoder,
        FunctionTransformer of a NumPy function such as ``log1p``, and pipelines and ColumnTransformers of these.
    path : str or path-like
        The file to write, usually with the extension ``.safetensors``. An existing file is replaced.

    Raises
    ------
    InputError
        If the model has another type or a step that is not supported, its distance or assignment rule can't be saved,
        the file's name ends like that of another format, such as ``.pkl``, or the file can't be written.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Warns
    -----
    UserWarning
        If a parameter can't be saved because it is a function or a user-defined object. The loaded model has the
        default value.

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
    _check_suffix(path)
    preprocessing, estimator = split_pipeline(model)
    check_is_fitted(estimator)
    attributes = vars(estimator)
    tensors = {"cluster_centers_": as_tensor(estimator.cluster_centers_).cpu().contiguous()}
    for name in ("temperature_", "priors_"):
        if np.ndim(attributes.get(name, 0.0)):
            tensors[name] = torch.from_numpy(attributes[name])
    if "cluster_weights_" in attributes:  # missing if the estimator was built from a layer
        tensors["cluster_weights_"] = as_tensor(estimator.cluster_weights_)
        steps = [step[:-1] for step in estimator.history_]  # without the centers, which a history does not hold
        tensors["history_"] = torch.tensor(steps, dtype=torch.float64, device="cpu").reshape(
            len(steps), len(Step._fields) - 1
        )
    to_save = {name: value for name, value in estimator.get_params().items() if name not in FIT_PARAMETERS}
    parameters = {name: _to_json(name, value, tensors) for name, value in to_save.items()}
    content = {
        "kind": type(estimator).__name__,
        "parameters": {name: value for name, value in parameters.items() if value is not _NOT_SAVED},
        "attributes": {n: attributes[n] for n in SCALAR_ATTRIBUTES if n in attributes and n not in tensors},
        "feature_names": feature_names(model) or [],
        "tensor": isinstance(estimator.cluster_centers_, Tensor),
        "steps": [name for name, _ in model.steps] if isinstance(model, Pipeline) else None,
        "preprocessing": None,
        "made": _provenance(model),
    }
    if preprocessing is not None:
        content["transformed_names"] = list(getattr(estimator, "feature_names_in_", []))
        content["preprocessing"] = record_of(preprocessing).to_file(preprocessing, PREPROCESSING, tensors)
    progress = attributes.get("_progress")
    if progress is not None:
        content["progress"] = progress.kind.replace(*RULE_FIELD_IN_FILE)
        tensors |= {f"progress.{STATS_NAMES_IN_FILE.get(n, n)}": tensor for n, tensor in progress.tensors().items()}
    metadata = {"format": FORMAT, "version": str(VERSION), "content": json.dumps(content)}
    # Parameters and attributes may be the same array; a file holds each of its tensors.
    copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(to_bytes(copies, metadata))


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model from a file that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    SoftKMeans, FuzzyCMeans or Pipeline
        The model as it was saved, without ``labels_``, which belong to the data.

    Raises
    ------
    InputError
        If the file is missing or damaged, is not a model of this library, or was saved by a newer version.

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
        unregistered = _find_unregistered(content["parameters"])
        if unregistered is None:
            return _restore(content, tensors)
    except DAMAGE_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        problem = f"{path} is damaged, with inconsistent content ({reason})"
        raise InputError(problem, hint="save the model again") from None
    raise InputError(
        Message(f"{path} needs ", unregistered, ", which is not registered"),
        hint="import the module that registers it; the command line does so with --plugin",
    )


def _check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise an InputError for a file name that promises another format."""
    suffix = Path(path).suffix
    if suffix.lower() in OTHER_SUFFIXES:
        hint = "use .safetensors; softkmeans.export_onnx writes .onnx files"
        raise InputError(f"{path} ends with {suffix}, but the file would hold safetensors", hint=hint)


def _provenance(model: Model) -> dict[str, Any]:
    """Return how a model was made; the versions are those that save it, if no others are recorded."""
    made = provenance_of(model)
    return (made if made.versions else replace(made, versions=installed_versions())).to_json()


_NOT_SAVED = object()


def _to_json(name: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """Convert a parameter to JSON; add an array to the tensors; warn if the parameter can't be saved."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if name == "callbacks" and isinstance(value, list | tuple) and not value:
        return None  # the default, which means the same
    if isinstance(value, np.integer | np.floating | np.bool_):
        return value.item()
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, torch.dtype | torch.device):
        return str(value).removeprefix("torch.")
    kind = _kind_of(name, value)
    if kind is not None:
        return {"kind": kind, "settings": asdict(value)}
    registry = PARAMETER_REGISTRIES.get(name)
    if registry is not None and (registered := registry.name_of(value)):
        return registered
    if name in ARRAY_PARAMETERS and not callable(value) and not isinstance(value, TemperatureRule | Seeding):
        array = as_tensor(as_rows(value)).resolve_neg().cpu().contiguous()
        tensors[name] = array.float() if array.dtype == torch.bfloat16 else array  # NumPy has no bfloat16
        return {"kind": "tensor", "name": name}
    if name == "dtype":
        return np.dtype(value).name
    if name in PREDICTION_PARAMETERS:
        problem = "can't be saved, as it is neither registered nor an object of a registered dataclass"
        hint = Message("register this object and use its name, or make its class a dataclass and register it")
        raise InputError(problem, parameter=name, value=value, hint=hint)
    warn(f"the parameter {name}={value!r} can't be saved; the loaded model has the default value", UserWarning)
    return _NOT_SAVED


def _from_json(parameter: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    match value:
        case {"kind": "tensor"}:
            return tensors[value.get("name", "init")].numpy()
        case {"kind": kind, "settings": settings}:
            return _setting_classes(parameter)[kind](
                **{n: tuple(v) if isinstance(v, list) else v for n, v in settings.items()}
            )
    return value


def _setting_classes(parameter: str) -> dict[str, type]:
    """Return the dataclasses that are values of a parameter, by their name in the file."""
    registries = [PARAMETER_REGISTRIES[parameter]] if parameter in PARAMETER_REGISTRIES else []
    registries += [PARAMETRIC] if parameter == TEMPERATURES.parameter else []
    members = {name: member for registry in registries for name, member in registry.items()}
    kinds = {name: member if isinstance(member, type) else type(member) for name, member in members.items()}
    return {name: kind for name, kind in kinds.items() if is_dataclass(kind)} | SETTING_CLASSES


def _kind_of(parameter: str, value: Any) -> str | None:
    """Return the name of an object's class in the file; None if the object can't be saved."""
    names = [name for name, kind in _setting_classes(parameter).items() if kind is type(value)]
    return names[-1] if names else None


def _find_unregistered(parameters: dict[str, Any]) -> Setting | None:
    """Return the first parameter whose value has a name that is not registered in this program; None if all are."""
    for parameter, value in parameters.items():
        registry = PARAMETER_REGISTRIES.get(parameter)
        if isinstance(value, str):
            name = value.partition(":")[0]
            is_known = registry is None or name in registry or (registry is TEMPERATURES and name in PARAMETRIC)
        elif isinstance(value, dict) and "settings" in value:
            name = value["kind"]
            is_known = name in _setting_classes(parameter)
        else:
            continue
        if not is_known:
            return Setting(parameter, name)
    return None


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and tensors of a model file; raise an InputError if it is not one."""
    if path.is_dir():
        raise InputError(f"{path} is a folder", hint="give a model file in it")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a dict
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file", hint="give a file that softkmeans saved") from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path} can't be read ({reason})", hint="give a file that you may read") from None
    except safetensors.SafetensorError as error:
        raise InputError(
            f"{path} is not a model file, or is truncated or damaged ({error})", hint="save the model again"
        ) from None
    if metadata.get("format") != FORMAT:
        problem = f"{path} is a safetensors file, but not a softkmeans model"
        raise InputError(problem, hint="give a file that softkmeans saved")
    version = metadata.get("version", "")
    if not (version.isdecimal() and len(version) < 9 and int(version) <= VERSION):
        raise InputError(
            f"{path} has format version {version[:20]}",
            expected=f"{VERSION} or lower",
            hint="upgrade softkmeans to read it",
        )
    return metadata, tensors


def _restore(content: dict[str, Any], tensors: dict[str, Tensor]) -> Model:
    """Return the model that the content of a file describes."""
    model_class = MODEL_CLASSES[content.get("kind", "SoftKMeans")]  # version 1 had no other class
    estimator = model_class(**{n: _from_json(n, v, tensors) for n, v in content["parameters"].items()})
    check_parameters(estimator)
    restore_fit(estimator, content, tensors)
    return restore_pipeline(estimator, content, tensors)
