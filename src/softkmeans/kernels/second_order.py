"""Derivatives of the second order, and of memberships, by automatic differentiation tile by tile."""

from __future__ import annotations

__all__ = ["hessian_product", "membership_gradient"]

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data.block import working_dtype
from ..distances import Distance
from .reference import TILE_ENTRIES, precise_squared_distances


def hessian_product(
    x: Tensor,
    parameters: Sequence[Tensor],
    weights: Tensor | None,
    direction_x: Tensor | None,
    directions: Sequence[Tensor],
    direction_w: Tensor | None,
    distance: Distance,
    noise: float | None,
    *,
    of_distortion: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Multiply the Hessian of V = Σ w_i v_i, where v_i is the value of row i, with a direction.

    Parameters
    ----------
    x : Tensor (n, d)
        Rows.
    parameters : three Tensors
        The centers (k, d), and the coefficients beta and b of the logits.
    weights : Tensor (n,) or None
        Weights; None if all are 1.
    direction_x : Tensor (n, d) or None
        The part of the direction for x; None for zeros.
    directions : three Tensors
        The parts for the parameters.
    direction_w : Tensor (n,) or None
        The part for the weights; None for zeros.
    distance : Distance
        The distance.
    noise : float or None
        Distance of the noise cluster, if there is one.
    of_distortion : bool
        Whether the values are the distortions, or the log-partition functions.

    Returns
    -------
    products : five Tensors
        The parts for x, the parameters, and the weights: (n, d), (k, d), two of the shapes of beta and b, and (n,).
        The last one is the derivative of each v_i in the direction.
    """
    dtype = working_dtype(x.device)
    leaves = [part.detach().to(dtype).requires_grad_() for part in parameters]
    along = [part.detach().to(dtype) for part in directions]
    totals = [torch.zeros_like(part) for part in along]
    of_x, of_w = x.new_zeros(x.shape, dtype=dtype), x.new_zeros(len(x), dtype=dtype)
    for rows in _tiles(x, parameters[0]):
        with torch.enable_grad():
            z = x[rows].detach().to(dtype).requires_grad_()
            w = z.new_ones(len(z)) if weights is None else weights[rows].detach().to(dtype)
            w.requires_grad_()
            values = row_values(z, *leaves, distance, noise, of_distortion=of_distortion)
            gradient = torch.autograd.grad(w @ values, [z, *leaves], create_graph=True)
            derivative = sum((part * v).sum() for part, v in zip(gradient[1:], along, strict=True))
            if direction_x is not None:
                derivative = derivative + (gradient[0] * direction_x[rows].detach().to(dtype)).sum()
            if direction_w is not None:
                derivative = derivative + direction_w[rows].detach().to(dtype) @ values
            products = torch.autograd.grad(derivative, [z, *leaves, w], allow_unused=True, materialize_grads=True)
        of_x[rows], of_w[rows] = products[0], products[-1]
        for total, part in zip(totals, products[1:-1], strict=True):
            total += part
    return of_x, totals[0], totals[1], totals[2], of_w


def membership_gradient(
    x: Tensor, parameters: Sequence[Tensor], resp: Tensor, cotangent: Tensor, distance: Distance, noise: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradient of Σ_ik g_ik r_ik, where r are the memberships.

    Parameters
    ----------
    x, parameters, distance, noise
        As for `hessian_product`.
    resp, cotangent : Tensor (n, k)
        The memberships r, and their factors g.

    Returns
    -------
    gradient : four Tensors
        With respect to x (n, d) and the parameters.
    """
    dtype = working_dtype(x.device)
    leaves = [part.detach().to(dtype).requires_grad_() for part in parameters]
    totals = [torch.zeros_like(part) for part in leaves]
    of_x = x.new_zeros(x.shape, dtype=dtype)
    for rows in _tiles(x, parameters[0]):
        r, g = resp[rows].detach().to(dtype), cotangent[rows].detach().to(dtype)
        mean = (r * g).sum(1, keepdim=True)
        slope = r * (g - mean)
        if noise is not None:
            slope = torch.cat([slope, (r.sum(1, keepdim=True) - 1).clamp_max(0.0) * mean], 1)
        with torch.enable_grad():
            z = x[rows].detach().to(dtype).requires_grad_()
            logits = _logits(z, *leaves, distance, noise)[0]
        of_x[rows], *others = torch.autograd.grad(logits, [z, *leaves], slope)
        for total, part in zip(totals, others, strict=True):
            total += part
    return of_x, totals[0], totals[1], totals[2]


def _tiles(x: Tensor, c: Tensor) -> Iterator[slice]:
    """Split rows into tiles so small that an array (rows of a tile, clusters) stays in cache."""
    step = max(1, TILE_ENTRIES // max(c.shape))
    return (slice(start, start + step) for start in range(0, len(x), step))


def row_values(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, noise: float | None, *, of_distortion: bool
) -> Tensor:
    """Return the log-partition functions, or the distortions, (m,) of a tile's rows; twice differentiable."""
    logits, d = _logits(x, c, beta, b, distance, noise)
    return (logits.softmax(1) * d).sum(1) if of_distortion else logits.logsumexp(1)


def _logits(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, noise: float | None
) -> tuple[Tensor, Tensor]:
    """Return the logits and the distances (m, k) of rows, with those of the noise cluster last if there is one."""
    d = _distances(x, c, distance)
    if noise is not None:
        d = torch.cat([d, d.new_full((len(d), 1), noise)], 1)
    return b - beta * d, d


def _distances(x: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Return the distances (m, k) of raw rows to raw centers."""
    if distance.translates:
        origin = c.detach().median(0).values
        x, c = x - origin, c - origin
    z, c = distance.embed(x), distance.embed(c)
    if not distance.is_radial:
        return distance.between(z, c)
    with torch.no_grad():
        precise = precise_squared_distances(z, c)
    # Rounding may make it negative; but unlike `squared_distances`, it has the right second derivatives at 0.
    squared = z.square().sum(1, keepdim=True) - 2 * z @ c.mT + c.square().sum(1)
    return distance.of_squared(squared + (precise - squared).detach())

