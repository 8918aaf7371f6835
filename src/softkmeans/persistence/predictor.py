"""A fitted model that answers without PyTorch, for services that must start quickly and use little memory."""

from __future__ import annotations

__all__ = ["Predictor", "predictor"]

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.distances import COSINE, EUCLIDEAN, SQUARED_EUCLIDEAN, ArrayDistance
from ..arrays.model import ArrayModel
from ..errors import InputError
from .reading import DAMAGE_ERRORS, damaged, read_tensors

Array = NDArray[Any]

# The members that need no PyTorch, by their names in the file.
DISTANCES: dict[str, ArrayDistance] = {
    "sqeuclidean": SQUARED_EUCLIDEAN,
    "euclidean": EUCLIDEAN,
    "cosine": COSINE,
}
FUZZIFIERS = {"softmax": None, "fuzzy": 2.0}  # by assignment rule, if it has no settings; None for the softmax
SCALER = "StandardScaler"  # the transformer that is served
LOAD = "use softkmeans.load, which needs PyTorch, or softkmeans.export_onnx"


class Predictor:
    """A fitted model that computes memberships and labels with NumPy alone; `predictor` reads it from a file.

    Its methods return what those of the estimator return, up to rounding. Threads may call them at the same time.

    Parameters
    ----------
    model : ArrayModel
        The model.
    cluster_centers : ndarray (k, d)
        Its centers, in the units of the rows that it was fitted on; memberships have their type.
    feature_names : tuple of str
        The names of the features; empty if there are none.
    scaler : tuple of ndarray (d,), optional
        Mean and scale of a StandardScaler before the model.

    Attributes
    ----------
    cluster_centers_ : ndarray (k, d)
        The centers.
    n_features_in_ : int
        The number of features.
    """

    def __init__(
        self,
        model: ArrayModel,
        cluster_centers: Array,
        feature_names: tuple[str, ...] = (),
        scaler: tuple[Array, Array] | None = None,
    ) -> None:
        self.cluster_centers_, self.n_features_in_ = cluster_centers, cluster_centers.shape[1]
        self._model, self._feature_names, self._scaler = model, feature_names, scaler

    def predict(self, X: Any, reject_below: float | None = None) -> Array:
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : array-like or frame (n, d)
            Rows of finite numbers.
        reject_below : float, optional
            Threshold from 0 to 1: rows whose largest membership is smaller get the label -1.

        Returns
        -------
        labels : ndarray (n,) of int64
            Cluster indices; with a noise cluster, -1 also for rows that are most probably noise.

        Raises
        ------
        InputError
            If the rows are not valid.
        """
        if reject_below is not None and not 0 <= reject_below <= 1:
            raise InputError(parameter="reject_below", value=reject_below, hint="give a number from 0 to 1")
        return self._model.labels(self._rows(X), reject_below)

    def predict_proba(self, X: Any) -> Array:
        """Return the membership of each row in every cluster.

        Parameters
        ----------
        X : array-like or frame (n, d)
            Rows of finite numbers.

        Returns
        -------
        resp : ndarray (n, k)
            Memberships. Rows sum to 1, or to less with a noise cluster.

        Raises
        ------
        InputError
            If the rows are not valid.
        """
        return self._model.memberships(self._rows(X)).astype(self.cluster_centers_.dtype, copy=False)

    def _rows(self, X: Any) -> Array:
        """Return the rows (n, d) as float64, scaled if a scaler is in front of the model."""
        columns = getattr(X, "columns", None)
        if self._feature_names and columns is not None and list(columns) != list(self._feature_names):
            problem = f"the columns are {list(columns)}, but the model was fitted on {list(self._feature_names)}"
            raise InputError(problem, hint="select these columns")
        try:
            rows = np.asarray(X)
            rows = rows.astype(np.float64, copy=False)
        except (TypeError, ValueError):
            raise InputError(f"is a {type(X).__name__}", parameter="X", expected="a table of numbers") from None
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_ or not len(rows):
            problem = f"has shape {rows.shape}"
            raise InputError(problem, parameter="X", expected=f"(n, {self.n_features_in_}) with at least one row")
        if not np.isfinite(rows).all():
            raise InputError("contains NaN or infinity", parameter="X", hint="fill in these values or drop the rows")
        if self._scaler is None:
            return rows
        mean, scale = self._scaler
        scaled: Array = (rows - mean) / scale
        return scaled


def predictor(path: str | os.PathLike[str]) -> Predictor:
    """Read a fitted model from a file that `save` wrote, to compute memberships and labels without PyTorch.

    Parameters
    ----------
    path : str or path-like
        The file. The model may be a SoftKMeans or FuzzyCMeans with any of the library's distances and assignment
        rules, alone or in a pipeline after a StandardScaler.

    Returns
    -------
    Predictor
        The model, with ``predict`` and ``predict_proba``.

    Raises
    ------
    InputError
        If the file is missing or damaged, is not a model of this library, or was saved by a newer version; or if the
        model needs PyTorch, as it has other transformers or a user-defined distance.

    Notes
    -----
    Importing ``softkmeans`` and reading a model takes a tenth of a second. PyTorch and scikit-learn are not imported,
    and nothing in the file is run.

    Examples
    --------
    >>> import tempfile
    >>> from softkmeans import SoftKMeans, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [5.0], [5.1]]), Path(folder) / "model.safetensors")
    ...     predictor(Path(folder) / "model.safetensors").predict([[4.0]])
    array([1])
    """
    metadata, tensors = read_tensors(Path(path), "np")
    try:
        return _restore(json.loads(metadata["content"]), tensors)
    except InputError:
        raise
    except DAMAGE_ERRORS as error:
        raise damaged(Path(path), error) from None


def _restore(content: dict[str, Any], tensors: dict[str, Array]) -> Predictor:
    """Return the predictor that the content of a file describes."""
    parameters, centers = content["parameters"], tensors["cluster_centers_"]
    k = len(centers)
    distance = _member("distance", parameters.get("distance", "sqeuclidean"), DISTANCES)
    fuzzifier = parameters.get("fuzzifier")  # of FuzzyCMeans
    if fuzzifier is None:
        fuzzifier = _fuzzifier(parameters.get("assignment", "softmax"))
    temperature = tensors.get("temperature_", content["attributes"].get("temperature_", 1.0))
    priors, noise_distance = tensors.get("priors_", np.full(k, 1 / k)), parameters.get("noise_distance")
    _require(centers.ndim == 2 and centers.size > 0 and np.isfinite(centers).all(), "the centers must be finite")
    _require(np.ndim(temperature) == 0 or np.shape(temperature) == (k,), "the temperature has a wrong shape")
    _require(np.isfinite(temperature).all() and np.min(temperature) > 0, "the temperature must be above 0")
    _require(priors.shape == (k,) and priors.min() >= 0 and priors.sum() < 1 + 1e-6, "the priors are wrong")
    scaler = _scaler(content, tensors)
    model = ArrayModel(
        centers.astype(np.float64), distance,
        temperature=temperature, priors=priors, noise_distance=noise_distance, fuzzifier=fuzzifier,
    )  # fmt: skip
    return Predictor(model, centers, tuple(content["feature_names"]), scaler)


def _member(parameter: str, value: Any, members: dict[str, Any]) -> Any:
    """Return the member with a name, or raise an InputError if it is not one that needs no PyTorch."""
    if not (isinstance(value, str) and value in members):
        name = value["kind"] if isinstance(value, dict) else value
        raise InputError("needs PyTorch", parameter=parameter, value=name, hint=LOAD)
    return members[value]


def _fuzzifier(assignment: Any) -> float | None:
    """Return the fuzzifier of an assignment rule, which is a name or has settings; None for the softmax."""
    settings = assignment["settings"] if isinstance(assignment, dict) else {}
    name = assignment["kind"] if isinstance(assignment, dict) else assignment
    return settings.get("fuzzifier", _member("assignment", name, FUZZIFIERS))  # type: ignore[no-any-return]


def _scaler(content: dict[str, Any], tensors: dict[str, Array]) -> tuple[Array, Array] | None:
    """Return mean and scale (d,) of a StandardScaler in front of the model; None if there is no transformer."""
    node = content.get("preprocessing") or content.get("scaler")
    if node is None:
        return None
    if node.get("class") != SCALER:
        name = node.get("class", "scaler")
        raise InputError(f"a model after a transformer of the kind {name} needs PyTorch and scikit-learn", hint=LOAD)
    n_features = tensors["cluster_centers_"].shape[1]
    settings = node["parameters"]  # the mean is in the file even if it is not subtracted
    mean = tensors["preprocessing.mean_"] if settings["with_mean"] else np.zeros(n_features)
    scale = tensors["preprocessing.scale_"] if settings["with_std"] else np.ones(n_features)
    _require(mean.shape == scale.shape == (n_features,), "the scaler has another number of features")
    return mean, scale


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise ValueError(message)
