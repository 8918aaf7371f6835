"""Rows quantized by codes: the nearest code of each, the mean of the codes by memberships, and the sums of a batch."""

from __future__ import annotations

__all__ = ["BatchSums", "assign_batch", "code_means", "nearest_codes"]

from typing import NamedTuple

import torch
from torch import Tensor

from .. import functional, kernels
from ..data.block import Block, working_dtype
from ..data.distributed.ranks import sum_over_ranks
from ..data.scaling import Scaling
from ..distances import as_distance
from ..errors import InputError
from ..functional.graphs import records_graph, tensor_nearest
from ..model.stats import Stats


def nearest_codes(x: Tensor, codes: Tensor) -> Tensor:
    """Return the index (n,) of the code nearest to each row."""
    if records_graph() or x.is_meta:
        dtype = working_dtype(x.device)
        return tensor_nearest(x.detach().to(dtype), codes.detach().to(dtype))
    return _Rows.of(x, codes).nearest()


def code_means(x: Tensor, codes: Tensor, temperature: Tensor) -> Tensor:
    """Return the mean of the codes of each row (n, d), weighted by its memberships in them; differentiable.

    The gradient of the free energy F with respect to a row x is 2 (x - mean), so the kernels for F and its second
    derivatives compute this, too. They need no memory for n times k memberships, neither here nor in a backward pass.
    """
    needs_graph = torch.is_grad_enabled() and (x.requires_grad or codes.requires_grad)
    with torch.inference_mode(False), torch.enable_grad():
        if not needs_graph:  # copies, since tensors of inference mode can't be differentiated
            x, codes = x.detach().clone(), codes.detach().clone()
        rows = x if x.requires_grad else x.detach().requires_grad_()
        energy = functional.free_energy(rows, codes, temperature.clone(), reduction="sum")
        (slope,) = torch.autograd.grad(energy, rows, create_graph=needs_graph)
        return x - slope / 2


class BatchSums(NamedTuple):
    """Sums over the rows of a batch, on all ranks, in float64 (float32 on Apple's GPUs).

    Attributes
    ----------
    size : Tensor (k,)
        Number of rows whose nearest code each is.
    weight : Tensor (k,)
        Sums of the memberships.
    weighted_sum : Tensor (k, d)
        Sums of the rows times their memberships.
    distortion : Tensor ()
        Sum of the expected squared distances, by memberships.
    n_rows : Tensor ()
        Number of rows.
    """

    size: Tensor
    weight: Tensor
    weighted_sum: Tensor
    distortion: Tensor
    n_rows: Tensor


def assign_batch(x: Tensor, codes: Tensor, temperature: Tensor) -> tuple[Tensor, BatchSums]:
    """Return the index (n,) of the code nearest to each row, and sums over the rows of all ranks.

    Raises
    ------
    InputError
        On all ranks, if a row of any rank contains NaN or infinity.
    """
    rows, (k, d) = _Rows.of(x, codes), codes.shape
    own, indices = rows.codes.new_zeros(k * (d + 2) + 3), x.new_empty(0, dtype=torch.int64)
    if x.isfinite().all():
        indices, stats = rows.nearest(), rows.statistics(temperature)
        count = torch.bincount(indices, minlength=k).to(own)
        sums = [stats.weighted_sum.flatten(), stats.distortion.sum()[None], own.new_tensor([len(x), 0])]
        own = torch.cat([count, stats.weight, *sums])
    else:
        own[-1] = 1
    size, weight, weighted_sum, last = torch.split(sum_over_ranks(own), [k, k, k * d, 3])
    distortion, n_rows, n_failed = last.unbind()
    if n_failed > 0:
        raise InputError("contains NaN or infinity", parameter="x", hint="check the layers before the codebook")
    return indices, BatchSums(size, weight, weighted_sum.view(k, d), distortion, n_rows)


class _Rows(NamedTuple):
    """Rows and codes as the kernels take them, with the origin moved to the middle of the codes."""

    block: Block
    codes: Tensor
    scaling: Scaling

    @classmethod
    def of(cls, x: Tensor, codes: Tensor) -> _Rows:
        dtype, distance = working_dtype(x.device), as_distance("sqeuclidean")
        codes = codes.detach().to(dtype)
        scaling = Scaling(distance, codes.mean(0), 1.0)
        block = Block(x.detach(), None, x.device, dtype)
        return cls(block.scaled_by(scaling), codes - scaling.shift, scaling)

    def nearest(self) -> Tensor:
        """Return the index (n,) of the nearest code of each row."""
        return kernels.nearest(self.block, self.codes, self.scaling.distance)[0]

    def statistics(self, temperature: Tensor) -> Stats:
        """Return the sufficient statistics of the rows."""
        k = len(self.codes)
        beta = temperature.detach().to(self.codes).reciprocal().expand(k)
        stats = kernels.accumulate(self.block, self.codes, beta, torch.zeros_like(beta), self.scaling.distance)
        return self.scaling.inverse_transform_stats(stats)
