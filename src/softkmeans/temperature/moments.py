"""Second moments of the data."""

from __future__ import annotations

__all__ = [
    "Covariance",
    "check_squared",
    "covariance",
    "feature_variances",
    "largest_variance",
    "principal_axis",
]

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from .._utils.one_thread import in_one_thread, map_in_single_threads
from ..data.block import Block
from ..data.scaling import Scaling, weighted_sums
from ..data.source import Source
from ..errors import InputError

MAX_EIGH_FEATURES = 1024  # with more features, a few products with a vector are faster than a decomposition
MAX_COVARIANCE_FEATURES = 8192  # the covariance then takes 512 MB
MAX_COPIED = 2**23  # numbers of few rows that are copied: 64 MB


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


def feature_variances(source: Source, scaling: Scaling) -> Tensor:
    """Return the variances (d,) of the centered and scaled features of rows: the diagonal of the covariance."""
    sums = weighted_sums(source, lambda x, j: ((x - scaling.shift[j]) / scaling.scale).square())
    return sums[1:] / sums[0]


def largest_variance(view: Source) -> float:
    """Return the variance of rows whose mean is 0 along their principal axis: the largest eigenvalue."""
    return float(principal_axis(view)[0])


def principal_axis(view: Source) -> tuple[Tensor, Tensor]:
    """Return the variance (1,) along the principal axis of rows whose mean is 0, and the axis (d,)."""
    has_few_rows = view.in_memory and view.n_rows < min(view.n_features, MAX_EIGH_FEATURES)
    if has_few_rows and view.n_rows * view.n_features <= MAX_COPIED:
        return _principal_axis_of_few_rows(view)
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


def _principal_axis_of_few_rows(view: Source) -> tuple[Tensor, Tensor]:
    """Return the result of `principal_axis` from the products (n, n) of rows, if there are fewer than features."""
    x, w = view.map(lambda block: block.x, width=view.n_features), view.map(lambda block: block.w)
    weighted = x * (w / w.sum()).sqrt()[:, None]
    variances, vectors = in_one_thread(lambda: torch.linalg.eigh(weighted @ weighted.mT))
    axis = in_one_thread(lambda: weighted.mT @ vectors[:, -1])
    length = torch.linalg.vector_norm(axis)
    unit = torch.zeros_like(axis)
    unit[0] = 1.0
    return variances[-1:].clamp_min(0.0), axis / length if length > 0 else unit


def _products(view: Source, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return Σ w x xᵀ (d, d), or its product with vectors (d, m), and Σ w."""

    def products(piece: Block) -> Tensor:
        if piece.is_sparse and vectors is not None:
            return piece.transposed_products(piece.w[:, None] * piece.products(vectors))
        x = piece.x
        return x.mT @ (piece.w[:, None] * (x if vectors is None else x @ vectors))

    return _sum_of_parts(view, products, of_stored=vectors is not None), view.sum(lambda block: block.w.sum())


def _sum_of_parts(view: Source, function: Callable[[Block], Tensor], *, of_stored: bool) -> Tensor:
    """Sum a function over parts of the rows, in threads; ``of_stored`` says that it reads stored values only."""
    width = view.n_features

    def of_block(block: Block) -> Tensor:
        parts = block.parts(width) if of_stored else block.pieces(width)
        mapped = map_in_single_threads if block.device.type == "cpu" else map
        return functools.reduce(operator.add, mapped(function, parts))

    return view.sum(of_block)


@dataclass(frozen=True)
class Covariance:
    """The covariance of rows whose mean is 0, which is not formed if it is larger than the data.

    Attributes
    ----------
    trace : float
        The sum of the variances of the features.
    matrix : Tensor (d, d) or None
        The covariance, if it is formed.
    view : Source or None
        The rows, if not.
    """

    trace: float
    matrix: Tensor | None
    view: Source | None = None

    @classmethod
    def of(cls, view: Source, scaling: Scaling) -> Covariance:
        """Return the covariance of rows, which the scaling has centered and scaled."""
        has_stored = any(block.is_sparse for block in view.blocks()) if view.in_memory else False
        if view.in_memory and (view.n_features > view.n_rows or (has_stored and view.n_features > MAX_EIGH_FEATURES)):
            return cls(scaling.variance * view.n_features, None, view)
        return cls.given(covariance(view))

    @classmethod
    def given(cls, matrix: Tensor) -> Covariance:
        """Return the covariance with a given matrix (d, d)."""
        return cls(float(matrix.trace()), matrix)

    def near(self, centers: Tensor) -> tuple[Tensor, Tensor]:
        """Return centers (k, m) and the covariance (m, m) in coordinates in which the centers (k, d) differ."""
        if self.matrix is not None:
            return centers, self.matrix
        basis, coordinates = in_one_thread(lambda: torch.linalg.qr(centers.mT))
        return coordinates.mT, self._along(basis)

    def _along(self, axes: Tensor) -> Tensor:
        """Return the covariance (m, m) of the rows' coordinates along axes (d, m), in one pass."""

        def scatter(piece: Block) -> Tensor:
            products = piece.products(axes)
            return products.mT @ (piece.w[:, None] * products)

        assert self.view is not None  # noqa: S101 -- for mypy: there is no matrix
        return _sum_of_parts(self.view, scatter, of_stored=True) / self.view.sum(lambda block: block.w.sum())
