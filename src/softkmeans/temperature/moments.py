"""Second moments of the data."""

from __future__ import annotations

__all__ = ["WIDE", "check_squared", "covariance", "largest_variance"]

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from ..data.source import Source
from ..errors import InputError
from ..space import Space

WIDE = 1024  # features from which on d² numbers are more work than a few products with a vector
MOST = 8192  # features whose covariance, 512 MB, is held at most


def check_squared(rule: str, space: Space) -> None:
    """Raise an InputError unless distances are squared Euclidean ones, for which variances say what a rule needs."""
    if space.distance.name != "sqeuclidean":
        raise InputError(
            f"temperature={rule!r} is for squared Euclidean distances, not for {space.distance.name!r}: choose another"
        )


def covariance(view: Source) -> Tensor:
    """Covariance (d, d) of rows whose mean is 0, in one pass."""
    if view.n_features > MOST:
        raise InputError(
            f"a temperature by the features' covariance came with {view.n_features} features, expected up to {MOST}: "
            "reduce them first, by PCA"
        )
    scatter, weight = _products(view, None)
    return scatter / weight


def largest_variance(view: Source) -> float:
    """Largest eigenvalue of the covariance of rows whose mean is 0: the variance along their principal axis."""
    if view.n_features <= WIDE:
        return max(0.0, float(torch.linalg.eigvalsh(covariance(view))[-1]))

    def times(vector: np.ndarray) -> np.ndarray:
        product, weight = _products(view, torch.from_numpy(vector.reshape(-1, 1)).to(view.device))
        return (product / weight).cpu().numpy()

    shape = (view.n_features, view.n_features)
    operator = LinearOperator(shape, matvec=times, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=view.n_features)
    if not times(start).any():  # all rows are the same, of which Lanczos can make nothing
        return 0.0
    return max(0.0, float(eigsh(operator, k=1, v0=start, tol=1e-6, return_eigenvectors=False)[0]))


def _products(view: Source, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ w x xᵀ (d, d), or its product with vectors (d, m), and Σ w."""
    width = view.n_features
    scatter = view.sum(
        lambda block: block.sum(
            lambda piece: (x := piece.x).mT @ (piece.w[:, None] * (x if vectors is None else x @ vectors)), width
        )
    )
    return scatter, view.sum(lambda block: block.w.sum())
