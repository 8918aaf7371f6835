"""Memberships by tensor operations alone, for graphs that other programs run, and for derivatives of any order."""

from __future__ import annotations

__all__ = ["is_plain", "is_traced", "may_need_derivatives", "records_graph", "tensor_distances", "tensor_memberships"]

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

    The parameters are those of `derivatives.memberships`. Logits are differences from that of the nearest center: for
    far rows, they are small differences of large numbers.
    """
    dtype, kind = working_dtype(x.device), DISTANCES[distance]
    z, centers, beta, b = (part.to(dtype) for part in (x, c, beta, b))
    z = kind.embed(z) if embeds else z
    k = centers.shape[0]
    nearest, d, excess = _distances_and_excess(z, centers)  # (n,), (n, 1), (n, k)
    if kind.constant_slope is not None and kind.is_radial:
        d, excess = kind.constant_slope * d, kind.constant_slope * excess
    else:
        all_d = kind.of_squared((d + excess).clamp_min(0)) if kind.is_radial else kind.between(z, centers)
        d = all_d.gather(1, nearest[:, None])
        excess = all_d - d
    beta_of_nearest = beta[nearest][:, None]
    logits = b[:k] - beta[:k] * excess - (beta[:k] - beta_of_nearest) * d
    if noise is not None:
        logits = torch.cat([logits, b[k:] - beta[k:] * noise + beta_of_nearest * d], 1)
    return logits.softmax(1)[:, :k].to(x.dtype)


def _distances_and_excess(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's nearest center (n,), its squared distance (n, 1), and how much farther all are (n, k)."""
    with torch.no_grad():
        origin = c.mean(0)
        moved, centers = z - origin, c - origin
        nearest = (centers.square().sum(1) - 2 * linear(moved, centers)).argmin(1)
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
