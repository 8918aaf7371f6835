"""Derivatives of the second order, and of memberships, tile by tile.

With s_ik the squared Euclidean distances and d = φ(s), all are sums over rows of coefficients of ∂s_ik. They are
computed from φ', φ'' and the memberships. A distance that is no function of s is differentiated automatically.
"""

from __future__ import annotations

__all__ = ["Centering", "Direction", "Inputs", "hessian_product", "membership_gradient"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.block import working_dtype
from ..distances import Distance
from .reference import TILE_ENTRIES, precise_squared_distances


@dataclass(frozen=True)
class Centering:
    """Centering of embedded rows without scaling, as a `RowScaling`.

    Attributes
    ----------
    distance : Distance
        Distance whose embedding is applied to the rows.
    shift : Tensor (d,)
        Subtracted from the embedded rows.
    embeds : bool
        Whether rows are embedded here; otherwise they already are.
    """

    distance: Distance
    shift: Tensor
    embeds: bool
    scale: float = 1.0

    def transform(self, x: Tensor, start: int = 0) -> Tensor:
        """Embed and center rows (m, d)."""
        return (self.distance.embed(x) if self.embeds else x) - self.shift


class Inputs(NamedTuple):
    """The inputs of a differentiable function of rows.

    Attributes
    ----------
    x : Tensor (n, d)
        Rows.
    c : Tensor (k, d)
        Embedded centers.
    beta, b : Tensor (k,) or (k + 1,)
        Coefficients of the logits b - beta d; those of the noise cluster, if there is one, are the last.
    weights : Tensor (n,) or None
        Weights of the rows; None if all are 1.
    noise : float or None
        Distance of the noise cluster from every row; None if there is none.
    distance : Distance
        The distance.
    embeds : bool
        Whether the rows still have to be embedded; there are no derivatives with respect to x then.
    of_distortion : bool
        Whether the value of a row is its distortion, or its log-partition function.
    """

    x: Tensor
    c: Tensor
    beta: Tensor
    b: Tensor
    weights: Tensor | None
    noise: float | None
    distance: Distance
    embeds: bool
    of_distortion: bool

    @property
    def dtype(self) -> torch.dtype:
        """The type in which functions compute."""
        return working_dtype(self.x.device)

    @property
    def centering(self) -> Centering:
        """The centering of rows and centers, which keeps squares small."""
        c = self.c.detach().to(self.dtype)
        shift = c.median(0).values if self.distance.translates else c.new_zeros(c.shape[1])
        return Centering(self.distance, shift, self.embeds)

    def tiles(self) -> Iterator[Tile]:
        """Split the rows into tiles so small that an array (rows of a tile, clusters) stays in cache."""
        centering = self.centering
        c = self.c.detach().to(self.dtype) - centering.shift
        beta, b = self.beta.detach().to(self.dtype), self.b.detach().to(self.dtype)
        step = max(1, TILE_ENTRIES // max(c.shape))
        for start in range(0, len(self.x), step):
            rows = slice(start, start + step)
            z = centering.transform(self.x[rows].detach().to(self.dtype))
            yield Tile(rows, z, c, beta, b, self)


class Direction(NamedTuple):
    """A direction in the space of x, c, beta, b and the weights; None stands for zeros.

    Attributes
    ----------
    x : Tensor (n, d) or None
        The part for the rows.
    c : Tensor (k, d)
        The part for the centers.
    beta, b : Tensor (k,) or (k + 1,)
        The parts for the coefficients of the logits.
    weights : Tensor (n,) or None
        The part for the weights.
    """

    x: Tensor | None
    c: Tensor
    beta: Tensor
    b: Tensor
    weights: Tensor | None


class Tile(NamedTuple):
    """Some rows, with what all tiles share.

    Attributes
    ----------
    rows : slice
        Which rows.
    z : Tensor (m, d)
        The rows, embedded and centered.
    c : Tensor (k, d)
        The centers, embedded and centered.
    beta, b : Tensor (k,) or (k + 1,)
        Coefficients of the logits.
    inputs : Inputs
        The inputs of the function.
    """

    rows: slice
    z: Tensor
    c: Tensor
    beta: Tensor
    b: Tensor
    inputs: Inputs

    def part(self, whole: Tensor | None) -> Tensor | None:
        """Return the tile's part of an array with one entry for each row."""
        return None if whole is None else whole[self.rows].detach().to(self.z)

    def derivatives(self) -> tuple[Tensor, Tensor | float, Tensor | float]:
        """Return d (m, k), φ'(s) and φ''(s)."""
        distance, squared = self.inputs.distance, precise_squared_distances(self.z, self.c)
        if distance.constant_slope is not None:
            return distance.of_squared(squared), distance.constant_slope, 0.0
        return distance.of_squared(squared), *distance.slope_and_curvature(squared)

    def with_noise(self, of_clusters: Tensor, value: float) -> Tensor:
        """Append a column for the noise cluster, if there is one, to an array (m, k)."""
        if self.inputs.noise is None:
            return of_clusters
        return torch.cat([of_clusters, of_clusters.new_full((len(of_clusters), 1), value)], 1)

    def logits(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the distances, both with the column of the noise cluster."""
        d = self.with_noise(d, self.inputs.noise or 0.0)
        return self.b - self.beta * d, d


class _Products(NamedTuple):
    """Derivatives with respect to rows, centers, beta, b and weights; those of the rows of a tile.

    Attributes
    ----------
    x : Tensor (m, d)
        By the rows.
    c : Tensor (k, d)
        By the centers.
    beta, b : Tensor (k,) or (k + 1,)
        By the coefficients of the logits.
    weights : Tensor (m,)
        By the weights.
    """

    x: Tensor
    c: Tensor
    beta: Tensor
    b: Tensor
    weights: Tensor


def hessian_product(inputs: Inputs, direction: Direction) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Multiply the Hessian of V = Σ w_i v_i, where v_i is the value of row i, with a direction.

    Returns
    -------
    products : five Tensors
        The parts for x (n, d), c (k, d), beta, b, and the weights (n,). The last one is the derivative of each v_i in
        the direction.
    """
    of_tile = _tile_product if inputs.distance.is_radial else _automatic_tile_product
    x, c, beta, b, weights = _collect(inputs, lambda tile: of_tile(tile, direction))
    return x, c, beta, b, weights


def membership_gradient(inputs: Inputs, resp: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradient of Σ_ik g_ik r_ik with respect to x, c, beta and b.

    Parameters
    ----------
    inputs : Inputs
        Rows and parameters.
    resp, cotangent : Tensor (n, k)
        The memberships r, and their factors g.
    """

    def of_tile(tile: Tile) -> _Products:
        r, g = tile.part(resp), tile.part(cotangent)
        assert r is not None and g is not None  # noqa: S101, PT018 -- for mypy
        mean = (r * g).sum(1, keepdim=True)
        slope = r * (g - mean)  # the derivative by logits
        if inputs.noise is not None:
            slope = torch.cat([slope, (r.sum(1, keepdim=True) - 1).clamp_max(0.0) * mean], 1)
        return _of_logits(tile, slope)

    x, c, beta, b, _ = _collect(inputs, of_tile)
    return x, c, beta, b


def _collect(inputs: Inputs, of_tile: Callable[[Tile], _Products]) -> _Products:
    """Return the derivatives of all rows from those of the tiles."""
    dtype = inputs.dtype
    x, c, beta, b = (torch.zeros_like(part, dtype=dtype) for part in inputs[:4])
    result = _Products(x, c, beta, b, x.new_zeros(len(x)))
    for tile in inputs.tiles():
        products = of_tile(tile)
        result.x[tile.rows], result.weights[tile.rows] = products.x, products.weights
        for total, part in zip(result[1:4], products[1:4], strict=True):
            total += part
    return result


def _of_logits(tile: Tile, slope: Tensor) -> _Products:
    """Return derivatives from those by the logits (m, k) or (m, k + 1)."""
    inputs, k = tile.inputs, len(tile.c)
    if inputs.distance.is_radial:
        d, derivative, _ = tile.derivatives()
        a = -tile.beta[:k] * slope[:, :k] * derivative
        of_x = 2 * (a.sum(1, keepdim=True) * tile.z - a @ tile.c)
        of_c = -2 * (a.mT @ tile.z - a.sum(0)[:, None] * tile.c)
    else:
        with torch.enable_grad():
            z, c = tile.z.clone().requires_grad_(), tile.c.clone().requires_grad_()
            d = inputs.distance.between(z, c)
        of_x, of_c = torch.autograd.grad(d, [z, c], -tile.beta[:k] * slope[:, :k])
        d = d.detach()
    all_d = tile.with_noise(d, inputs.noise or 0.0)
    return _Products(of_x, of_c, -(slope * all_d).sum(0), slope.sum(0), slope.new_zeros(len(slope)))


def _tile_product(tile: Tile, direction: Direction) -> _Products:
    """Return a tile's part of the Hessian product; a dot over a name stands for the derivative in the direction."""
    z, c, k = tile.z, tile.c, len(tile.c)
    vx, w, vw = tile.part(direction.x), tile.part(tile.inputs.weights), tile.part(direction.weights)
    vc, vbeta, vb = (part.detach().to(z) for part in direction[1:4])
    d, slope, curvature = tile.derivatives()
    s_dot = -2 * (z @ vc.mT - (c * vc).sum(1))
    if vx is not None:
        s_dot = s_dot + 2 * ((z * vx).sum(1, keepdim=True) - vx @ c.mT)
    d_dot, slope_dot = tile.with_noise(slope * s_dot, 0.0), curvature * s_dot
    logits, d = tile.logits(d)
    r = logits.softmax(1)
    logits_dot = vb - vbeta * d - tile.beta * d_dot
    r_dot = r * (logits_dot - (r * logits_dot).sum(1, keepdim=True))
    if tile.inputs.of_distortion:  # by b, t; by s, q φ'
        mean = (r * d).sum(1, keepdim=True)
        value_dot = (r_dot * d + r * d_dot).sum(1)
        t = r * (d - mean)
        t_dot = r_dot * (d - mean) + r * (d_dot - value_dot[:, None])
        q, q_dot = r - tile.beta * t, r_dot - vbeta * t - tile.beta * t_dot
    else:  # by b, r; by s, -β r φ'
        value_dot = (r * logits_dot).sum(1)
        t, t_dot = r, r_dot
        q, q_dot = -tile.beta * r, -vbeta * r - tile.beta * r_dot
    by_s = q[:, :k] * slope
    by_s_dot = q_dot[:, :k] * slope + q[:, :k] * slope_dot
    if w is not None:
        t_dot, by_s_dot, by_s_of_w = w[:, None] * t_dot, w[:, None] * by_s_dot, w[:, None] * by_s
        weighted_t = w[:, None] * t
    else:
        by_s_of_w, weighted_t = by_s, t
    if vw is not None:
        t_dot, by_s_dot = t_dot + vw[:, None] * t, by_s_dot + vw[:, None] * by_s
    of_x = by_s_dot.sum(1, keepdim=True) * z - by_s_dot @ c - by_s_of_w @ vc
    of_c = by_s_dot.sum(0)[:, None] * c - by_s_dot.mT @ z + by_s_of_w.sum(0)[:, None] * vc
    of_x = of_x if vx is None else of_x + by_s_of_w.sum(1, keepdim=True) * vx
    of_c = of_c if vx is None else of_c - by_s_of_w.mT @ vx
    of_beta = -(t_dot * d + weighted_t * d_dot).sum(0)
    return _Products(2 * of_x, 2 * of_c, of_beta, t_dot.sum(0), value_dot)


def _automatic_tile_product(tile: Tile, direction: Direction) -> _Products:
    """Return the same by automatic differentiation, for a distance that is no function of the Euclidean distance."""
    with torch.enable_grad():
        leaves = [part.clone().requires_grad_() for part in (tile.z, tile.c, tile.beta, tile.b)]
        z, c, beta, b = leaves
        given, vw = tile.part(tile.inputs.weights), tile.part(direction.weights)
        w = (z.new_ones(len(z)) if given is None else given.clone()).requires_grad_()
        d = tile.with_noise(tile.inputs.distance.between(z, c), tile.inputs.noise or 0.0)
        logits = b - beta * d
        values = (logits.softmax(1) * d).sum(1) if tile.inputs.of_distortion else logits.logsumexp(1)
        gradient = torch.autograd.grad(w @ values, leaves, create_graph=True)
        along = [tile.part(direction.x), *(part.detach().to(z) for part in direction[1:4])]
        parts = [(part * v).sum() for part, v in zip(gradient, along, strict=True) if v is not None]
        derivative = torch.stack(parts if vw is None else [*parts, vw @ values]).sum()
        products = torch.autograd.grad(derivative, [*leaves, w], allow_unused=True, materialize_grads=True)
    return _Products(*products)
