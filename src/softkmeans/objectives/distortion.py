"""The expected distortion as an objective."""

from __future__ import annotations

__all__ = ["Distortion"]

import torch
from torch import Tensor
from typing_extensions import override

from .. import functional
from ..data.block import Block
from ..kernels import tiles
from ..model.params import Params, PassStats
from .free_energy import FreeEnergy


class Distortion(FreeEnergy):
    """The expected distortion E = Σ w r d, for solvers that need only a gradient.

    The gradient includes that of the memberships r and is computed by autograd.
    """

    name = "distortion"
    minimized_by_em = False  # EM minimizes F, not E

    @override
    def accumulate(self, block: Block, params: Params) -> PassStats:
        c, t = params.centers.detach().requires_grad_(), float(params.temperature[0])
        gradient = torch.zeros_like(params.centers)
        with torch.enable_grad():
            for tile in tiles(block, len(c)):
                distortion = functional.distortion(tile.x, c, t, self.scaling.distance, reduction="none")
                gradient += torch.autograd.grad(tile.w @ distortion, c)[0]
        return super().accumulate(block, params)._replace(extra=gradient)

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return self.distortion(sums.stats)

    @override
    def gradient(self, params: Params, sums: PassStats) -> Tensor:
        return self._tangent(params, sums.extra).flatten()
