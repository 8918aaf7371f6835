"""The expected distortion as an objective."""

from __future__ import annotations

__all__ = ["Distortion"]

from dataclasses import replace

from torch import Tensor
from typing_extensions import override

from ..data.block import Block
from ..kernels import Logits, accumulate_distortion
from ..model.params import Params, PassStats
from .free_energy import FreeEnergy


class Distortion(FreeEnergy):
    """The expected distortion E = Σ w r d, for solvers that need only a gradient.

    The gradient includes that of the memberships r.
    """

    name = "distortion"
    minimized_by_em = False  # EM minimizes F, not E

    @override
    def accumulate(self, block: Block, params: Params) -> PassStats:
        beta, b, _ = self.logits(params)
        return PassStats(accumulate_distortion(block, Logits(params.centers, beta, b, self.scaling.distance)))

    @override
    def value(self, params: Params, sums: PassStats) -> float:
        return self.distortion(sums.stats)

    @override
    def gradient(self, params: Params, sums: PassStats) -> Tensor:
        stats = sums.stats
        gradient = 2 * (stats.irls_weight[:, None] * params.centers - stats.weighted_sum)
        return self._tangent(params, gradient).flatten()

    @override
    def preconditioner(self, params: Params, sums: PassStats) -> Tensor:
        # The weights of the gradient may be negative; the cluster weights give a curvature of the right size.
        stats = replace(sums.stats, irls_weight=sums.stats.weight)
        return super().preconditioner(params, sums._replace(stats=stats))
