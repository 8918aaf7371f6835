"""What a fit minimises, in terms of Stats: value, gradient and EM's update."""

from __future__ import annotations

__all__ = ["Distortion", "FreeEnergy", "NegativeLogLikelihood", "Objective", "Params", "Summary"]

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from . import functional
from .blocks import Block
from .kernels import accumulate, tiles
from .space import Space
from .stats import Stats
from .temperature import TemperatureRule


class Params(NamedTuple):
    """A point of the search, in the space the fit works in.

    Attributes
    ----------
    centers : Tensor (k, d)
        Embedded centres.
    temperature : float
        T > 0.
    """

    centers: Tensor
    temperature: float


class Summary(NamedTuple):
    """Stats of some rows at some Params, and what more an objective needs of them.

    Attributes
    ----------
    stats : Stats
        All that the free energy and the likelihood need.
    gradient : Tensor (k, d) or (0,)
        ∂E/∂c where the distortion E is the objective: Stats don't hold it.
    """

    stats: Stats
    gradient: Tensor = torch.empty(0)

    def __add__(self, other: Summary) -> Summary:  # type: ignore[override]
        return Summary(self.stats + other.stats, self.gradient + other.gradient)


class Objective(ABC):
    """An objective over Params. Solvers see points as flat vectors: the centres, then log T where it is learned.

    Parameters
    ----------
    space : Space
        The space the fit works in.
    rule : TemperatureRule
        How T follows the data.
    """

    name: str
    has_update = True  # whether EM's update lowers it

    def __init__(self, space: Space, rule: TemperatureRule) -> None:
        self.space, self.rule = space, rule

    def summarize(self, block: Block, params: Params) -> Summary:
        """Sum up a block at a point; the sums of all blocks give value, gradient and update."""
        c = params.centers
        beta = c.new_full((len(c),), 1 / params.temperature)
        return Summary(accumulate(block, c, beta, torch.zeros_like(beta), self.space.distance))

    @abstractmethod
    def value(self, params: Params, summary: Summary) -> float:
        """Give the objective at a point."""

    @abstractmethod
    def resolution(self, summary: Summary) -> float:
        """Give what ``tol`` is relative to; the objective itself may cross zero and is none."""

    @abstractmethod
    def gradient(self, params: Params, summary: Summary) -> Tensor:
        """Give the gradient over the flat vector."""

    @abstractmethod
    def in_units(self, value: float, summary: Summary) -> float:
        """Give a value in the data's units."""

    def entropy(self, params: Params, summary: Summary) -> float:
        """Give H = (E - F) / T; 0 where T is so low that only rounding is left of the difference."""
        heat = float(summary.stats.distortion.sum()) / params.temperature
        most = float(summary.stats.n) * math.log(len(params.centers))
        return min(max(0.0, heat + float(summary.stats.objective)), most) if heat * 1e-14 < most else 0.0

    def update(self, params: Params, summary: Summary) -> Params:
        """EM's M-step: the centres, and T, that are best at fixed responsibilities."""
        centers = self.space.distance.embed(params.centers + _em_step(params, summary.stats))
        distortion = _distortion_after(centers, params, summary.stats) / float(summary.stats.n)
        return Params(centers, self.rule.update(self.space, params.temperature, distortion))

    def preconditioner(self, params: Params, summary: Summary) -> Tensor:
        """Inverse curvatures over the flat vector with which a gradient step is, to first order, EM's update."""
        pull = summary.stats.pull[:, None].clamp_min(torch.finfo(params.centers.dtype).tiny)
        return (0.5 / pull).expand_as(params.centers).flatten()

    def pack(self, params: Params) -> Tensor:
        """Flatten a point."""
        return params.centers.flatten()

    def unpack(self, vector: Tensor, like: Params) -> Params:
        """Make a point of a flat vector."""
        return Params(self.space.distance.embed(vector[: like.centers.numel()].view_as(like.centers)), like.temperature)


class FreeEnergy(Objective):
    """F = -T Σ w log Σ exp(-d / T), at a temperature that is not learned."""

    name = "free_energy"

    @override
    def value(self, params: Params, summary: Summary) -> float:
        return -params.temperature * float(summary.stats.objective)

    @override
    def resolution(self, summary: Summary) -> float:
        return float(summary.stats.distortion.sum())

    @override
    def gradient(self, params: Params, summary: Summary) -> Tensor:
        ambient = -2 * summary.stats.pull[:, None] * _em_step(params, summary.stats)
        return self.space.distance.tangent(params.centers, ambient).flatten()

    @override
    def in_units(self, value: float, summary: Summary) -> float:
        return value * self.space.unit


class NegativeLogLikelihood(Objective):
    """NLL = F / T + Σw (log k + log Z(T)) of the equivalent mixture, the objective that can learn T."""

    name = "nll"

    @override
    def value(self, params: Params, summary: Summary) -> float:
        t = torch.tensor(params.temperature, dtype=torch.float64)
        log_z = float(self.space.distance.log_partition(t, len(self.space.shift)))
        return -float(summary.stats.objective) + float(summary.stats.n) * (math.log(len(params.centers)) + log_z)

    @override
    def resolution(self, summary: Summary) -> float:
        return float(summary.stats.n) * len(self.space.shift)

    @override
    def gradient(self, params: Params, summary: Summary) -> Tensor:
        stats = summary.stats
        centers = FreeEnergy(self.space, self.rule).gradient(params, summary) / params.temperature
        if not self.rule.learned:
            return centers
        own = float(stats.n) * self.space.distance.mean_distortion(params.temperature, len(self.space.shift))
        of_log_t = (own - float(stats.distortion.sum())) / params.temperature
        return torch.cat([centers, centers.new_tensor([of_log_t])])

    @override
    def preconditioner(self, params: Params, summary: Summary) -> Tensor:
        centers = super().preconditioner(params, summary) * params.temperature
        if not self.rule.learned:
            return centers
        curvature = max(float(summary.stats.distortion.sum()) / params.temperature, 1e-300)
        return torch.cat([centers, centers.new_tensor([1 / curvature])])

    @override
    def pack(self, params: Params) -> Tensor:
        centers = super().pack(params)
        return (
            torch.cat([centers, centers.new_tensor([math.log(params.temperature)])]) if self.rule.learned else centers
        )

    @override
    def unpack(self, vector: Tensor, like: Params) -> Params:
        if not self.rule.learned:
            return super().unpack(vector, like)
        coldest = self.rule.update(self.space, like.temperature, 0.0)
        temperature = max(math.exp(min(float(vector[-1]), 400.0)), coldest)
        return super().unpack(vector, like)._replace(temperature=temperature)

    @override
    def in_units(self, value: float, summary: Summary) -> float:
        # A density over rows s times as wide is s ** -d as high; on the sphere nothing changes.
        widening = math.log(self.space.scale) if self.space.distance.translates else 0.0
        return value + float(summary.stats.n) * len(self.space.shift) * widening


class Distortion(Objective):
    """E = Σ w r d with its full gradient, through r; by autograd, and for solvers that need no more than a gradient."""

    name = "distortion"
    has_update = False  # EM lowers F

    @override
    def summarize(self, block: Block, params: Params) -> Summary:
        c = params.centers.detach().requires_grad_()
        gradient = torch.zeros_like(params.centers)
        with torch.enable_grad():
            for tile in tiles(block, len(c)):
                each = functional.distortion(tile.x, c, params.temperature, self.space.distance, reduction="none")
                gradient += torch.autograd.grad(tile.w @ each, c)[0]
        return super().summarize(block, params)._replace(gradient=gradient)

    @override
    def value(self, params: Params, summary: Summary) -> float:
        return float(summary.stats.distortion.sum())

    @override
    def resolution(self, summary: Summary) -> float:
        return float(summary.stats.distortion.sum())

    @override
    def gradient(self, params: Params, summary: Summary) -> Tensor:
        return self.space.distance.tangent(params.centers, summary.gradient).flatten()

    @override
    def in_units(self, value: float, summary: Summary) -> float:
        return value * self.space.unit


def _means(stats: Stats, otherwise: Tensor) -> Tensor:
    """Weighted means (k, d) of the clusters' rows; the centres given for clusters without weight."""
    pull = stats.pull[:, None]  # (k, 1)
    alive = pull > torch.finfo(pull.dtype).tiny
    return torch.where(alive, stats.weighted_sum / torch.where(alive, pull, 1.0), otherwise)


def _em_step(params: Params, stats: Stats) -> Tensor:
    """How far (k, d) EM moves each centre: to the weighted mean of its rows; a cluster without weight stays.

    Where rows sit on a centre and the distance has a kink there, they hold the centre back (Vardi & Zhang, "The
    multivariate L1-median and associated data depth", PNAS 2000).
    """
    step = _means(stats, params.centers) - params.centers
    resultant = 2 * stats.pull[:, None] * torch.linalg.vector_norm(step, dim=1, keepdim=True)
    held = torch.where(resultant > 0, stats.anchor[:, None] / torch.where(resultant > 0, resultant, 1.0), 0.0)
    return step * (1 - held.clamp_max(1.0))


def _distortion_after(centers: Tensor, params: Params, stats: Stats) -> float:
    """E at new centres and the old responsibilities; for distances concave in the squared one, a bound on it.

    Around the mean m, A ‖x - c‖² changes by A (‖c_new - m‖² - ‖c_old - m‖²),
    and rows on a kink end up ‖c_new - c_old‖ away.
    """
    means, norm = _means(stats, params.centers), torch.linalg.vector_norm
    spread = norm(centers - means, dim=1).square() - norm(params.centers - means, dim=1).square()
    moved = norm(centers - params.centers, dim=1)
    return max(float(stats.distortion.sum() + stats.pull @ spread + stats.anchor @ moved), 0.0)
