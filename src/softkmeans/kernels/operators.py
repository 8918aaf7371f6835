"""The kernels as PyTorch operators, for automatic differentiation, `torch.compile` and `torch.func`.

An operator takes raw rows x (n, d), centers c (k, d), and the coefficients of the logits b_k - beta_k d_ik. If there is
a noise cluster, all rows have the distance ``noise`` from it, and its coefficients are the last ones. The value v_i of a
row is

- the log-partition function, log Σ_k exp(logit_ik), by default,
- the distortion, Σ_k r_ik d_ik with the memberships r, if ``of_distortion`` is True.

Distances are given by their registered names. Sums are float64, or float32 on Apple's GPUs. Large CPU tensors are
served by the compiled kernels, all others by the PyTorch code of `reference`, tile by tile: no operator needs memory for
n times k numbers, except for memberships.

`torch.library.custom_op` would define the same operators, but a call would take 20 µs longer.
"""

from __future__ import annotations

__all__ = ["hessian_product", "membership_gradient", "memberships", "row_gradient", "row_values", "sums"]

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.block import Block, join, working_dtype
from ..distances import DISTANCES, Distance
from ..model.assignment import Softmax
from . import dispatch, second_order
from .reference import SOFTMAX, row_distortions

_LIBRARY = torch.library.Library("softkmeans", "DEF")


@dataclass(frozen=True)
class Shift:
    """Centering of rows without scaling, as a `RowScaling`; directions are not centered.

    Attributes
    ----------
    distance : Distance
        Distance whose embedding is applied to the rows.
    shift : Tensor (d,)
        Subtracted from the rows.
    embeds : bool
        Whether rows are embedded.
    """

    distance: Distance
    shift: Tensor
    embeds: bool = True
    scale: float = 1.0

    def transform(self, x: Tensor) -> Tensor:
        """Center and embed rows (m, d)."""
        return self.distance.embed(x - self.shift) if self.embeds else x - self.shift


class _Problem(NamedTuple):
    """The inputs of an operator, as the kernels take them.

    Attributes
    ----------
    block : Block
        The rows.
    c : Tensor (k, d)
        The centers, centered and embedded.
    beta, b : Tensor (k,)
        Coefficients of the logits, without those of the noise cluster.
    distance : Distance
        The distance.
    rule : Softmax
        The assignment rule, with the logit of the noise cluster if there is one.
    noise_distance : float
        Distance of the noise cluster, 0 if there is none.
    scaling : Shift
        The centering of the rows.
    """

    block: Block
    c: Tensor
    beta: Tensor
    b: Tensor
    distance: Distance
    rule: Softmax
    noise_distance: float

    scaling: Shift

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments of a kernel that needs no distance of the noise cluster."""
        return self[:-2]


def _problem(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, weights: Tensor | None, noise: float | None, name: str
) -> _Problem:
    """Convert the inputs of an operator; noise_distance must be passed to kernels that need it."""
    distance, dtype = DISTANCES[name], working_dtype(x.device)
    c, beta, b = c.detach().to(dtype), beta.detach().to(dtype), b.detach().to(dtype)
    shift = c.median(0).values if distance.translates else c.new_zeros(c.shape[1])
    scaling = Shift(distance, shift)
    rule = SOFTMAX
    if noise is not None:
        rule = Softmax(float(b[-1] - beta[-1] * noise))
        beta, b = beta[:-1], b[:-1]
    weights = None if weights is None else weights.detach()
    block = Block(x.detach(), weights, x.device, dtype, scaling)
    return _Problem(block, scaling.transform(c), beta, b, distance, rule, noise or 0.0, scaling)


def _sums(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, weights: Tensor | None, noise: float | None, distance: str,
    of_distortion: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Implement `sums`."""
    p = _problem(x, c, beta, b, weights, noise, distance)
    if of_distortion:
        stats = dispatch.accumulate_distortion(*p.arguments, p.noise_distance)
        noise_slope = -stats.slope.sum(0, keepdim=True)  # the slopes of a row sum to 0
        noise_weight = stats.n - stats.weight.sum(0, keepdim=True)
        value = stats.distortion.sum() + (0.0 if noise is None else (noise_weight * noise)[0])
        factor: Tensor | float = 2.0
        grad_beta, grad_b = -stats.slope_distortion, stats.slope
    else:
        stats = dispatch.accumulate(*p.arguments)
        noise_slope = stats.n - stats.weight.sum(0, keepdim=True)
        value, factor = stats.objective, -2 * p.beta[:, None]
        grad_beta, grad_b = -stats.distortion, stats.weight
    grad_c = factor * (stats.irls_weight[:, None] * p.c - stats.weighted_sum)
    if noise is not None:
        grad_beta, grad_b = torch.cat([grad_beta, -noise * noise_slope]), torch.cat([grad_b, noise_slope])
    return value.clone(), _before_embedding(p.distance, c, grad_c), grad_beta, grad_b


def _before_embedding(distance: Distance, c: Tensor, gradient: Tensor) -> Tensor:
    """Convert a gradient (k, d) with respect to embedded centers to one with respect to the centers."""
    if type(distance).embed is Distance.embed:
        return gradient
    with torch.enable_grad():
        leaf = c.detach().to(gradient.dtype).requires_grad_()
        (before,) = torch.autograd.grad(distance.embed(leaf), leaf, gradient)
    return before


def _row_values(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, noise: float | None, distance: str, of_distortion: bool
) -> Tensor:
    """Implement `row_values`."""
    p = _problem(x, c, beta, b, None, noise, distance)
    values = row_distortions(*p.arguments, p.noise_distance) if of_distortion else dispatch.lognorm(*p.arguments)
    return values.to(p.c.dtype)


def _row_gradient(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, weights: Tensor | None, noise: float | None, distance: str,
    of_distortion: bool,
) -> Tensor:  # fmt: skip
    """Implement `row_gradient`."""
    p = _problem(x, c, beta, b, weights, noise, distance)
    p = p._replace(block=p.block.scaled_by(replace(p.scaling, embeds=False)))
    gradient = dispatch.row_gradient(*p.arguments, p.noise_distance, of_distortion=of_distortion)
    return gradient.to(x.dtype)


def _hessian_product(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, weights: Tensor | None, direction_x: Tensor | None,
    direction_c: Tensor, direction_beta: Tensor, direction_b: Tensor, direction_w: Tensor | None, noise: float | None,
    distance: str, of_distortion: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Implement `hessian_product`."""
    return second_order.hessian_product(
        x, (c, beta, b), weights, direction_x, (direction_c, direction_beta, direction_b), direction_w,
        DISTANCES[distance], noise, of_distortion=of_distortion,
    )  # fmt: skip


def _memberships(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, noise: float | None, distance: str) -> Tensor:
    """Implement `memberships`."""
    p = _problem(x, c, beta, b, None, noise, distance)
    parts = (dispatch.assign(piece, *p.arguments[1:]).to(x.dtype) for piece in p.block.pieces(len(c)))
    return join(parts, len(x)) if len(x) else x.new_empty(0, len(p.beta))


def _membership_gradient(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, resp: Tensor, cotangent: Tensor, noise: float | None, distance: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Implement `membership_gradient`."""
    return second_order.membership_gradient(x, (c, beta, b), resp, cotangent, DISTANCES[distance], noise)


# What the operators return for tensors without data: shapes and types.


def _sum_dtype(x: Tensor) -> torch.dtype:
    return working_dtype(x.device)


def _empty_sums(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, *_: Any) -> tuple[Tensor, ...]:
    dtype = _sum_dtype(x)
    return (x.new_empty((), dtype=dtype), *(x.new_empty(part.shape, dtype=dtype) for part in (c, beta, b)))


def _empty_row_values(x: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape[0], dtype=_sum_dtype(x))


def _empty_row_gradient(x: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape)


def _empty_hessian_product(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, weights: Tensor | None, direction_x: Tensor | None, *_: Any
) -> tuple[Tensor, ...]:
    dtype = _sum_dtype(x)
    rows = x.new_empty(x.shape, dtype=dtype)
    return (rows, *(x.new_empty(part.shape, dtype=dtype) for part in (c, beta, b)), rows.new_empty(x.shape[0]))


def _empty_membership_gradient(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(part.shape, dtype=_sum_dtype(x)) for part in (x, c, beta, b))


def _empty_memberships(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, noise: float | None, distance: str
) -> Tensor:
    return x.new_empty(x.shape[0], c.shape[0])


def _define(name: str, schema: str, implementation: Callable[..., Any], empty: Callable[..., Any]) -> Any:
    """Define an operator from its schema, its implementation for all devices, and that for tensors without data."""
    _LIBRARY.define(f"{name}{schema}", tags=torch.Tag.pt2_compliant_tag)
    _LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")
    full_name = f"softkmeans::{name}"
    torch.library.register_fake(full_name, empty, lib=_LIBRARY)
    op = getattr(torch.ops.softkmeans, name).default
    torch.library.register_vmap(full_name, functools.partial(_one_by_one, op), lib=_LIBRARY)
    return op


def _one_by_one(op: Any, info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, Any]:
    """Apply an operator to the members of a batch of `torch.vmap`, one after the other."""
    results = [
        op(*(a if dim is None else a.select(dim, i) for a, dim in zip(arguments, in_dims, strict=True)))
        for i in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(torch.stack(parts) for parts in zip(*results, strict=True)), (0,) * len(results[0])


COEFFICIENTS = "Tensor x, Tensor c, Tensor beta, Tensor b"
KIND = "float? noise, str distance, bool of_distortion"

# Sum the values of the rows, times weights; return the sum, and its gradient with respect to c, beta and b.
sums = _define(
    "sums", f"({COEFFICIENTS}, Tensor? weights, {KIND}) -> (Tensor, Tensor, Tensor, Tensor)", _sums, _empty_sums
)

# Return the value (n,) of each row.
row_values = _define("row_values", f"({COEFFICIENTS}, {KIND}) -> Tensor", _row_values, _empty_row_values)

# Return the gradient (n, d) of the weighted sum of the values with respect to x, in the type of x.
row_gradient = _define(
    "row_gradient", f"({COEFFICIENTS}, Tensor? weights, {KIND}) -> Tensor", _row_gradient, _empty_row_gradient
)

# Return the product of the Hessian of the weighted sum of the values, a function of x, c, beta, b and the weights, with
# a direction: one part for each argument; the last one is the derivative of each row's value in the direction.
hessian_product = _define(
    "hessian_product",
    f"({COEFFICIENTS}, Tensor? weights, Tensor? direction_x, Tensor direction_c, Tensor direction_beta, "
    f"Tensor direction_b, Tensor? direction_w, {KIND}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _hessian_product,
    _empty_hessian_product,
)

# Return the memberships (n, k) of the rows, in the type of x; the last cluster is not that of the noise.
memberships = _define(
    "memberships", f"({COEFFICIENTS}, float? noise, str distance) -> Tensor", _memberships, _empty_memberships
)

# Return the gradient of the sum of memberships times given numbers (n, k) with respect to x, c, beta and b.
membership_gradient = _define(
    "membership_gradient",
    f"({COEFFICIENTS}, Tensor resp, Tensor cotangent, float? noise, str distance) -> (Tensor, Tensor, Tensor, Tensor)",
    _membership_gradient,
    _empty_membership_gradient,
)
