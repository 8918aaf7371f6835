"""The kernels as PyTorch operators, for automatic differentiation, `torch.compile` and `torch.func`.

An operator takes rows x (n, d), embedded centers c (k, d), and the coefficients of the logits b_k - beta_k d_ik. If
there is a noise cluster, all rows have the distance ``noise`` from it, and its coefficients are the last ones. The
value v_i of a row is

- the log-partition function, log Σ_k exp(logit_ik), by default,
- the distortion, Σ_k r_ik d_ik with the memberships r, if ``of_distortion`` is True.

Distances are given by their registered names. Sums are float64, or float32 on Apple's GPUs. Large CPU tensors are
served by the compiled kernels, all others by the PyTorch code of `reference` and `gradients`, tile by tile: only the
operators for memberships need memory for n times k numbers.

`torch.library.custom_op` would define the same operators, but a call would take 20 µs longer.
"""

from __future__ import annotations

__all__ = ["hessian_product", "membership_gradient", "memberships", "row_gradient", "row_values", "sums"]

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..data.block import Block, join, working_dtype
from ..distances import DISTANCES
from ..errors import InputError
from ..model.assignment import Softmax
from ..model.stats import Stats
from . import dispatch, gradients
from .gradients import Logits
from .reference import SOFTMAX
from .second_order import Centering, Direction, Inputs
from .second_order import hessian_product as hessian_product_of
from .second_order import membership_gradient as membership_gradient_of

MAX_PIECE_ENTRIES = 2**22  # memberships computed at a time, 32 MB in float64

_LIBRARY: Any = torch.library.Library("softkmeans", "DEF")  # type: ignore[no-untyped-call]


def _prepare(inputs: Inputs) -> tuple[Block, Logits]:
    """Return the rows as a block, and the logits, as the kernels take them."""
    distance, weights, noise = inputs.distance, inputs.weights, inputs.noise
    c, beta, b = (part.detach().to(inputs.dtype) for part in (inputs.c, inputs.beta, inputs.b))
    rule = SOFTMAX
    if noise is not None:
        rule = Softmax(float(b[-1] - beta[-1] * noise))
        beta, b = beta[:-1], b[:-1]
    device, rows = inputs.x.device, inputs.x.detach()
    block = Block(rows, None if weights is None else weights.detach(), device, inputs.dtype)
    if dispatch.uses_compiled(block, c, distance, beta, rule):  # these kernels move the origin themselves
        centering = Centering(distance, c.new_zeros(c.shape[1]), inputs.embeds)
    else:
        centering = inputs.centering
    return block.scaled_by(centering), Logits(c - centering.shift, beta, b, distance, rule, noise or 0.0)


def _sums(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Implement `sums`."""
    block, logits = _prepare(inputs)
    noise, factor = inputs.noise, -2 * logits.beta[:, None]
    stats: Stats
    if inputs.of_distortion:
        stats = distortion_stats = dispatch.accumulate_distortion(block, logits)
        value, factor = stats.distortion.sum(), torch.full_like(factor, 2.0)
        grad_beta, grad_b = -distortion_stats.slope_distortion, distortion_stats.slope
        of_noise = -grad_b.sum(0, keepdim=True)  # the slopes of a row sum to 0
        if noise is not None:
            value = value + noise * (stats.n - stats.weight.sum())
    else:
        stats = dispatch.accumulate(block, *logits[:-1])
        value, grad_beta, grad_b = stats.objective, -stats.distortion, stats.weight
        of_noise = stats.n - stats.weight.sum(0, keepdim=True)
    grad_c = factor * (stats.irls_weight[:, None] * logits.c - stats.weighted_sum)
    if noise is not None:
        grad_beta, grad_b = torch.cat([grad_beta, -noise * of_noise]), torch.cat([grad_b, of_noise])
    return value, grad_c, grad_beta, grad_b


def _row_values(inputs: Inputs) -> Tensor:
    """Implement `row_values`."""
    block, logits = _prepare(inputs)
    if inputs.of_distortion:
        return gradients.row_distortions(block, logits)
    return dispatch.lognorm(block, *logits[:-1]).to(inputs.dtype)


def _row_gradient(inputs: Inputs) -> Tensor:
    """Implement `row_gradient`."""
    block, logits = _prepare(inputs)
    return dispatch.row_gradient(block, logits, of_distortion=inputs.of_distortion).to(inputs.x.dtype)


def _hessian_product(
    inputs: Inputs, needs_rows: bool, *direction: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Implement `hessian_product`."""
    along, products = Direction(*direction), None
    if not needs_rows and along.x is None and along.weights is None and not inputs.of_distortion:
        of_c, of_beta, of_b = (part.detach().to(inputs.dtype) for part in along[1:4])
        products = dispatch.hessian_product(*_prepare(inputs), (of_c, of_beta, of_b))
    if products is None:
        of_x, *others, of_w = hessian_product_of(inputs, along)
        if needs_rows:
            return of_x, others[0], others[1], others[2], of_w
        products = others[0], others[1], others[2]
    empty = inputs.x.new_empty(0, dtype=inputs.dtype)
    return empty, *products, empty.clone()


def _memberships(inputs: Inputs) -> Tensor:
    """Implement `memberships`."""
    block, logits = _prepare(inputs)
    dtype, k = inputs.x.dtype, len(logits.c)
    pieces = block.split(max(1, MAX_PIECE_ENTRIES // k))
    parts = (dispatch.assign(piece, *logits[:-1]).to(dtype) for piece in pieces)
    return join(parts, len(block)) if len(block) else inputs.x.new_empty(0, k)


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


def _empty_hessian_product(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, *more: Any) -> tuple[Tensor, ...]:
    dtype, needs_rows = _sum_dtype(x), more[N_INPUTS - 4]
    of_x, of_w = (x.shape, (x.shape[0],)) if needs_rows else ((0,), (0,))
    parts = (x.new_empty(part.shape, dtype=dtype) for part in (c, beta, b))
    return x.new_empty(of_x, dtype=dtype), *parts, x.new_empty(of_w, dtype=dtype)


def _empty_membership_gradient(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(part.shape, dtype=_sum_dtype(x)) for part in (x, c, beta, b))


def _empty_memberships(x: Tensor, c: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape[0], c.shape[0])


INPUTS = (
    "Tensor x, Tensor c, Tensor beta, Tensor b, Tensor? weights, float? noise, str distance, bool embeds, "
    "bool of_distortion"
)
N_INPUTS = 9


def _define(name: str, more: str, returns: str, implementation: Callable[..., Any], empty: Callable[..., Any]) -> Any:
    """Define an operator: its arguments besides `Inputs`, what it returns, and its implementation for all devices.

    ``empty`` returns tensors of the right shapes and types for inputs without data.
    """

    def implement(*arguments: Any) -> Any:
        x, c, beta, b, weights, noise, distance, embeds, of_distortion = arguments[:N_INPUTS]
        inputs = Inputs(x, c, beta, b, weights, noise, DISTANCES[distance], embeds, of_distortion)
        _check(inputs)
        return implementation(inputs, *arguments[N_INPUTS:])

    full_name = f"softkmeans::{name}"
    _LIBRARY.define(f"{name}({INPUTS}{more}) -> {returns}", tags=torch.Tag.pt2_compliant_tag)
    _LIBRARY.impl(name, implement, "CompositeExplicitAutograd")
    torch.library.register_fake(full_name, empty, lib=_LIBRARY)
    op = getattr(torch.ops.softkmeans, name).default
    torch.library.register_vmap(full_name, functools.partial(_one_by_one, op), lib=_LIBRARY)
    return op


def _check(inputs: Inputs) -> None:
    """Raise an InputError if centers are not finite, or inverse temperatures not finite and above 0."""
    if not inputs.c.isfinite().all():
        raise InputError("the centers contain NaN or infinity", expected="finite values")
    if not all(0 < beta < math.inf for beta in inputs.beta.tolist()):
        raise InputError("is too small, too large or not a number", parameter="temperature", expected="finite values")


def _one_by_one(op: Any, info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, Any]:
    """Apply an operator to the members of a batch of `torch.vmap`, one after the other."""
    results = [
        op(*(a if dim is None else a.select(dim, i) for a, dim in zip(arguments, in_dims, strict=True)))
        for i in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(torch.stack(parts) for parts in zip(*results, strict=True)), (0,) * len(results[0])


# Sum the values of the rows, times weights; return the sum, and its gradient with respect to c, beta and b.
sums = _define("sums", "", "(Tensor, Tensor, Tensor, Tensor)", _sums, _empty_sums)

# Return the value (n,) of each row; there are no weights.
row_values = _define("row_values", "", "Tensor", _row_values, _empty_row_values)

# Return the gradient (n, d) of the weighted sum of the values with respect to x, in the type of x.
row_gradient = _define("row_gradient", "", "Tensor", _row_gradient, _empty_row_gradient)

# Return the product of the Hessian of the weighted sum of the values, a function of x, c, beta, b and the weights, with
# a direction: one part for each argument; the last one is the derivative of each row's value in the direction. Without
# needs_rows, the parts for x and the weights are empty.
hessian_product = _define(
    "hessian_product",
    ", bool needs_rows, Tensor? along_x, Tensor along_c, Tensor along_beta, Tensor along_b, Tensor? along_weights",
    "(Tensor, Tensor, Tensor, Tensor, Tensor)",
    _hessian_product,
    _empty_hessian_product,
)

# Return the memberships (n, k) of the rows, in the type of x, without those of the noise.
memberships = _define("memberships", "", "Tensor", _memberships, _empty_memberships)

# Return the gradient of the sum of memberships times given numbers (n, k) with respect to x, c, beta and b.
membership_gradient = _define(
    "membership_gradient",
    ", Tensor resp, Tensor cotangent",
    "(Tensor, Tensor, Tensor, Tensor)",
    membership_gradient_of,
    _empty_membership_gradient,
)
