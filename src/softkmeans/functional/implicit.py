"""Derivatives of converged centers by the implicit function theorem.

At converged centers, the gradient ∂Φ of the objective is 0. If x, the weights or the logits change, the centers follow
so that it stays 0: their derivative is -H⁻¹ times that of ∂Φ, where H is the Hessian of Φ in the centers. For a
cotangent u of the centers, conjugate gradients solve H v = u, and the gradient is that of -∂Φ·v. No iteration of the
fit is differentiated, so memory does not depend on their number.
"""

from __future__ import annotations

__all__ = ["ImplicitSolve", "converged_centers"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from typing_extensions import override

from ..errors import InputError, warn
from ..kernels.batches import Evaluation, Problems, hessian_product, join, mixed_product, over_pieces

MAX_STEPS = 50  # of conjugate gradients
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the residual, relative to the cotangent
FLAT = {torch.float64: 1e-12, torch.float32: 1e-5}  # curvature, relative to that of 2 beta W, that is not positive


@dataclass
class ImplicitSolve:
    """How conjugate gradients solved for the gradients of a fit; all is None before the backward pass.

    Attributes
    ----------
    n_steps : Tensor (...) or None
        Steps for each problem.
    residual : Tensor (...) or None
        Norm of the residual for each problem, relative to that of the right-hand side; both are preconditioned.
    is_convex : Tensor (...) of bool or None
        Whether no direction of negative or no curvature was met. At a minimum there is none.
    """

    n_steps: Tensor | None = None
    residual: Tensor | None = None
    is_convex: Tensor | None = None


class _Solution(NamedTuple):
    """The solutions v (p, k, d) of H v = u, and the fields of `ImplicitSolve`."""

    v: Tensor
    n_steps: Tensor
    residual: Tensor
    is_convex: Tensor


def converged_centers(
    inputs: tuple[Tensor, Tensor, Tensor, Tensor],
    centers: tuple[Tensor, Tensor],
    batch: tuple[int, ...],
    report: ImplicitSolve,
) -> Tensor:
    """Return converged centers (p, k, d) in the units of the data, differentiable in the inputs of the fit.

    Parameters
    ----------
    inputs : tuple of Tensor
        Rows (p, n, d), weights (p, n), and coefficients beta and b (p, k) of the logits.
    centers : tuple of Tensor (p, k, d)
        Converged centers, and the same centered and scaled.
    batch : tuple of int
        The shape of the arrays in the report.
    report : ImplicitSolve
        Filled by the backward pass.
    """
    result: Tensor = _Centers.apply(*inputs, *centers, batch, report)
    return result


class _Centers(Function):
    """Converged centers as a function of what they were fitted to."""

    @staticmethod
    @override
    def forward(
        ctx: Any, x: Tensor, weights: Tensor, beta: Tensor, b: Tensor, result: Tensor, centers: Tensor, *more: Any
    ) -> Tensor:
        ctx.save_for_backward(x, weights, beta, b, centers)
        ctx.batch, ctx.report = more
        return result.clone()

    @staticmethod
    @override
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        parts: tuple[Tensor, ...] = _Gradient.apply(cotangent, *inputs, ctx.batch, ctx.report)
        needed = ctx.needs_input_grad[:4]
        scaled = [part.to(of) if needs else None for part, of, needs in zip(parts, inputs, needed, strict=False)]
        return *scaled, *(None,) * 4


class _Gradient(Function):
    """The gradient for a cotangent of converged centers; it has no derivative."""

    @staticmethod
    @override
    def forward(ctx: Any, cotangent: Tensor, *more: Any) -> tuple[Tensor, ...]:
        *inputs, centers, batch, report = more

        def of_piece(piece: slice) -> tuple[Tensor, ...]:
            problems = Problems.of(*(part[piece] for part in inputs))
            at = Evaluation.of(problems, centers[piece])
            solution = _solve(at, cotangent[piece].to(centers) * problems.scale)
            of_x, of_weights, of_beta, of_b = mixed_product(at, solution.v)
            return of_x / problems.scale, of_weights, of_beta * problems.scale.square()[:, 0], of_b, *solution

        shape = (*inputs[0].shape[:2], max(centers.shape[1:]))
        parts = join(over_pieces(of_piece, centers.device, shape))
        gradient, solution = parts[:4], _Solution(*parts[4:])
        report.n_steps, report.residual, report.is_convex = (part.view(batch) for part in solution[1:])
        _warn_of_failures(solution, batch, lambda i: _evaluate_one(inputs, centers, i))
        return gradient

    @staticmethod
    @override
    def backward(ctx: Any, *_: Any) -> Any:
        raise InputError("second derivatives of a fit are not supported", expected="first derivatives")


def _solve(at: Evaluation, u: Tensor) -> _Solution:
    """Solve H v = u by conjugate gradients, preconditioned by 2 beta W, until each problem has converged.

    Clusters without weight have no part in this: their centers stay where they are. A problem ends, too, at a direction
    without positive curvature, before it takes a step along it.
    """
    diagonal = (2 * at.problems.beta * at.weight)[..., None]
    inverse = torch.where(diagonal > 0, 1 / diagonal, 0)
    residual = torch.where(diagonal > 0, u, 0)
    v, direction = torch.zeros_like(u), inverse * residual
    squared = first = _dot(residual, direction)
    limit = TOLERANCE[u.dtype] ** 2 * first
    n_steps, is_convex = torch.zeros_like(first, dtype=torch.int64), torch.ones_like(first, dtype=torch.bool)
    for _ in range(MAX_STEPS):
        is_running = is_convex & (squared > limit)
        if not is_running.any():
            break
        product = hessian_product(at, direction)
        curvature = _dot(direction, product)
        is_convex = is_convex & ~(is_running & (curvature <= FLAT[u.dtype] * _dot(direction, diagonal * direction)))
        is_running = is_running & is_convex
        length = torch.where(is_running, squared / torch.where(is_running, curvature, 1), 0)[:, None, None]
        v, residual = v + length * direction, residual - length * product
        following = torch.where(is_running, _dot(residual, inverse * residual), squared)
        ratio = torch.where(is_running, following / torch.where(squared > 0, squared, 1), 0)[:, None, None]
        direction, squared, n_steps = inverse * residual + ratio * direction, following, n_steps + is_running
    return _Solution(v, n_steps, (squared / torch.where(first > 0, first, 1)).sqrt(), is_convex)


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """Return the inner products (p,) of arrays (p, k, d)."""
    return (x * y).sum((1, 2))


def _warn_of_failures(solution: _Solution, batch: tuple[int, ...], evaluate: Callable[[int], Evaluation]) -> None:
    """Warn of problems whose gradient is not accurate, with the temperatures of the first one."""
    has_converged = solution.is_convex & (solution.residual <= TOLERANCE[solution.v.dtype])
    failed = (~has_converged).nonzero()[:, 0].tolist()
    if not failed:
        return
    i, n = failed[0], len(has_converged)
    t, critical = _nearest_critical(evaluate(i))
    where = f"problem {tuple(torch.unravel_index(torch.tensor(i), batch))}" if len(batch) > 1 else f"problem {i}"
    where = where if batch else "the fit"
    cause = (
        "there is a direction of the centers without positive curvature, so they are at no minimum"
        if not solution.is_convex[i]
        else f"conjugate gradients left a residual of {float(solution.residual[i]):.1e} after {MAX_STEPS} steps"
    )
    others = f" (and {len(failed) - 1} more of {n} problems)" if len(failed) > 1 else ""
    from sklearn.exceptions import ConvergenceWarning  # imported late, since layers need no scikit-learn

    warn(
        f"the gradients of {where}{others} are not accurate: {cause}. T is {t:.6g}, and the nearest critical "
        f"temperature {critical:.6g}: choose T farther from it, other initial centers, or a smaller tol",
        ConvergenceWarning,
    )


def _evaluate_one(inputs: list[Tensor], centers: Tensor, i: int) -> Evaluation:
    """Evaluate one of the problems at its centers."""
    one = slice(i, i + 1)
    return Evaluation.of(Problems.of(*(part[one] for part in inputs)), centers[one])


def _nearest_critical(at: Evaluation) -> tuple[float, float]:
    """Return T and the critical temperature nearest to it, among those of the clusters of one problem.

    A cluster splits below 2 λ_max of the covariance of the rows, weighted by its memberships (Rose 1998).
    """
    x, weights, beta, _, _, scale = at.problems
    unit, found = float(scale) ** 2, []
    for q in (at.weight[0] > 0).nonzero()[:, 0].tolist():
        centered = x[0] - at.centers[0, q]
        weighted = centered * (weights[0] * at.resp[0, :, q] / at.weight[0, q])[:, None]
        largest = float(torch.linalg.eigvalsh(weighted.mT @ centered)[-1])
        found.append((unit / float(beta[0, q]), 2 * max(largest, 0.0) * unit))
    return min(found, key=lambda pair: abs(pair[0] - pair[1]))
