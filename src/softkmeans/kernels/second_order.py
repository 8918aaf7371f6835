"""Derivatives of the second order, and of memberships, by automatic differentiation tile by tile."""

from __future__ import annotations

__all__ = ["Direction", "Inputs", "hessian_product", "membership_gradient"]

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.block import working_dtype
from ..distances import Distance
from .reference import TILE_ENTRIES, precise_squared_distances


class Inputs(NamedTuple):
    """The inputs of a differentiable function of rows.

    Attributes
    ----------
    x : Tensor (n, d)
        Rows.
    c : Tensor (k, d)
        Centers.
    beta, b : Tensor (k,) or (k + 1,)
        Coefficients of the logits b - beta d; those of the noise cluster, if there is one, are the last.
    weights : Tensor (n,) or None
        Weights of the rows; None if all are 1.
    noise : float or None
        Distance of the noise cluster from every row; None if there is none.
    distance : Distance
        The distance.
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
    of_distortion: bool

    @property
    def dtype(self) -> torch.dtype:
        """The type in which functions compute."""
        return working_dtype(self.x.device)

    def tiles(self) -> Iterator[slice]:
        """Split the rows into tiles so small that an array (rows of a tile, clusters) stays in cache."""
        step = max(1, TILE_ENTRIES // max(self.c.shape))
        return (slice(start, start + step) for start in range(0, len(self.x), step))

    def leaves(self) -> list[Tensor]:
        """Return copies of c, beta and b that record gradients."""
        return [part.detach().to(self.dtype).clone().requires_grad_() for part in (self.c, self.beta, self.b)]

    def rows(self, tile: slice) -> Tensor:
        """Return a copy of a tile's rows that records gradients."""
        return self.x[tile].detach().to(self.dtype).clone().requires_grad_()


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


def hessian_product(inputs: Inputs, direction: Direction) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Multiply the Hessian of V = Σ w_i v_i, where v_i is the value of row i, with a direction.

    Returns
    -------
    products : five Tensors
        The parts for x (n, d), c (k, d), beta, b, and the weights (n,). The last one is the derivative of each v_i in
        the direction.
    """
    leaves = inputs.leaves()
    totals = [torch.zeros_like(part) for part in leaves]
    of_x = torch.zeros_like(inputs.x, dtype=inputs.dtype)
    of_w = of_x.new_zeros(len(of_x))
    for tile in inputs.tiles():
        with torch.enable_grad():
            x = inputs.rows(tile)
            w = x.new_ones(len(x)) if inputs.weights is None else inputs.weights[tile].detach().to(x.dtype).clone()
            w.requires_grad_()
            logits, d = _logits(x, leaves, inputs)
            values = (logits.softmax(1) * d).sum(1) if inputs.of_distortion else logits.logsumexp(1)
            gradient = torch.autograd.grad(w @ values, [x, *leaves], create_graph=True)
            along = [direction.x if direction.x is None else direction.x[tile], *direction[1:4]]
            pairs = [(part, v) for part, v in zip(gradient, along, strict=True) if v is not None]
            derivative = torch.stack([(part * v.detach()).sum() for part, v in pairs]).sum()
            if direction.weights is not None:
                derivative = derivative + direction.weights[tile].detach().to(x.dtype) @ values
            products = torch.autograd.grad(derivative, [x, *leaves, w], allow_unused=True, materialize_grads=True)
        of_x[tile], of_w[tile] = products[0], products[-1]
        for total, part in zip(totals, products[1:-1], strict=True):
            total += part
    return of_x, totals[0], totals[1], totals[2], of_w


def membership_gradient(inputs: Inputs, resp: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradient of Σ_ik g_ik r_ik with respect to x, c, beta and b.

    Parameters
    ----------
    inputs : Inputs
        Rows and parameters.
    resp, cotangent : Tensor (n, k)
        The memberships r, and their factors g.
    """
    leaves = inputs.leaves()
    totals = [torch.zeros_like(part) for part in leaves]
    of_x = torch.zeros_like(inputs.x, dtype=inputs.dtype)
    for tile in inputs.tiles():
        r, g = resp[tile].detach().to(inputs.dtype), cotangent[tile].detach().to(inputs.dtype)
        mean = (r * g).sum(1, keepdim=True)
        slope = r * (g - mean)
        if inputs.noise is not None:
            slope = torch.cat([slope, (r.sum(1, keepdim=True) - 1).clamp_max(0.0) * mean], 1)
        with torch.enable_grad():
            x = inputs.rows(tile)
            logits = _logits(x, leaves, inputs)[0]
        of_x[tile], *others = torch.autograd.grad(logits, [x, *leaves], slope)
        for total, part in zip(totals, others, strict=True):
            total += part
    return of_x, totals[0], totals[1], totals[2]


def _logits(x: Tensor, parameters: Sequence[Tensor], inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return the logits and the distances (m, k) of rows, with those of the noise cluster last if there is one."""
    c, beta, b = parameters
    d = _distances(x, c, inputs.distance)
    if inputs.noise is not None:
        d = torch.cat([d, d.new_full((len(d), 1), inputs.noise)], 1)
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
