"""Preprocessing of rows that are read in blocks."""

from __future__ import annotations

__all__ = ["SCALES", "fit_preprocessing", "preprocess_source"]

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from typing_extensions import override

from ..._utils.checks import check_known
from ..._utils.reductions import total
from ...data.block import Block, as_tensor
from ...data.source import MappedSource, Source
from ...data.validation import check_signs
from ...errors import InputError
from .composites import first_step, input_names, n_inputs, record_of
from .functions import NonnegativeLog, make_log
from .record import Words

SCALES = ("none", "standard", "robust", "log")
SCALES_OF_BLOCKS = ("none", "standard", "log")  # scales that need only sums over the rows


def fit_preprocessing(source: Source, scale: str) -> Any:
    """Fit the transformer of a scale to the rows of a source, in at most two passes.

    Parameters
    ----------
    source : Source
        The rows, with their weights.
    scale : {"none", "standard", "log"}
        The scale. "robust" needs all rows in memory.

    Returns
    -------
    StandardScaler, Pipeline or None
        The fitted transformer; None for "none".

    Raises
    ------
    InputError
        If the scale is unknown, or needs all rows in memory, or if "log" meets a negative value.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> fit_preprocessing(as_source([[0.0, 5.0], [2.0, 5.0]]), "standard").scale_
    array([1., 1.])
    """
    check_known("scale", scale, SCALES)
    if scale not in SCALES_OF_BLOCKS:
        problem = "needs the medians of all rows, which are read in blocks"
        raise InputError(problem, parameter="scale", value=scale, hint=f"use one of {', '.join(SCALES_OF_BLOCKS)}")
    if scale == "none":
        return None
    if scale == "standard":
        return _fit_scaler(source)
    log = make_log().fit(np.zeros((1, source.n_features)))
    _set_names(log, source)
    return Pipeline([("functiontransformer", log), ("standardscaler", _fit_scaler(preprocess_source(source, log)))])


def _set_names(transformer: Any, source: Source) -> None:
    if source.columns is not None:
        transformer.feature_names_in_ = np.array(source.columns, dtype=object)


def _fit_scaler(source: Source) -> StandardScaler:
    """Fit a ``StandardScaler`` to the rows of a source, in two passes."""

    def moments(center: Tensor) -> Tensor:
        """Return the weighted means of x - center and of its square, and Σw, for each feature (3, d)."""

        def weighted_sums(piece: Block) -> Tensor:
            x, w = piece.x - center, piece.w[:, None]
            return torch.stack([total(w * x), total(w * x * x), total(w.expand_as(x))])

        first, second, weight = source.sum(lambda block: block.sum(weighted_sums))
        check_signs(0, int(weight.any()))
        return torch.stack([first / weight, second / weight, weight])

    mean = moments(torch.zeros(source.n_features, dtype=source.dtype, device=source.device))[0]
    offset, squares, weight = moments(mean)  # offset: the rounding error of the mean
    variance = squares - offset * offset
    rounding = weight * torch.finfo(mean.dtype).eps
    constant = variance <= rounding * variance + (rounding * mean) ** 2  # scikit-learn's criterion
    scaler = StandardScaler()
    scaler.mean_, scaler.var_ = mean.cpu().numpy(), variance.cpu().numpy()
    scaler.scale_ = torch.where(constant, 1.0, variance.sqrt()).cpu().numpy()
    scaler.n_features_in_, scaler.n_samples_seen_ = source.n_features, source.n_rows
    _set_names(scaler, source)
    return scaler


def preprocess_source(source: Source, preprocessing: Any) -> Source:
    """Return a source whose rows are transformed by a fitted transformer when they are read.

    Parameters
    ----------
    source : Source
        The rows.
    preprocessing : transformer or None
        A transformer that `split_pipeline` returned, fitted to data with the same number of features. None returns the
        source itself.

    Returns
    -------
    Source
        The transformed rows, float64, without column names.

    Raises
    ------
    InputError
        If the source has other columns than those of the fit, or if these have text, which a source does not have.

    Examples
    --------
    >>> from softkmeans.data import as_source
    >>> source = as_source([[1.0], [5.0]])
    >>> preprocess_source(source, fit_preprocessing(source, "standard")).take(torch.tensor([0, 1]))[:, 0]
    tensor([-1.,  1.], dtype=torch.float64)
    """
    if preprocessing is None or first_step(preprocessing) is None:
        return source
    record = record_of(preprocessing)
    _check_columns(source, preprocessing)
    if record.text_columns(preprocessing):
        problem = "the model takes columns of text, and rows that are read in blocks are numbers"
        raise InputError(problem, hint="read them into memory, as a data frame")
    operation = record.operation(preprocessing, Words(set())).to(source.device)
    for part in operation.modules():
        if isinstance(part, NonnegativeLog):
            part.columns = source.columns
    n_features = len(record.output_names(preprocessing, [""] * source.n_features))
    return _PreprocessedSource(source, operation, n_features)


def _check_columns(source: Source, preprocessing: Any) -> None:
    """Raise an InputError unless a source has the columns that a transformer was fitted to."""
    names, n_features = input_names(preprocessing), n_inputs(preprocessing)
    if names is not None and source.columns is not None and list(source.columns) != names:
        problem = f"the columns are {list(source.columns)}, but the model was fitted on {names}"
        raise InputError(problem, hint="select these columns")
    if n_features not in (None, source.n_features):
        problem = f"the rows have {source.n_features} features"
        raise InputError(problem, expected=f"the {n_features} that the model was fitted on")


class _PreprocessedSource(MappedSource):
    """The rows of another source, transformed by tensor operations."""

    def __init__(self, source: Source, operation: torch.nn.Module, n_features: int) -> None:
        device = source.device

        def transform(block: Block) -> Block:
            with torch.no_grad():
                rows = operation(as_tensor(block.rows).to(device, torch.float64))
            return replace(block, rows=rows)

        super().__init__(source, transform)
        self.operation, self.n_features = operation, n_features
        self.columns = None  # scikit-learn's transformers return arrays, which have no column names

    @override
    def batches(self) -> Iterator[Source]:
        return (_PreprocessedSource(batch, self.operation, self.n_features) for batch in self.source.batches())

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        return _PreprocessedSource(self.source.sample(rows, weight), self.operation, self.n_features)
