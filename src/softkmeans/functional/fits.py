"""Whole fits of batches of problems, with gradients through the converged centers."""

from __future__ import annotations

__all__ = ["BatchFit", "soft_kmeans"]

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._utils.checks import check_count, check_not_negative
from .._utils.one_thread import in_one_thread
from ..data.block import working_dtype
from ..errors import InputError, warn
from ..kernels.batches import Problems, fit, join, over_pieces
from .batches import batch_memberships, broadcast
from .checks import batch_shape, check_rows, check_tensors, checked_temperature, first_true, weighted_rows
from .derivatives import Kind
from .implicit import ImplicitSolve, converged_centers
from .seeds import draw_numbers, kmeans_plusplus

KIND = Kind(noise=None, distance="sqeuclidean", embeds=False, of_distortion=False)


@dataclass(frozen=True)
class BatchFit:
    """A fit of a batch of problems, which unpacks into centers and memberships.

    Attributes
    ----------
    centers : Tensor (..., k, d)
        The converged centers.
    memberships : Tensor (..., n, k)
        The memberships of the rows, 0 for rows that do not count.
    n_iter : Tensor (...)
        Iterations of each problem.
    converged : Tensor (...) of bool
        Whether each problem converged within ``max_iter`` iterations.
    implicit : ImplicitSolve
        How the gradients were solved for: steps and residuals, once the backward pass has run.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0], [8.0], [9.0]], requires_grad=True)
    >>> result = soft_kmeans(x, 2, temperature=0.1)
    >>> centers, memberships = result
    >>> centers.sum().backward()
    >>> x.grad.flatten(), bool(result.implicit.residual < 1e-9)
    (tensor([0.5000, 0.5000, 0.5000, 0.5000]), True)
    """

    centers: Tensor
    memberships: Tensor
    n_iter: Tensor
    converged: Tensor
    implicit: ImplicitSolve

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.centers, self.memberships))


def soft_kmeans(
    x: Tensor,
    centers: int | Tensor,
    temperature: float | Tensor,
    *,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    max_iter: int = 10_000,
    tol: float = 1e-16,
    random_state: Any = 0,
) -> BatchFit:
    """Fit soft k-means to each problem of a batch, with squared Euclidean distances, until each has converged.

    Centers and memberships are differentiable with respect to rows, temperature and weights: by the implicit function
    theorem at the converged centers, without a record of the iterations. They do not depend on the initial centers,
    which have no gradient. There are no second derivatives.

    Each problem is fitted in float64, by one thread: use `SoftKMeans` for a single problem with many rows. Memberships
    and gradients take memory for p n k numbers, for p problems.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Rows of each problem.
    centers : int or Tensor (..., k, d)
        Number of clusters k, for initial centers by greedy k-means++, or initial centers.
    temperature : float or Tensor (), (..., 1) or (..., k)
        T > 0, that of each problem, or that of each cluster; it divides *squared* distances.
    sample_weight : Tensor (..., n), optional
        Weights of the rows, 0 or more.
    mask : Tensor (..., n) of bool, optional
        Which rows count, for problems of different sizes. The values of other rows do not matter.
    max_iter : int, default=10000
        The largest number of iterations.
    tol : float, default=1e-16
        A problem has converged when an iteration lowers its objective by about this fraction of its distortion. Small
        values make gradients accurate, which hold where the centers stand still.
    random_state : int, NumPy Generator, RandomState or None, default=0
        Seed of the initial centers. All problems get the same random numbers: a problem has the same fit in any batch.

    Returns
    -------
    BatchFit
        It unpacks into centers (..., k, d) and memberships (..., n, k), in the type of x.

    Raises
    ------
    InputError
        If shapes, types or leading dimensions do not fit together, a number is out of range, a row that counts contains
        NaN or infinity, or a problem has no row of positive weight, or fewer than k.

    Warns
    -----
    ConvergenceWarning
        If a problem has not converged in ``max_iter`` iterations; in the backward pass, if gradients are not accurate.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[0.0], [1.0], [8.0], [9.0]], [[5.0], [5.0], [7.0], [0.0]]])
    >>> mask = torch.tensor([[True, True, True, True], [True, True, True, False]])  # the second problem has three rows
    >>> centers, memberships = soft_kmeans(x, 2, temperature=0.1, mask=mask)
    >>> centers.sort(1).values.squeeze(2)
    tensor([[0.5000, 8.5000],
            [5.0000, 7.0000]])
    """
    k, dtype = _checked_number_of_clusters(x, centers), working_dtype(x.device)
    check_count("max_iter", max_iter)
    check_not_negative("tol", tol)
    t = checked_temperature(temperature, k)
    t = t.to(x.device, dtype) if isinstance(t, Tensor) else torch.tensor(t, dtype=dtype, device=x.device)
    has_one_temperature = t.ndim == 0 or t.shape[-1] == 1
    c = centers if isinstance(centers, Tensor) else None
    batch = batch_shape(x=x.shape[:-2], c=torch.Size() if c is None else c.shape[:-2], temperature=t.shape[:-1])
    rows, weights = weighted_rows(x, batch, sample_weight, mask)
    weights = x.new_ones(x.shape[-2]) if weights is None else weights
    rows, weights = _flatten(rows, batch, 2), _flatten(weights.to(dtype), batch, 1)
    c = None if c is None else _flatten(c, batch, 2)
    beta = broadcast(t.reciprocal(), (*batch, k)).reshape(-1, k)
    b = torch.zeros_like(beta) if has_one_temperature else x.shape[-1] / 2 * beta.log()  # of a density of each cluster
    in_one_thread(lambda: _check_values((rows, weights, beta), c, k, batch))
    inputs, report = (rows, weights, beta, b), ImplicitSolve()
    with torch.no_grad():
        found, scaled, resp, n_iter, converged = _fit(inputs, c, k, random_state, max_iter, tol)
    if not converged.all():
        _warn_of_no_convergence(converged, max_iter)
    if torch.is_grad_enabled() and any(part.requires_grad for part in inputs):
        found = converged_centers(inputs, (found, scaled), batch, report)
        resp = batch_memberships(rows, found, beta, b, KIND)
    resp = resp.reshape(*batch, -1, k)
    resp = resp if mask is None else resp * mask[..., None]
    found = found.to(x.dtype).reshape(*batch, k, -1)
    return BatchFit(found, resp, n_iter.view(batch), converged.view(batch), report)


def _checked_number_of_clusters(x: Tensor, centers: int | Tensor) -> int:
    """Return k; raise an InputError unless rows and initial centers, or a number of clusters, fit together."""
    if isinstance(centers, Tensor):
        check_tensors(x, centers)
        return centers.shape[-2]
    check_rows(x, "x")
    check_count("centers", centers)
    return int(centers)


def _flatten(array: Tensor, batch: tuple[int, ...], n_own: int) -> Tensor:
    """Return an array with one leading dimension for the problems, given how many dimensions a problem's part has."""
    own = array.shape[array.ndim - n_own :]
    return broadcast(array, (*batch, *own)).reshape(-1, *own)


def _check_values(inputs: tuple[Tensor, Tensor, Tensor], c: Tensor | None, k: int, batch: tuple[int, ...]) -> None:
    """Raise an InputError for the first problem whose rows, weights, inverse temperatures or centers are not valid."""
    x, weights, beta = (part.detach() for part in inputs)
    n_rows, start = (weights > 0).sum(1), x[:, :1] if c is None else c
    mend = "correct these numbers, or leave rows out by mask"
    invalid = [
        ("x contains NaN or infinity", mend, (~x.isfinite()).any(2).any(1)),
        ("the initial centers contain NaN or infinity", "give finite numbers", (~start.isfinite()).any(2).any(1)),
        (
            "sample_weight contains a negative number, NaN or infinity", mend,
            (~((weights >= 0) & weights.isfinite())).any(1),
        ),
        (
            "temperature is not a finite number above 0", "give a finite number above 0",
            (~((beta > 0) & beta.isfinite())).any(1),
        ),
        ("there is no row of positive weight", "leave the problem out, or give other weights", n_rows == 0),
    ]  # fmt: skip
    if c is None:
        problem = f"there are fewer rows of positive weight than centers={k}"
        invalid.append((problem, "use fewer centers, or give initial ones", n_rows < k))
    for problem, remedy, is_invalid in invalid:
        if is_invalid.any():
            where = f" in problem {first_true(is_invalid.view(batch))}" if batch else ""
            raise InputError(f"{problem}{where}", hint=remedy)


def _fit(
    inputs: tuple[Tensor, ...], c: Tensor | None, k: int, random_state: Any, max_iter: int, tol: float
) -> tuple[Tensor, ...]:
    """Return centers, the same centered and scaled, memberships, iterations, and which problems converged."""
    x, numbers = inputs[0], draw_numbers(k, random_state)

    def of_piece(piece: slice) -> tuple[Tensor, ...]:
        problems = Problems.of(*(part[piece] for part in inputs))
        start = kmeans_plusplus(problems, numbers) if c is None else problems.enter(c[piece])
        centers, resp, n_iter, converged = fit(problems, start, max_iter, tol)
        return problems.leave(centers), centers, resp.to(x.dtype), n_iter, converged

    return join(over_pieces(of_piece, x.device, (len(x), x.shape[1], max(k, x.shape[2]))))


def _warn_of_no_convergence(converged: Tensor, max_iter: int) -> None:
    """Warn of problems that have not converged."""
    n_failed = int((~converged).sum())
    what = f"{n_failed} of {len(converged)} problems have" if len(converged) > 1 else "the fit has"
    from sklearn.exceptions import ConvergenceWarning  # imported late, since layers need no scikit-learn

    warn(f"{what} not converged in max_iter={max_iter} iterations: raise max_iter or tol", ConvergenceWarning)
