"""Export of fitted models to ONNX: one file that computes probabilities and labels of rows."""

from __future__ import annotations

__all__ = ["export_onnx"]

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from typing_extensions import override

from .._utils.atomic import atomic_write
from ..data.block import as_tensor
from ..data.convert import as_source
from ..distances import squared_distances
from ..errors import InputError, MissingExtraError
from ..estimators.fitted_model import Clustering
from ..estimators.pipeline import Model, feature_names, n_features_in, split_pipeline
from ..estimators.preprocessing import record_of
from .onnx_text import add_text_inputs, find_texts

MAX_FILE_BYTES = 2**31 - 1  # limit of a protobuf message


def export_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to one ONNX file, completely or not at all, for runtimes without Python or PyTorch.

    The input is ``rows`` (batch, d), float64 if the centers are float64, else float32. The outputs are
    ``probabilities`` (batch, k) of the same type, as returned by ``predict_proba``, and ``label`` (batch,) of type
    int64, as returned by ``predict``. Memberships are computed in float64. The column names, if there are any, are in
    the metadata under ``feature_names``, in JSON.

    Columns of text, which a OneHotEncoder takes, are inputs of their own (batch, 1), named after the column or, without
    names, ``text0`` and so on; ``rows`` then has the other columns, in their order.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model. The steps of a pipeline, which may be those that `save` takes, become part of the file.
    path : str or path-like
        The file to write, usually with the extension ``.onnx``. An existing file is replaced.

    Raises
    ------
    InputError
        If the model has another type, or the file can't be written.
    MissingExtraError
        If the packages of the extra ``onnx`` are not installed.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Notes
    -----
    The exported model does not validate its input. For rows that ``predict_proba`` refuses, such as rows with NaN or,
    with the cosine distance, rows of zeros, its output is meaningless. A category that a OneHotEncoder does not know
    gives zeros, even if the encoder itself would raise an error. Texts are never treated as missing. A column that no
    step uses is part of ``rows``, even if it is text, and may have any value.

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
    preprocessing, estimator = split_pipeline(model)
    check_is_fitted(estimator)
    centers = as_tensor(estimator.cluster_centers_).cpu()
    _check_size(*centers.shape)
    clustering = estimator._clustering(as_source(centers, device="cpu"))
    dtype = torch.float64 if centers.dtype == torch.float64 else torch.float32
    texts = find_texts(preprocessing)
    operation: nn.Module = nn.Identity()
    if preprocessing is not None:
        operation = record_of(preprocessing).operation(preprocessing, texts.words)
    example = torch.zeros(2, n_features_in(model), dtype=dtype, device="cpu")
    graph = _graph(_Predictor(clustering, operation), example)
    names = feature_names(model)
    add_text_inputs(graph, texts, names)
    _set_metadata(graph, names)
    with atomic_write(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401 -- torch.onnx needs both
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("export_onnx", "onnx and onnxscript", "onnx") from error


def _check_size(n_clusters: int, n_features: int) -> None:
    if 8 * n_clusters * (n_clusters + n_features) > MAX_FILE_BYTES:
        shape = f"{n_clusters} clusters of {n_features} features"
        raise InputError(f"{shape} need more than 2 GB, the limit of an ONNX file", hint="fit fewer clusters")


class _Predictor(nn.Module):
    """Probabilities and labels of rows (batch, d), computed with tensor operations only."""

    shift: Tensor
    scale: Tensor
    centers: Tensor
    center_distances: Tensor
    beta: Tensor
    b: Tensor
    noise_logit: Tensor

    def __init__(self, clustering: Clustering, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation
        # Noise is one more column with a tensor as its logit: the exporter stores Python floats as float32.
        self.distance, self.rule = clustering.distance, clustering.spec.rule
        noise_logit = clustering.rule.noise_logit
        self.is_plain, self.has_noise = clustering.is_plain, clustering.rule.has_noise
        scaling, centers = clustering.scaling, clustering.centers
        exact_cdist = partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")
        constants = {
            "shift": scaling.shift,
            "scale": torch.tensor(scaling.scale, dtype=torch.float64, device="cpu"),
            "centers": centers,
            "center_distances": exact_cdist(centers, centers).square(),  # (k, k)
            "beta": clustering.beta,
            "b": clustering.b,
            "noise_logit": torch.tensor(
                [noise_logit] * self.has_noise, dtype=torch.float64, device="cpu"
            ),  # (1,) or (0,)
        }
        for name, value in constants.items():
            self.register_buffer(name, value)

    @override
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.operation(rows)  # in the dtype of the rows, as in scikit-learn
        z = self.distance.embed((rows.double() - self.shift) / self.scale)
        is_radial = self.distance.is_radial
        d = self.distance.of_squared(self._squared(z)) if is_radial else self.distance.between(z, self.centers)
        logits = torch.cat([self.b - self.beta * d, self.noise_logit.expand(d.shape[0], -1)], 1)
        resp = self.rule(logits, -1).resp[:, : len(self.b)]
        return resp.to(rows.dtype), self._label(d, resp)

    def _label(self, d: Tensor, resp: Tensor) -> Tensor:
        """Return the most probable cluster (batch,), -1 for noise, as `Clustering.labels` does."""
        label = d.argmin(-1) if self.is_plain else resp.argmax(-1)
        noise = 1 - resp.sum(-1)
        return label.masked_fill(resp.amax(-1) < noise, -1) if self.has_noise else label

    def _squared(self, z: Tensor) -> Tensor:
        """Return squared distances (batch, k).

        They are computed relative to the nearest center of each row, so that small distances keep their precision.
        """
        nearest = squared_distances(z, self.centers).argmin(-1)
        y = z - self.centers[nearest]  # (batch, d)
        products = y @ self.centers.mT
        products = products - products.gather(1, nearest[:, None])  # y times the differences from the nearest center
        return (y.square().sum(-1, keepdim=True) + self.center_distances[nearest] - 2 * products).clamp_min(0)


def _graph(module: _Predictor, example: Tensor) -> Any:
    """Trace the predictor into an ONNX ModelProto with a variable number of rows."""
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
    except torch.onnx.OnnxExporterError as error:  # a user-defined distance that uses more than tensor operations
        name = type(module.distance).__name__
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        problem = f"the distance {name} can't be exported to ONNX ({reason})"
        raise InputError(problem, hint="use tensor operations only") from error
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress log messages and warnings of the exporter, and restore the settings afterwards."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _set_metadata(proto: Any, names: list[str] | None) -> None:
    """Replace the metadata of the exporter, which holds paths of this machine, by our own."""
    graph = proto.graph
    graph.ClearField("value_info")  # types of intermediate values, which runtimes infer
    for part in (graph, *graph.input, *graph.output, *graph.node):
        part.ClearField("metadata_props")
    proto.producer_name, proto.producer_version = "softkmeans", ""
    if names is not None:
        proto.metadata_props.add(key="feature_names", value=json.dumps(names))
