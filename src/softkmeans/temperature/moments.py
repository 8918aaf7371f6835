"""Second moments of the data."""

from __future__ import annotations

__all__ = ["check_squared", "covariance", "largest_variance", "principal_axis"]

import functools
import operator

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from .._utils.one_thread import in_one_thread, map_in_single_threads
from ..data.block import Block
from ..data.scaling import Scaling
from ..data.source import Source
from ..errors import InputError

MAX_EIGH_FEATURES = 1024  # with more features, a few products with a vector are faster than a decomposition
MAX_COVARIANCE_FEATURES = 8192  # the covariance then takes 512 MB


def check_squared(rule: str, scaling: Scaling) -> None:
    """Raise an InputError unless distances are squared Euclidean, as a rule that uses variances requires."""
    if not scaling.distance.is_squared:
        raise InputError(
            f"needs squared Euclidean distances, not {scaling.distance.name!r}",
            parameter="temperature",
            value=rule,
            hint="use another temperature or the distance 'sqeuclidean'",
        )


def covariance(view: Source) -> Tensor:
    """Compute the covariance (d, d) of rows whose mean is 0, in one pass."""
    if view.n_features > MAX_COVARIANCE_FEATURES:
        raise InputError(
            f"a temperature that needs the covariance of {view.n_features} features is not supported",
            expected=f"at most {MAX_COVARIANCE_FEATURES}",
            hint="reduce them first, for example by PCA",
        )
    scatter, weight = _products(view, None)
    return scatter / weight


def largest_variance(view: Source) -> float:
    """Return the variance of rows whose mean is 0 along their principal axis: the largest eigenvalue."""
    return float(principal_axis(view)[0])


def principal_axis(view: Source) -> tuple[Tensor, Tensor]:
    """Return the variance (1,) along the principal axis of rows whose mean is 0, and the axis (d,)."""
    if view.n_features <= MAX_EIGH_FEATURES:
        scatter = covariance(view)
        variances, axes = in_one_thread(lambda: torch.linalg.eigh(scatter))  # threads change the last bits
        return variances[-1:].clamp_min(0.0), axes[:, -1]

    def covariance_product(vector: np.ndarray) -> np.ndarray:
        product, weight = _products(view, torch.from_numpy(vector.reshape(-1, 1)).to(view.device))
        return (product / weight).cpu().numpy()

    shape = (view.n_features, view.n_features)
    operator = LinearOperator(shape, matvec=covariance_product, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=view.n_features)
    values, vectors = np.zeros(1), start[:, None] / np.linalg.norm(start)
    if covariance_product(start).any():  # otherwise all rows are the same, and the Lanczos iteration would fail
        values, vectors = eigsh(operator, k=1, v0=start, tol=1e-6)
    variance, axis = torch.from_numpy(values), torch.from_numpy(vectors[:, 0].copy())
    return variance.clamp_min(0.0).to(view.device), axis.to(view.device)


def _products(view: Source, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return Σ w x xᵀ (d, d), or its product with vectors (d, m), and Σ w."""
    width = view.n_features

    def products(piece: Block) -> Tensor:
        x = piece.x
        return x.mT @ (piece.w[:, None] * (x if vectors is None else x @ vectors))

    def of_block(block: Block) -> Tensor:
        if block.device.type != "cpu":
            return block.sum(products, width)
        return functools.reduce(operator.add, map_in_single_threads(products, block.pieces(width)))

    scatter = view.sum(of_block)
    return scatter, view.sum(lambda block: block.w.sum())
