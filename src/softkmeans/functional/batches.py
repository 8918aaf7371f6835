"""Memberships and losses of batches of problems: problems of the same size, each with its rows and its centers.

A batch is divided into pieces, each of which one thread computes by tensor operations. The pieces do not depend on the
number of threads, and neither do the results. Large problems are computed one after the other, by the operators.
"""

from __future__ import annotations

__all__ = ["batch_memberships", "batch_values", "broadcast", "sum_of"]

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from typing_extensions import override

from .._utils.one_thread import in_one_thread
from ..errors import InputError
from ..kernels.batches import join, over_pieces
from . import derivatives
from .derivatives import Kind
from .graphs import is_plain, tensor_memberships, tensor_values

MAX_ENTRIES = 2**17  # rows times clusters, from which problems are computed one by one

OfProblems = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def batch_memberships(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, kind: Kind) -> Tensor:
    """Return the memberships (p, n, k) of rows, in the type of x.

    Parameters
    ----------
    x : Tensor (p, n, d)
        Rows of each problem.
    c : Tensor (p, k, d)
        Embedded centers.
    beta, b : Tensor (p, k) or (p, k + 1)
        Coefficients of the logits; with a noise cluster, its own are the last.
    kind : Kind
        The distance.
    """
    by_tensors = partial(tensor_memberships, noise=kind.noise, distance=kind.distance, embeds=kind.embeds)
    return _evaluate((x, c, beta, b), torch.vmap(by_tensors), partial(derivatives.memberships, kind=kind))


def batch_values(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, kind: Kind) -> Tensor:
    """Return the value (p, n) of each row; the parameters are those of `batch_memberships`."""
    by_tensors = torch.vmap(partial(tensor_values, **kind._asdict()))
    return _evaluate((x, c, beta, b), by_tensors, partial(derivatives.row_values, kind=kind))


def broadcast(array: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return an array that is repeated to have a shape; its gradient, a sum, is computed in one thread."""
    if tuple(array.shape) == shape or array.device.type != "cpu" or not is_plain(array):
        return array.expand(shape)
    repeated: Tensor = _Broadcast.apply(array, shape)
    return repeated


def sum_of(values: Tensor) -> Tensor:
    """Return the sum of numbers, computed in one thread: PyTorch's sum depends on the number of threads."""
    if values.device.type != "cpu" or not is_plain(values):
        return values.sum()
    return in_one_thread(values.sum)


def _evaluate(inputs: tuple[Tensor, ...], of_problems: OfProblems, of_large: OfProblems) -> Tensor:
    """Evaluate a function of the problems, given as a function of several, and as one of a single large problem."""
    x, c, *_ = inputs
    if x.is_meta or not is_plain(*inputs):
        return of_problems(*inputs)
    _check(*inputs[1:3])
    if x.shape[1] * c.shape[1] > MAX_ENTRIES:
        return torch.stack([of_large(*problem) for problem in zip(*inputs, strict=True)])
    result: Tensor = _Evaluate.apply(*inputs, of_problems)
    return result


def _check(c: Tensor, beta: Tensor) -> None:
    """Raise an InputError if centers are not finite, or inverse temperatures not finite and above 0."""
    if not c.isfinite().all():
        raise InputError("the centers contain NaN or infinity", expected="finite values")
    if not ((beta > 0) & beta.isfinite()).all():
        raise InputError("is too small, too large or not a number", parameter="temperature", expected="finite values")


class _Broadcast(Function):
    """An array that is repeated."""

    generate_vmap_rule = True

    @staticmethod
    def forward(array: Tensor, shape: tuple[int, ...]) -> Tensor:
        return array.expand(shape)

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    @override
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        return in_one_thread(lambda: cotangent.sum_to_size(ctx.shape)), None


class _Evaluate(Function):
    """A function of problems, piece by piece; derivatives compute it again, so that no piece's arrays are kept."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, c: Tensor, beta: Tensor, b: Tensor, of_problems: OfProblems) -> Tensor:
        inputs = (x, c, beta, b)
        return join(over_pieces(lambda piece: (of_problems(*(a[piece] for a in inputs)),), x.device, _shape(x, c)))[0]

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        *tensors, ctx.of_problems = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @override
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad
        if torch.is_grad_enabled():  # the derivatives will be differentiated
            gradient = torch.func.vjp(ctx.of_problems, *inputs)[1](cotangent)
        else:

            def of_piece(piece: slice) -> tuple[Tensor, ...]:
                with torch.enable_grad():
                    leaves = [part[piece].detach().requires_grad_() for part in inputs]
                    result = ctx.of_problems(*leaves)
                return torch.autograd.grad(result, leaves, cotangent[piece])

            gradient = join(over_pieces(of_piece, cotangent.device, _shape(*inputs[:2])))
        return *(part if needs else None for part, needs in zip(gradient, needed, strict=False)), None


def _shape(x: Tensor, c: Tensor) -> tuple[int, int, int]:
    """Return the numbers of problems, of rows, and of the larger of clusters and features."""
    return (*x.shape[:2], max(c.shape[1:]))
