"""Differentiable functions around the operators of `kernels.operators`, for first and second derivatives.

For rows x, centers c, the coefficients beta and b of the logits, and weights w, let V = Σ_i w_i v_i be the weighted sum
of the rows' values. `Total` computes V, `RowValues` the v_i, and `Gradient` the gradient of V, whose derivatives are
products with the Hessian of V. As the Hessian is symmetric, one operator serves derivatives in both directions.
"""

from __future__ import annotations

__all__ = ["Kind", "memberships", "row_values", "total"]

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from typing_extensions import override

from ..errors import InputError
from ..kernels import operators
from .graphs import records_graph, tensor_memberships, tensor_values


class Kind(NamedTuple):
    """What the value of a row is.

    Attributes
    ----------
    noise : float or None
        Distance of the noise cluster, if there is one.
    distance : str
        Name of a registered distance.
    embeds : bool
        Whether the rows still have to be embedded; there are no derivatives with respect to x then.
    of_distortion : bool
        Whether the value is the distortion, or the log-partition function.
    """

    noise: float | None
    distance: str
    embeds: bool
    of_distortion: bool


def _with_known_signature(function: Any) -> Any:
    """Store the signature of a ``forward``: `Function.apply` would inspect it in every call, which takes 50 µs."""
    function.__signature__ = inspect.signature(function)
    return function


def total(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, w: Tensor | None, kind: Kind) -> Tensor:
    """Return the weighted sum V () of the values; float64, or float32 on Apple's GPUs.

    Parameters
    ----------
    x : Tensor (n, d)
        Rows.
    c : Tensor (k, d)
        Embedded centers.
    beta, b : Tensor (k,) or (k + 1,)
        Coefficients of the logits b - beta d; with a noise cluster, its own are the last.
    w : Tensor (n,) or None
        Weights; None if all are 1.
    kind : Kind
        What the values are.
    """
    if torch.compiler.is_exporting():
        values = row_values(x, c, beta, b, kind)
        return values.sum() if w is None else values @ w.to(values.dtype)
    value: Tensor
    if torch.compiler.is_compiling():  # which refuses derivatives in forward mode
        value = _Total.apply(x, c, beta, b, w, *kind)[0]
    else:
        value = Total.apply(x, c, beta, b, w, *kind)[0]
    return value


def row_values(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, kind: Kind) -> Tensor:
    """Return the value (n,) of each row; the parameters are those of `total`."""
    values: Tensor
    if torch.compiler.is_exporting():  # an exported graph has no automatic differentiation of our own
        values = tensor_values(x, c, beta, b, *kind)
    elif torch.compiler.is_compiling():
        values = _RowValues.apply(x, c, beta, b, *kind)
    else:
        values = RowValues.apply(x, c, beta, b, *kind)
    return values


def memberships(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, kind: Kind) -> Tensor:
    """Return the memberships (n, k) of the rows, in the type of x; the parameters are those of `total`."""
    if records_graph():
        return tensor_memberships(x, c, beta, b, *kind[:3])
    resp: Tensor = Memberships.apply(x, c, beta, b, *kind[:3])
    return resp


def _gradient(
    x: Tensor,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    w: Tensor | None,
    kind: Kind,
    needs: tuple[Any, ...],
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
    """Return the gradient of V with respect to x, c, beta and b.

    ``needs`` holds whether that with respect to x is needed, and then the others, None if they are not known.
    """
    needs_x, *known = needs
    if not torch.is_grad_enabled():
        of_x, *others = _gradient_values(x, c, beta, b, w, kind, needs_x, known)
    elif torch.compiler.is_compiling():
        of_x, *others = _Gradient.apply(x, c, beta, b, w, *kind, needs_x, *known)
    else:
        of_x, *others = Gradient.apply(x, c, beta, b, w, *kind, needs_x, *known)
    of_c, of_beta, of_b = others
    return (of_x if needs_x else None), of_c, of_beta, of_b


def _gradient_values(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, w: Tensor | None, kind: Kind, needs_x: bool, known: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    of_x = operators.row_gradient(x, c, beta, b, w, *kind) if needs_x else x.new_empty(0)
    if known[0] is None:
        known = operators.sums(x, c, beta, b, w, *kind)[1:]
    return of_x, *known


class _Total(Function):
    """The weighted sum V, and its gradient with respect to c, beta and b, which takes no further pass."""

    generate_vmap_rule = True

    @staticmethod
    @_with_known_signature
    def forward(
        x: Tensor, c: Tensor, beta: Tensor, b: Tensor, w: Tensor | None, *kind: Any
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        results: tuple[Tensor, Tensor, Tensor, Tensor] = operators.sums(x, c, beta, b, w, *kind)
        return results

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        tensors, ctx.kind = inputs[:5], Kind(*inputs[5:])
        ctx.save_for_backward(*tensors, *output[1:])
        ctx.save_for_forward(*tensors)
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    @override
    def backward(ctx: Any, cotangent: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if cotangent is None:
            return (None,) * 9
        x, c, beta, b, w, *known = ctx.saved_tensors
        needs_x, needs_w = ctx.needs_input_grad[0], ctx.needs_input_grad[4]
        of_x, *others = _gradient(x, c, beta, b, w, ctx.kind, (needs_x, *known))
        if of_x is not None:  # in place if nothing else refers to it: it is as large as the data
            of_x = of_x * cotangent if torch.is_grad_enabled() else of_x.mul_(cotangent)
        of_w = row_values(x, c, beta, b, ctx.kind) if needs_w else None
        scaled = [
            (cotangent * part).to(of.dtype) if needed and part is not None else None
            for part, of, needed in zip((*others, of_w), (c, beta, b, w), ctx.needs_input_grad[1:5], strict=True)
        ]
        return of_x, *scaled, *(None,) * 4


class Total(_Total):
    """The same with derivatives in forward mode."""

    @staticmethod
    @override
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, None, None, None]:
        x, c, beta, b, w = ctx.saved_tensors
        derivative = _row_derivatives(x, c, beta, b, tangents[:4], ctx.kind)
        derivative = derivative.sum() if w is None else derivative @ w.to(derivative)
        if tangents[4] is not None:
            values = row_values(x, c, beta, b, ctx.kind)
            derivative = derivative + values @ tangents[4].to(values)
        return derivative, None, None, None


class _RowValues(Function):
    """The values of the rows."""

    generate_vmap_rule = True

    @staticmethod
    @_with_known_signature
    def forward(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, *kind: Any) -> Tensor:
        values: Tensor = operators.row_values(x, c, beta, b, None, *kind)
        return values

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        tensors, ctx.kind = inputs[:4], Kind(*inputs[4:])
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    @override
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        x, c, beta, b = inputs
        parts = _gradient(x, c, beta, b, cotangent, ctx.kind, (ctx.needs_input_grad[0], None, None, None))
        scaled = [None if part is None else part.to(of) for part, of in zip(parts, inputs, strict=True)]
        return *scaled, *(None,) * 4


class RowValues(_RowValues):
    """The same with derivatives in forward mode."""

    @staticmethod
    @override
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        x, c, beta, b = ctx.saved_tensors
        return _row_derivatives(x, c, beta, b, tangents[:4], ctx.kind)


def _row_derivatives(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, direction: Any, kind: Kind) -> Tensor:
    """Return the derivative (n,) of each row's value in a direction in x, c, beta and b; None is a part of zeros."""
    derivatives: Tensor = _hessian_product((x, c, beta, b, None), (*direction, None), kind, needs_rows=True)[-1]
    return derivatives


class _Gradient(Function):
    """The gradient of V with respect to x, c, beta and b."""

    generate_vmap_rule = True

    @staticmethod
    @_with_known_signature
    def forward(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, w: Tensor | None, *more: Any) -> tuple[Tensor, ...]:
        kind, needs_x, known = Kind(*more[:4]), more[4], more[5:]
        gradient = _gradient_values(x, c, beta, b, w, kind, needs_x, known)
        return gradient if known[0] is None else (gradient[0], *(part.clone() for part in known))

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        tensors, ctx.kind, ctx.needs_x = inputs[:5], Kind(*inputs[5:9]), inputs[9]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    @override
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        direction = (cotangents[0] if ctx.needs_x else None, *cotangents[1:], None)
        needs_rows = ctx.needs_input_grad[0] or ctx.needs_input_grad[4]
        products = _hessian_product(inputs, direction, ctx.kind, needs_rows=needs_rows)
        parts = [
            part.to(of) if of is not None and needed else None
            for part, of, needed in zip(products, inputs, ctx.needs_input_grad, strict=False)
        ]
        return *parts, *(None,) * 8


class Gradient(_Gradient):
    """The same with derivatives in forward mode."""

    @staticmethod
    @override
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        x, *_ = inputs = ctx.saved_tensors
        of_x, *others, _ = _hessian_product(inputs, tangents[:5], ctx.kind, needs_rows=ctx.needs_x)
        return (of_x.to(x.dtype) if ctx.needs_x else x.new_empty(0)), *others


def _hessian_product(inputs: Any, direction: Any, kind: Kind, *, needs_rows: bool) -> tuple[Tensor, ...]:
    """Return the product of the Hessian of V with a direction; without needs_rows, the parts of x and w are empty."""
    x, c, beta, b, w = inputs
    of_x, of_c, of_beta, of_b, of_w = direction
    parts = zip((c, beta, b), (of_c, of_beta, of_b), strict=True)
    filled = [torch.zeros_like(part) if d is None else d for part, d in parts]
    products: tuple[Tensor, ...] = _HessianProduct.apply(x, c, beta, b, w, *kind, needs_rows, of_x, *filled, of_w)
    return products


class _HessianProduct(Function):
    """The product of the Hessian of V with a direction; it has no derivative."""

    generate_vmap_rule = True

    @staticmethod
    @_with_known_signature
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        products: tuple[Tensor, ...] = operators.hessian_product(*arguments)
        return products

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    @override
    def backward(ctx: Any, *_: Any) -> Any:
        raise InputError("third derivatives are not supported", expected="first or second derivatives")


class Memberships(Function):
    """The memberships of the rows.

    A backward pass that is itself differentiated needs memory for several arrays of their size.
    """

    generate_vmap_rule = True

    @staticmethod
    @_with_known_signature
    def forward(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, *kind: Any) -> Tensor:
        resp: Tensor = operators.memberships(x, c, beta, b, None, *kind, False)
        return resp

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        tensors, ctx.kind = inputs[:4], inputs[4:]
        ctx.save_for_backward(*tensors, output)
        ctx.save_for_forward(*tensors)

    @staticmethod
    @override
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, resp = ctx.saved_tensors
        if torch.is_grad_enabled():
            parts = torch.func.vjp(_memberships_of(ctx.kind), *inputs)[1](cotangent)
        else:
            parts = operators.membership_gradient(*inputs, None, *ctx.kind, False, resp, cotangent)
        needed = ctx.needs_input_grad[:4]
        scaled = [part.to(of) if needs else None for part, of, needs in zip(parts, inputs, needed, strict=True)]
        return *scaled, *(None,) * 3

    @staticmethod
    @override
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        inputs = ctx.saved_tensors
        directions = [torch.zeros_like(part) if t is None else t for part, t in zip(inputs, tangents[:4], strict=True)]
        tangent: Tensor = torch.func.jvp(_memberships_of(ctx.kind), tuple(inputs), tuple(directions))[1]
        return tangent


def _memberships_of(kind: tuple[Any, ...]) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the memberships as a function of x, c, beta and b."""
    return lambda x, c, beta, b: tensor_memberships(x, c, beta, b, *kind)
