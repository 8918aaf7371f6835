"""Fits of batches of small problems, and derivatives at converged fits, by sums over the rows of each problem.

All distances are squared Euclidean. For row i and cluster k of a problem, with the objective Φ = -Σ_i w_i log Σ_k
exp(b_k - beta_k d_ik):

==========================  ==============================================================================
memberships r_ik            the softmax of b_k - beta_k d_ik over k
update                      c_k = Σ_i w r x / W_k with W_k = Σ_i w r, which never raises Φ
gradient of Φ by c_k        2 beta_k (W_k c_k - Σ_i w r x)
Hessian of Φ times v        2 beta_k (W_k v_k + Σ_i w ṙ (c_k - x_i)), where ṙ_ik = r_ik (a_ik - Σ_j r_ij a_ij) is the
                            change of the memberships, and a_ik = 2 beta_k (x_i - c_k)·v_k that of the logits
==========================  ==============================================================================

Problems are independent, and a problem is never divided: results do not depend on the number of threads.
"""

from __future__ import annotations

__all__ = ["Evaluation", "Problems", "fit", "fit_by_tensors", "hessian_product", "join", "mixed_product", "over_pieces"]

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from .._utils.one_thread import in_one_thread, map_in_single_threads
from ..data.block import working_dtype

T = TypeVar("T")

PIECE_ENTRIES = 2**17  # numbers of an array by problems, rows and clusters: 1 MB in float64, which stays in cache
ROUNDING = 10  # steps of centers at which they stand still, in units of the type's roundoff


def over_pieces(function: Callable[[slice], T], device: torch.device, shape: tuple[int, int, int]) -> Iterator[T]:
    """Yield the results of a function of some of the problems, for all problems in order.

    On the CPU, the pieces are distributed over as many threads as PyTorch uses, and each is computed in one thread.

    Parameters
    ----------
    function : callable
        Function of a slice of the problems.
    device : torch.device
        Device on which it computes.
    shape : tuple of int
        Numbers of problems, of rows, and of the larger of clusters and features.
    """
    n_problems, n_rows, width = shape
    step = max(1, PIECE_ENTRIES // (n_rows * width))
    pieces: Iterable[slice] = [slice(start, start + step) for start in range(0, n_problems, step)]
    return map_in_single_threads(function, pieces) if device.type == "cpu" else map(function, pieces)


def join(pieces: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Concatenate the results of pieces, in one thread: threads of PyTorch would go on waiting for more work."""
    computed = list(pieces)
    return in_one_thread(lambda: tuple(map(torch.cat, zip(*computed, strict=True))))


class Problems(NamedTuple):
    """Problems of the same size, centered at the mean of their rows, and scaled by a power of two.

    Attributes
    ----------
    x : Tensor (p, n, d)
        Rows.
    weights : Tensor (p, n)
        Weights of the rows; 0 for those that do not count.
    beta, b : Tensor (p, k)
        Coefficients of the logits.
    shift : Tensor (p, 1, d)
        What was subtracted from the rows.
    scale : Tensor (p, 1, 1)
        What they were divided by.
    """

    x: Tensor
    weights: Tensor
    beta: Tensor
    b: Tensor
    shift: Tensor
    scale: Tensor

    @classmethod
    def of(cls, x: Tensor, weights: Tensor, beta: Tensor, b: Tensor) -> Problems:
        """Center and scale rows (p, n, d) of any type, with weights (p, n), and coefficients (p, k) in their units."""
        dtype = working_dtype(x.device)
        x, weights, beta, b = (part.detach().to(dtype) for part in (x, weights, beta, b))
        fractions = weights / weights.sum(1, keepdim=True)
        shift = fractions[:, None] @ x
        z = x - shift
        _, exponent = z.abs().amax((1, 2), keepdim=True).frexp()
        scale = torch.ldexp(torch.ones_like(z[:, :1, :1]), exponent)
        return cls(z / scale, weights, beta * scale.square()[:, 0], b, shift, scale)

    def take(self, which: Tensor) -> Problems:
        """Return some of the problems."""
        return Problems(*(part[which] for part in self))

    def enter(self, centers: Tensor) -> Tensor:
        """Center and scale centers (p, k, d)."""
        return (centers.detach().to(self.x.dtype) - self.shift) / self.scale

    def leave(self, centers: Tensor) -> Tensor:
        """Return centers in the units of the data."""
        return centers * self.scale + self.shift


class Evaluation(NamedTuple):
    """Problems at some centers.

    Attributes
    ----------
    problems : Problems
        The problems.
    centers : Tensor (p, k, d)
        The centers, centered and scaled.
    distances, resp : Tensor (p, n, k)
        Squared distances, and memberships.
    weight : Tensor (p, k)
        W.
    """

    problems: Problems
    centers: Tensor
    distances: Tensor
    resp: Tensor
    weight: Tensor

    @classmethod
    def of(cls, problems: Problems, centers: Tensor) -> Evaluation:
        """Compute the memberships of all rows."""
        x, weights, beta, b, _, _ = problems
        squares = x.square().sum(2, keepdim=True) + centers.square().sum(2)[:, None]
        d = torch.baddbmm(squares, x, centers.mT, alpha=-2).clamp_min(0)
        resp = torch.addcmul(b[:, None], beta[:, None], d, value=-1).softmax(2)
        return cls(problems, centers, d, resp, (weights[:, None] @ resp)[:, 0])

    def update(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next centers, their squared steps times weights and beta (p,), and the distortion (p,)."""
        x, weights, beta = self.problems[:3]
        weighted = weights[..., None] * self.resp
        empty = (self.weight == 0)[..., None]
        centers = torch.where(empty, self.centers, weighted.mT @ x / torch.where(empty, 1, self.weight[..., None]))
        movement = (beta * self.weight * (centers - self.centers).square().sum(2)).sum(1)
        return centers, movement, (beta * (weighted * self.distances).sum(1)).sum(1)

    def changes(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changes a (p, n, k) of the logits, and ṙ of the memberships, along v (p, k, d)."""
        products = self.problems.x @ v.mT - (self.centers * v).sum(2)[:, None]
        a = 2 * self.problems.beta[:, None] * products
        return a, self.resp * (a - (self.resp * a).sum(2, keepdim=True))


def fit(problems: Problems, centers: Tensor, max_iter: int, tol: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit each problem by EM, until a step changes its objective by no more than a fraction of the distortion.

    A step lowers the objective by Σ_k beta_k W_k ‖step_k‖² or more. This sum, unlike a difference of two objectives, is
    precise when it is small.

    Parameters
    ----------
    problems : Problems
        The problems.
    centers : Tensor (p, k, d)
        Initial centers, centered and scaled.
    max_iter : int
        The largest number of iterations.
    tol : float
        The fraction of Σ w beta d at which a fit ends; no less than rounding allows.

    Returns
    -------
    centers : Tensor (p, k, d)
        The centers, centered and scaled.
    resp : Tensor (p, n, k)
        The memberships at these centers.
    n_iter : Tensor (p,)
        Iterations.
    converged : Tensor (p,)
        Whether the fit ended before ``max_iter``.
    """
    tol = max(tol, (ROUNDING * torch.finfo(centers.dtype).eps) ** 2)
    if centers.device.type != "cpu":
        return fit_by_tensors(problems, centers, max_iter, tol)
    from .cpu.batches import fit_batch  # imported late, since it loads LLVM

    return fit_batch(*problems[:4], centers, max_iter, tol)


def fit_by_tensors(
    problems: Problems, centers: Tensor, max_iter: int, tol: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit each problem by tensor operations, on any device: see `fit`."""
    final, n_iter = centers.clone(), torch.zeros(len(centers), dtype=torch.int64, device=centers.device)
    ended, rows = torch.zeros_like(n_iter, dtype=torch.bool), torch.arange(len(centers), device=centers.device)
    everything = problems
    for _ in range(max_iter):
        moved, movement, distortion = Evaluation.of(problems, centers).update()
        is_running = ~ended[rows]
        centers = torch.where(is_running[:, None, None], moved, centers)
        n_iter[rows] += is_running
        ended[rows] |= is_running & (movement <= tol * distortion)
        is_running = ~ended[rows]
        n_running = int(is_running.sum())
        if 2 * n_running <= len(rows):  # go on with the others, which are copied: seldom, as that takes long
            final[rows] = centers
            problems, centers, rows = problems.take(is_running), centers[is_running], rows[is_running]
        if not n_running:
            break
    final[rows] = centers
    return final, Evaluation.of(everything, final).resp, n_iter, ended


def hessian_product(at: Evaluation, v: Tensor) -> Tensor:
    """Return the product of the Hessian of Φ with a direction v (p, k, d) in the centers."""
    x, weights, beta = at.problems[:3]
    weighted = weights[..., None] * at.changes(v)[1]
    moved = weighted.sum(1)[..., None] * at.centers - weighted.mT @ x
    return 2 * beta[..., None] * (at.weight[..., None] * v + moved)


def mixed_product(at: Evaluation, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the derivatives of -∂Φ·v with respect to x, the weights, beta and b; ∂Φ is the gradient in the centers."""
    x, weights, beta = at.problems[:3]
    a, r_dot = at.changes(v)
    slope, slope_dot = beta[:, None] * at.resp, beta[:, None] * r_dot
    of_x = slope_dot @ at.centers - slope_dot.sum(2, keepdim=True) * x + slope @ v
    of_beta = weights[:, None] @ (at.resp * a / beta[:, None] - r_dot * at.distances)
    of_b = weights[:, None] @ r_dot
    return 2 * weights[..., None] * of_x, (at.resp * a).sum(2), of_beta[:, 0], of_b[:, 0]
