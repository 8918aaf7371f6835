"""The vectors of a codebook: rows, sequences of rows, or feature maps of images."""

from __future__ import annotations

__all__ = ["Quantized", "as_rows"]

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError


class Quantized(NamedTuple):
    """What a codebook returns.

    Attributes
    ----------
    quantized : Tensor
        The quantized features, in the shape and type of the input.
    indices : Tensor (n,), (b, n) or (b, h, w) of int64
        Index of the nearest code of each vector.
    loss : Tensor ()
        Loss to add to that of the network.
    """

    quantized: Tensor
    indices: Tensor
    loss: Tensor

    @classmethod
    def of(cls, x: Tensor, rows: Tensor, indices: Tensor, loss: Tensor) -> Quantized:
        """Return quantized rows (m, d) and indices (m,) in the shape and type of the vectors x."""
        if x.ndim < 4:
            return cls(rows.view(x.shape).to(x.dtype), indices.view(x.shape[:-1]), loss)
        b, d, h, w = x.shape
        return cls(rows.view(b, h, w, d).movedim(-1, 1).to(x.dtype), indices.view(b, h, w), loss)


def as_rows(x: Any, dim: int, dtype: torch.dtype) -> Tensor:
    """Return vectors (n, d), (b, n, d) or (b, d, h, w) as rows (m, d) of a type.

    Raises
    ------
    InputError
        If x is no floating tensor of such a shape, has no vectors, or has more bits than the type.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        found = f"dtype {x.dtype}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
        raise InputError(f"has {found}", parameter="x", expected="a tensor of floating-point numbers")
    rows = x.movedim(1, -1) if x.ndim == 4 else x
    if x.ndim not in (2, 3, 4) or rows.shape[-1] != dim:
        has_channels_last = x.ndim == 4 and x.shape[-1] == dim
        raise InputError(
            f"has shape {tuple(x.shape)}",
            parameter="x",
            expected=f"(n, {dim}), (b, n, {dim}) or (b, {dim}, h, w)",
            hint="move the channels by x.movedim(-1, 1)" if has_channels_last else "",
        )
    if not x.numel():
        raise InputError(f"has shape {tuple(x.shape)}, without vectors", parameter="x", expected="at least one")
    if torch.promote_types(x.dtype, dtype) != dtype:
        problem, hint = f"has dtype {x.dtype}", f"use codebook.to({x.dtype})"
        raise InputError(problem, parameter="x", expected=f"at most the bits of the codes, {dtype}", hint=hint)
    return rows.reshape(-1, dim).to(dtype)
