"""Whether a graph is recorded or a derivative may be needed, and memberships by tensor operations for such graphs."""

from __future__ import annotations

__all__ = [
    "is_plain",
    "is_traced",
    "may_need_derivatives",
    "records_graph",
    "tensor_distances",
    "tensor_memberships",
    "tensor_nearest",
    "tensor_values",
]

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import linear

from ..data.block import working_dtype
from ..distances import DISTANCES, Distance


def records_graph() -> bool:
    """Return whether a graph is being recorded, for example to compile it, or to export it to ONNX."""
    return torch.compiler.is_compiling() or is_traced() or torch.onnx.is_in_onnx_export()


def is_traced() -> bool:
    """Return whether `torch.jit` records a graph; it warns of all conditions that depend on a shape."""
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced


def may_need_derivatives(x: Tensor) -> bool:
    """Return whether derivatives with respect to a tensor may be computed, in backward or in forward mode."""
    return x.requires_grad or not is_plain(x)


def is_plain(*tensors: Tensor) -> bool:
    """Return whether tensors are those of eager mode, without derivatives in forward mode."""
    if records_graph():
        return False
    try:
        for tensor in tensors:
            tensor.data_ptr()
    except RuntimeError:  # a tensor of torch.func
        return False
    return all(forward_ad.unpack_dual(tensor).tangent is None for tensor in tensors)  # type: ignore[no-untyped-call]


def tensor_distances(x: Tensor, c: Tensor, distance: Distance) -> Tensor:
    """Return the distances (..., n, k) of rows (..., n, d) to centers (k, d), computed with the origin moved to these.

    Far from the origin, squares of coordinates would lose all digits that matter.
    """
    if distance.translates:
        origin = c.detach().median(0).values  # not the mean, which a single far center would move away
        x, c = x - origin, c - origin
    return distance.between(distance.embed(x), distance.embed(c))


def tensor_memberships(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, noise: float | None, distance: str, embeds: bool
) -> Tensor:
    """Return the memberships (n, k) of rows (n, d) in the type of x, computed without branches.

    The parameters are those of `derivatives.memberships`.
    """
    logits, _, _ = _logits(x, c, beta, b, noise, distance, embeds)
    return logits.softmax(1)[:, : c.shape[0]].to(x.dtype)


def tensor_values(
    x: Tensor,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    noise: float | None,
    distance: str,
    embeds: bool,
    of_distortion: bool,
) -> Tensor:
    """Return the log-partition functions or distortions (n,) of rows (n, d), computed without branches.

    The parameters are those of `derivatives.row_values`.
    """
    logits, shift, d = _logits(x, c, beta, b, noise, distance, embeds)
    return (logits.softmax(1) * d).sum(1) if of_distortion else logits.logsumexp(1) - shift


def _logits(
    x: Tensor, c: Tensor, beta: Tensor, b: Tensor, noise: float | None, distance: str, embeds: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of rows plus a number for each row, these numbers (n,), and the distances.

    The logits are relative to that of the nearest center: for far rows, they are small differences of large numbers.
    Logits and distances are arrays (n, k), or (n, k + 1) with those of the noise cluster last.
    """
    dtype, kind, k = working_dtype(x.device), DISTANCES[distance], c.shape[0]
    z, centers, beta, b = (part.to(dtype) for part in (x, c, beta, b))
    z = kind.embed(z) if embeds else z
    nearest, smallest, excess = _distances_and_excess(z, centers)  # (n,), (n, 1), (n, k)
    if kind.constant_slope is not None and kind.is_radial:
        smallest, excess = kind.constant_slope * smallest, kind.constant_slope * excess
        d = smallest + excess
    else:
        d = kind.of_squared((smallest + excess).clamp_min(0)) if kind.is_radial else kind.between(z, centers)
        smallest = d.gather(1, nearest[:, None])
        excess = d - smallest
    beta_of_nearest = beta[nearest][:, None]
    shift = beta_of_nearest * smallest
    logits = b[:k] - beta[:k] * excess - (beta[:k] - beta_of_nearest) * smallest
    if noise is not None:
        logits = torch.cat([logits, b[k:] - beta[k:] * noise + shift], 1)
        d = torch.cat([d, torch.full_like(shift, noise)], 1)
    return logits, shift[:, 0], d


@torch.no_grad()
def tensor_nearest(z: Tensor, c: Tensor) -> Tensor:
    """Return the index (n,) of the center nearest to each row by the Euclidean distance, computed without branches."""
    origin = c.mean(0)
    moved, centers = z - origin, c - origin
    return (centers.square().sum(1) - 2 * linear(moved, centers)).argmin(1)


def _distances_and_excess(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's nearest center (n,), its squared distance (n, 1), and how much farther all are (n, k)."""
    nearest = tensor_nearest(z, c)
    y = z - c[nearest]
    products = linear(y, c)
    products = products - products.gather(1, nearest[:, None])  # y times the differences from the nearest center
    between = _squared_between(c)[nearest]
    return nearest, y.square().sum(1, keepdim=True), between - 2 * products


def _squared_between(c: Tensor) -> Tensor:
    """Return the squared distances (k, k) between centers; 0 between a center and itself."""
    squares = c.square().sum(1)
    squared = squares[:, None] + squares - 2 * linear(c, c)
    return squared * (1 - torch.eye(c.shape[0], dtype=c.dtype, device=c.device))
