"""Records of transformers of numbers: scalers, power transformations and PCA."""

from __future__ import annotations

__all__ = ["NUMERIC"]

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from torch import Tensor

from ...data.block import as_tensor
from .record import BOOL, NAME, NUMBER, Fitted, Leaf, Node, Operation, Option, Words, one_of_options, require, undo_by

Array = NDArray[Any]

PAIR = Option(lambda value: isinstance(value, tuple) and len(value) == 2 and all(map(NUMBER.is_valid, value)))


def _invert(transformer: Any, centers: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of values that a power transformation can't give: they are NaN
        return np.asarray(transformer.inverse_transform(centers))


UNDO = undo_by(_invert)


def _write_count(scaler: Any, node: Node, at: str, tensors: dict[str, Tensor]) -> None:
    count = np.asarray(getattr(scaler, "n_samples_seen_", 0))  # versions before 3 did not save it
    node["n_samples_seen"] = count.tolist()


def _read_count(scaler: Any, node: Node, at: str, tensors: Any) -> None:
    count = np.asarray(node.get("n_samples_seen", 0))
    require(
        count.dtype.kind in "fi" and bool(np.isfinite(count).all() and (count >= 0).all()), "the counts are invalid"
    )
    require(count.shape in ((), (scaler.n_features_in_,)), "the counts have a wrong shape")
    scaler.n_samples_seen_ = count if count.ndim else count[()]


def _shift_and_divide(shift: Any, scale: Any) -> Operation:
    shift, scale = (0.0 if shift is None else shift), (1.0 if scale is None else scale)
    return Operation(lambda x, shift, scale: (x - shift) / scale, shift, scale)


def _min_max(transformer: Any, words: Words) -> Operation:
    low, high = transformer.feature_range if transformer.clip else (-np.inf, np.inf)
    return Operation(
        lambda x, scale, shift, low, high: torch.minimum(torch.maximum(x * scale + shift, low), high),
        transformer.scale_,
        transformer.min_,
        float(low),
        float(high),
    )


def _max_abs(transformer: Any, words: Words) -> Operation:
    if transformer.clip:
        return Operation(lambda x, scale: (x / scale).clamp(-1, 1), transformer.scale_)
    return Operation(lambda x, scale: x / scale, transformer.scale_)


NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda x: x.abs().sum(1, keepdim=True),
    "l2": lambda x: x.square().sum(1, keepdim=True).sqrt(),
    "max": lambda x: x.abs().amax(1, keepdim=True),
}


def _normalize(transformer: Any, words: Words) -> Operation:
    norm = NORMS[transformer.norm]

    def divide(x: Tensor) -> Tensor:
        norms = norm(x)
        return x / torch.where(norms == 0, torch.ones_like(norms), norms)  # rows of zeros stay

    return Operation(divide, wide=True)


def _power(logarithm: Tensor, exponent: Tensor) -> Tensor:
    """Return (x^e - 1) / e for the logarithm of x, and the logarithm itself where e is 0."""
    is_zero = exponent.abs() < torch.finfo(torch.float64).eps
    divisor = torch.where(is_zero, torch.ones_like(exponent), exponent)
    return torch.where(is_zero, logarithm, torch.expm1(divisor * logarithm) / divisor)


def _yeo_johnson(x: Tensor, lambdas: Tensor) -> Tensor:
    positive = _power(x.clamp_min(0).log1p(), lambdas)
    return torch.where(x >= 0, positive, -_power((-x).clamp_min(0).log1p(), 2 - lambdas))


def _box_cox(x: Tensor, lambdas: Tensor) -> Tensor:
    return _power(x.log(), lambdas)


def _power_operation(transformer: Any, words: Words) -> Operation:
    raised = _box_cox if transformer.method == "box-cox" else _yeo_johnson
    scaler = _scaler_of(transformer) if transformer.standardize else None
    shift, scale = (0.0, 1.0) if scaler is None else (scaler.mean_, scaler.scale_)
    return Operation(
        lambda x, lambdas, shift, scale: (raised(x, lambdas) - shift) / scale,
        transformer.lambdas_,
        shift,
        scale,
        wide=True,
    )


def _scaler_of(transformer: Any) -> StandardScaler:
    """Return the scaler that a power transformation ends with; scikit-learn has no public attribute for it."""
    scaler: StandardScaler = transformer._scaler
    return scaler


def _write_power(transformer: Any, node: Node, at: str, tensors: dict[str, Tensor]) -> None:
    if transformer.standardize:
        scaler = _scaler_of(transformer)
        tensors |= {f"{at}scaler.{a.name}": as_tensor(getattr(scaler, a.name)) for a in SCALER_ATTRIBUTES}


def _read_power(transformer: Any, node: Node, at: str, tensors: Any) -> None:
    if transformer.standardize:
        transformer._scaler = StandardScaler(copy=False)
        for attribute in SCALER_ATTRIBUTES:
            tensor, sizes = tensors[f"{at}scaler.{attribute.name}"], {"d": transformer.n_features_in_}
            setattr(transformer._scaler, attribute.name, attribute.read(tensor, "PowerTransformer", sizes))
        transformer._scaler.n_features_in_ = transformer.n_features_in_


def _project(transformer: Any, words: Words) -> Operation:
    scale = np.ones(len(transformer.components_))
    if transformer.whiten:
        scale = np.sqrt(transformer.explained_variance_)
        scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps  # as in scikit-learn
    return Operation(
        lambda x, mean, components, scale: (x - mean) @ components.mT / scale,
        transformer.mean_,
        transformer.components_,
        scale,
        wide=True,
    )


def _read_pca(transformer: Any, node: Node, at: str, tensors: Any) -> None:
    n_components = len(transformer.components_)
    require(1 <= n_components <= transformer.n_features_in_, "PCA's components_ has a wrong shape")
    transformer.n_components_ = n_components


SCALER_ATTRIBUTES = (Fitted("mean_"), Fitted("scale_", above=0), Fitted("var_", at_least=0))


NUMERIC = (
    Leaf(
        StandardScaler,
        lambda scaler, words: _shift_and_divide(scaler.mean_ if scaler.with_mean else None, scaler.scale_),
        {"copy": BOOL, "with_mean": BOOL, "with_std": BOOL},
        (
            Fitted("mean_", exists=lambda scaler: scaler.with_mean or scaler.with_std),
            Fitted("scale_", above=0, exists=lambda scaler: scaler.with_std),
            Fitted("var_", at_least=0, exists=lambda scaler: scaler.with_std),
        ),
        undo_with=UNDO,
        write=_write_count,
        read=_read_count,
    ),
    Leaf(
        MinMaxScaler,
        _min_max,
        {"feature_range": PAIR, "copy": BOOL, "clip": BOOL},
        (
            Fitted("min_"),
            Fitted("scale_", above=0),
            Fitted("data_min_"),
            Fitted("data_max_"),
            Fitted("data_range_", at_least=0),
        ),
        undo_with=UNDO,
        write=_write_count,
        read=_read_count,
    ),
    Leaf(
        MaxAbsScaler,
        _max_abs,
        {"copy": BOOL, "clip": BOOL},
        (Fitted("scale_", above=0), Fitted("max_abs_", at_least=0)),
        undo_with=UNDO,
        write=_write_count,
        read=_read_count,
    ),
    Leaf(
        RobustScaler,
        lambda scaler, words: _shift_and_divide(scaler.center_, scaler.scale_),
        {
            "with_centering": BOOL,
            "with_scaling": BOOL,
            "quantile_range": PAIR,
            "copy": BOOL,
            "unit_variance": BOOL,
        },
        (
            Fitted("center_", exists=lambda scaler: scaler.with_centering),
            Fitted("scale_", above=0, exists=lambda scaler: scaler.with_scaling),
        ),
        undo_with=UNDO,
    ),
    Leaf(
        Normalizer,
        _normalize,
        {"norm": one_of_options(*NORMS), "copy": BOOL},
        rename=lambda normalizer, names: [f"{name} (normalized)" for name in names],
    ),
    Leaf(
        PowerTransformer,
        _power_operation,
        {"method": one_of_options("yeo-johnson", "box-cox"), "standardize": BOOL, "copy": BOOL},
        (Fitted("lambdas_"),),
        undo_with=UNDO,
        write=_write_power,
        read=_read_power,
    ),
    Leaf(
        PCA,
        _project,
        {
            "n_components": NAME,
            "copy": BOOL,
            "whiten": BOOL,
            "svd_solver": NAME,
            "tol": NUMBER,
            "iterated_power": NAME,
            "n_oversamples": NUMBER,
            "power_iteration_normalizer": NAME,
            "random_state": NAME,
        },
        (
            Fitted("components_", ("m", "d")),
            Fitted("mean_"),
            Fitted("explained_variance_", ("m",), at_least=0),
            Fitted("explained_variance_ratio_", ("m",), at_least=0),
            Fitted("singular_values_", ("m",), at_least=0),
            Fitted("noise_variance_", (), at_least=0),
        ),
        undo_with=UNDO,
        rename=lambda pca, names: [f"pca{i}" for i in range(len(pca.components_))],
        read=_read_pca,
    ),
)
