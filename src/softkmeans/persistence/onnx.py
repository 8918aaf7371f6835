"""Fitted models for other runtimes: one ONNX file, from rows to probabilities and labels."""

from __future__ import annotations

__all__ = ["export_onnx"]

import json
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from typing_extensions import override

from .._utils.atomic import atomic_write
from ..data.block import as_tensor
from ..data.convert import as_source
from ..distances import squared_distances
from ..errors import InputError, MissingExtraError
from ..estimators.inference import Clustering
from ..estimators.pipeline import Model, feature_names, parts

LARGEST = 2**31 - 1  # bytes that a protobuf message can have


def export_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to one ONNX file, whole or not at all, for runtimes without Python or PyTorch.

    Its input is ``rows`` (batch, d), float64 if the centers are, else float32. Its outputs are ``probabilities``
    (batch, k) of that type, what ``predict_proba`` gives, and ``label`` (batch,) of int64, what ``predict`` gives. The
    arithmetic between them is in float64. The columns' names, if they had any, are in the metadata under
    ``feature_names``, in JSON.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        Fitted; or a pipeline of a ``StandardScaler`` and one, whose scaling becomes part of the file.
    path : str or path-like
        Where to; ``.onnx`` is the usual ending. A file there is replaced.

    Raises
    ------
    InputError
        If the model is of another kind, or the file can't be written.
    MissingExtraError
        Without the packages of the extra ``onnx``.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Notes
    -----
    Rows are taken as they come: where ``predict_proba`` refuses NaN, or rows of zeros for directions, the file's
    answers mean nothing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import onnxruntime
    >>> from softkmeans import SoftKMeans
    >>> model = SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [5.0], [5.1]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(model, Path(folder) / "model.onnx")
    ...     session = onnxruntime.InferenceSession(Path(folder) / "model.onnx")
    >>> probabilities, label = session.run(None, {"rows": np.array([[4.0], [0.0]])})
    >>> label.tolist()
    [1, 0]
    """
    _check_installed()
    scaler, estimator = parts(model)
    check_is_fitted(estimator)
    centers = as_tensor(estimator.cluster_centers_).cpu()
    _check_size(*centers.shape)
    clustering = estimator._clustering(as_source(centers, device="cpu"))
    dtype = torch.float64 if centers.dtype == torch.float64 else torch.float32
    graph = _graph(_Predictor(clustering, scaler, dtype), torch.zeros(2, centers.shape[1], dtype=dtype))
    _describe(graph, feature_names(model))
    with atomic_write(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401 -- torch.onnx does its work with both
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("export_onnx", "onnx and onnxscript", "onnx") from error


def _check_size(n_clusters: int, n_features: int) -> None:
    if 8 * n_clusters * (n_clusters + n_features) > LARGEST:
        shape = f"{n_clusters} clusters of {n_features} features"
        raise InputError(f"{shape} make a file of more than 2 GB, which ONNX can't be: fit fewer clusters")


class _Predictor(nn.Module):
    """From rows (batch, d) to probabilities and labels, in tensors alone."""

    mean: Tensor
    deviation: Tensor
    shift: Tensor
    scale: Tensor
    centers: Tensor
    apart: Tensor
    beta: Tensor
    b: Tensor
    outside: Tensor

    def __init__(self, clustering: Clustering, scaler: StandardScaler | None, dtype: torch.dtype) -> None:
        super().__init__()
        # Noise is one more column, whose logit is a tensor: numbers of Python's go into the file as float32.
        self.distance, self.rule = clustering.distance, replace(clustering.rule, outside=-math.inf)  # type: ignore[type-var]
        self.is_plain, self.has_noise = clustering.is_plain, clustering.rule.outside > -math.inf
        scaling, centers = clustering.scaling, clustering.centers
        constants = {
            "mean": torch.as_tensor(scaler.mean_ if scaler and scaler.with_mean else 0.0, dtype=dtype),
            "deviation": torch.as_tensor(scaler.scale_ if scaler and scaler.with_std else 1.0, dtype=dtype),
            "shift": scaling.shift,
            "scale": torch.tensor(scaling.scale, dtype=torch.float64),
            "centers": centers,
            "apart": torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist").square(),  # (k, k)
            "beta": clustering.beta,
            "b": clustering.b,
            "outside": torch.tensor([clustering.rule.outside] * self.has_noise, dtype=torch.float64),  # (1,) or (0,)
        }
        for name, value in constants.items():
            self.register_buffer(name, value)

    @override
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = (rows - self.mean) / self.deviation  # in the rows' own type, as scikit-learn does it
        z = self.distance.embed((rows.double() - self.shift) / self.scale)
        d = self.distance.of_squared(self._squared(z))
        logits = torch.cat([self.b - self.beta * d, self.outside.expand(d.shape[0], -1)], 1)
        resp = self.rule(logits, -1).resp[:, : len(self.b)]
        return resp.to(rows.dtype), self._label(d, resp)

    def _label(self, d: Tensor, resp: Tensor) -> Tensor:
        """Likeliest cluster (batch,), -1 for noise, as `Clustering.labels` has it."""
        label = d.argmin(-1) if self.is_plain else resp.argmax(-1)
        noise = 1 - resp.sum(-1)
        return label.masked_fill(resp.amax(-1) < noise, -1) if self.has_noise else label

    def _squared(self, z: Tensor) -> Tensor:
        """Squared distances (batch, k), taken from each row's nearest center, where small ones keep their digits."""
        nearest = squared_distances(z, self.centers).argmin(-1)
        y = z - self.centers[nearest]  # (batch, d)
        along = y @ self.centers.mT
        along = along - along.gather(1, nearest[:, None])
        return (y.square().sum(-1, keepdim=True) + self.apart[nearest] - 2 * along).clamp_min(0)


def _graph(module: _Predictor, example: Tensor) -> Any:
    """Trace the predictor into an ONNX ModelProto whose number of rows is left open."""
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["rows"],
                output_names=["probabilities", "label"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except torch.onnx.OnnxExporterError as error:  # a distance of the user's own, not in tensors alone
        name, reason = type(module.distance).__name__, str(error.__cause__ or error).strip().splitlines()[0]
        raise InputError(
            f"the distance {name} can't be told in ONNX ({reason}): use tensor operations alone"
        ) from error
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling of its own affairs, and leave warnings and logging as they were."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _describe(proto: Any, names: list[str] | None) -> None:
    """Put our own metadata in the place of the exporter's notes to itself, which tell of this machine."""
    graph = proto.graph
    graph.ClearField("value_info")  # the types of what lies between: runtimes infer them
    for part in (graph, *graph.input, *graph.output, *graph.node):
        part.ClearField("metadata_props")
    proto.producer_name, proto.producer_version = "softkmeans", ""
    if names is not None:
        proto.metadata_props.add(key="feature_names", value=json.dumps(names))
