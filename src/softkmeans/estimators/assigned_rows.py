"""Rows of a model's data, block by block, with their memberships and distances."""

from __future__ import annotations

__all__ = ["AssignedBlock", "AssignedRows"]

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .. import kernels
from ..data.block import Block
from ..data.convert import as_source
from ..data.files.block_readers.streams import is_stream
from ..data.frames import as_frame, is_dask, numeric_columns
from ..data.source import Source
from ..errors import InputError
from .data_units import transformed_names
from .pipeline import Model, feature_names, n_features_in, received_rows, split_pipeline
from .preprocessing import preprocess_source, record_of
from .validation import validate_source

Array = NDArray[np.float64]

MAX_NUMBERS = 2**21  # in a block: of rows times features or clusters


class AssignedBlock(NamedTuple):
    """Some rows of the data, and what the model says of them.

    Attributes
    ----------
    start : int
        Index of the first row in the data.
    values : ndarray (m, d)
        The rows as given; NaN where a value is missing.
    received : ndarray (m, p)
        The rows that the estimator receives from the transformers in front of it.
    weights : ndarray (m,)
        Weights of the rows.
    resp : ndarray (m, k)
        Memberships.
    distances : ndarray (m, k)
        Distances d_ik that the temperature divides, in the estimator's units.
    """

    start: int
    values: Array
    received: Array
    weights: Array
    resp: Array
    distances: Array


class AssignedRows:
    """The rows of a model's data, in memory or read in blocks.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame, or Source
        The rows.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows.

    Attributes
    ----------
    clustering : Clustering
        The fitted model.
    names : list of d str
        Names of the features: of the columns of X, or of those that the estimator receives if X has columns of text.
    received_source : Source
        The rows that the estimator receives.
    n_rows : int
        Number of rows.
    in_memory : bool
        Whether rows can be read by index.

    Raises
    ------
    InputError
        If the rows are not those of the model: no rows, or other columns.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2]]
    >>> rows = AssignedRows(SoftKMeans(2, temperature=0.1, random_state=0).fit(X), X)
    >>> [block.resp.sum(0).round().tolist() for block in rows.blocks()]
    [[3.0, 2.0]]
    """

    def __init__(self, model: Model, X: Any, sample_weight: Any = None) -> None:
        preprocessing, estimator = split_pipeline(model)
        check_is_fitted(estimator)
        self.n_clusters = len(estimator.cluster_centers_)
        text = bool(preprocessing is not None and record_of(preprocessing).text_columns(preprocessing))
        self.names = feature_names(model) or [f"feature {j}" for j in range(n_features_in(model))]
        self._transform: Any = None
        if isinstance(X, Source) or is_stream(X) or is_dask(X):
            self._values = as_source(X, sample_weight)
            mapped = preprocess_source(self._values, preprocessing)
            self._received: Source | None = None
            if mapped is not self._values:
                self._transform = mapped.transform  # type: ignore[attr-defined]
            self.received_source = validate_source(estimator, mapped, reset=False)
        else:
            X = _with_columns(X, feature_names(model))
            self._received = validate_source(estimator, received_rows(model, X), sample_weight, reset=False)
            if preprocessing is None or text:
                self._values = self._received
            else:
                self._values = as_source(X, sample_weight, finite=False)
        if text:
            self.names = transformed_names(model)
        if self._received is not None:
            self.received_source = self._received
        self.n_rows, self.in_memory = self._values.n_rows, self._values.in_memory
        self.clustering = estimator._clustering(self._values)

    def blocks(self) -> Iterator[AssignedBlock]:
        """Yield the rows in blocks of limited size."""
        values, received = self._values, self._received
        if received is None:
            pairs = ((block, self._transform(block) if self._transform else block) for block in values.blocks())
        else:
            pairs = ((block, after) for block, after in zip(values.blocks(), received.blocks(), strict=True))
        width = max(self.n_clusters, len(self.names))
        for block, after in pairs:
            for piece, received_piece in zip(
                block.split(max(1, MAX_NUMBERS // width)), after.split(max(1, MAX_NUMBERS // width)), strict=True
            ):
                yield self._assigned(piece, received_piece)

    def _assigned(self, block: Block, received: Block) -> AssignedBlock:
        model = self.clustering
        received = replace(received, dtype=torch.float64) if received.device.type != "mps" else received
        scaled = model.scaled_block(received)
        return AssignedBlock(
            block.start,
            _numbers(block.x),
            _numbers(received.x),
            _numbers(block.w),
            _numbers(model.assign(scaled)),
            _numbers(kernels.distances(scaled, model.centers, model.distance)) * model.scaling.unit,
        )


def _with_columns(X: Any, names: list[str] | None) -> Any:
    """Return a frame with the columns of a model alone; raise an InputError if one is missing."""
    frame = None if names is None else as_frame(X)
    if frame is None or names is None or not all(isinstance(name, str) for name in frame.columns):
        return X
    if list(frame.columns) == names or not all(numeric_columns(frame).values()):
        return X
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(f"the column {missing[0]!r} is missing", hint="give the columns that the model was fitted on")
    return frame.select(names).to_native()


def _numbers(values: Tensor) -> Array:
    return values.detach().cpu().double().numpy()
