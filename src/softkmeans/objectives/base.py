"""What solvers ask of an objective, in terms of Stats: value, gradient and EM's update."""

from __future__ import annotations

__all__ = ["MIN_PRIOR", "Objective", "each"]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..data.block import Block
from ..data.scaling import Scaling
from ..kernels import accumulate
from ..model.assignment import AssignmentRule
from ..model.m_step import distortion_after, em_step
from ..model.params import ModelSpec, Params, PassStats
from ..model.stats import Stats
from ..temperature import TemperatureRule

MIN_PRIOR = 1e-300  # what a cluster's prior may fall to: its logarithm is to be finite


class Objective(ABC):
    """An objective over Params. Solvers see points as flat vectors: the centers, then what else is learned.

    That is log T, of all clusters or of each, and the logits of the priors.

    Parameters
    ----------
    scaling : Scaling
        The space the fit works in.
    temperature : TemperatureRule
        How T follows the data.
    spec : ModelSpec
        Which member of the family is fitted.
    """

    name: str
    has_update = True  # whether EM's update lowers it
    has_gradient = True
    patience = 1  # how many updates in a row may bring no improvement before that is the end

    def __init__(self, scaling: Scaling, temperature: TemperatureRule, spec: ModelSpec | None = None) -> None:
        self.scaling, self.temperature, self.spec = scaling, temperature, spec or ModelSpec()

    def accumulate(self, block: Block, params: Params) -> PassStats:
        """Sum up a block at a point; the sums of all blocks give value, gradient and update."""
        b, rule = self.logit_offsets(params)
        return PassStats(accumulate(block, params.centers, 1 / params.temperature, b, self.scaling.distance, rule))

    def logit_offsets(self, params: Params) -> tuple[Tensor, AssignmentRule]:
        """Give b (k,), and the rule with its logit of belonging to no cluster; b = 0 for equal priors."""
        bias = params.log_prior + math.log(len(params.log_prior))
        if self.spec.noise is None:
            return bias, self.spec.rule
        return bias[:-1], replace(self.spec.rule, outside=float(bias[-1] - self.spec.noise / params.temperature[0]))  # type: ignore[type-var]

    @abstractmethod
    def value(self, params: Params, sums: PassStats) -> float:
        """Give the objective at a point."""

    @abstractmethod
    def tolerance_scale(self, sums: PassStats) -> float:
        """Give what ``tol`` is relative to; the objective itself may cross zero and is none."""

    def is_met(self, value: float, sums: PassStats, tol: float) -> bool:
        """Whether nothing can be gained beyond a value, which few objectives know."""
        return False

    def is_reached(self, params: Params, sums: PassStats) -> bool:
        """Whether a point where nothing improves any more is what was looked for."""
        return True

    @abstractmethod
    def logit_scale(self, params: Params) -> float:
        """Give what a logit of 1 is worth in this objective."""

    @abstractmethod
    def in_data_units(self, value: float, n: float) -> float:
        """Give a value, of rows of weight n in all, in the data's units."""

    def selection_value(self, params: Params, sums: PassStats) -> float:
        """Give what restarts are compared by, lower being better."""
        return self.value(params, sums)

    def gradient(self, params: Params, sums: PassStats) -> Tensor:
        """Give the gradient over the flat vector."""
        stats, logit_scale = sums.stats, self.logit_scale(params)
        centers = self._tangent(params, -2 * stats.irls_weight[:, None] * em_step(params, stats))
        parts = [(centers / (params.temperature / logit_scale)[:, None]).flatten()]
        if self.temperature.learned:
            parts.append(self._temperature_gradient(params, stats))
        if self.spec.learn_priors:
            parts.append(logit_scale * (float(stats.n) * params.log_prior.exp() - self._cluster_weights(stats)))
        return torch.cat(parts)

    def _tangent(self, params: Params, gradient: Tensor) -> Tensor:
        """Keep of a gradient (k, d) what moves the centers that move within their space."""
        gradient = self.scaling.distance.tangent(params.centers, gradient)
        frozen = self.spec.frozen
        return gradient if frozen is None else gradient.masked_fill(frozen[:, None], 0.0)

    def _temperature_gradient(self, params: Params, stats: Stats) -> Tensor:
        """∂NLL/∂log T (k,) or (1,)."""

        def own(t: float) -> float:
            return self.scaling.distance.mean_distortion(t, len(self.scaling.shift))

        t = params.temperature
        if self.temperature.per_cluster:
            return (stats.weight * each(own, t) - stats.distortion) / t
        return t.new_tensor([(float(stats.n) * own(float(t[0])) - self.distortion(stats)) / float(t[0])])

    def preconditioner(self, params: Params, sums: PassStats) -> Tensor:
        """Inverse curvatures over the flat vector with which a gradient step is, to first order, EM's update."""
        stats, logit_scale = sums.stats, self.logit_scale(params)
        irls_weight = stats.irls_weight.clamp_min(torch.finfo(params.centers.dtype).tiny)
        parts = [(0.5 / irls_weight * (params.temperature / logit_scale))[:, None].expand_as(params.centers).flatten()]
        if self.temperature.learned:
            parts.append(
                1 / (self._shared(stats.distortion, stats) / params.temperature[self._which]).clamp_min(1e-300)
            )
        if self.spec.learn_priors:
            parts.append(1 / (logit_scale * float(stats.n) * params.log_prior.exp()).clamp_min(1e-300))
        return torch.cat(parts)

    @property
    def _which(self) -> slice:
        """Which temperatures are coordinates: each cluster's, or the first, which is that of all."""
        return slice(None) if self.temperature.per_cluster else slice(1)

    def _shared(self, distortion: Tensor, stats: Stats) -> Tensor:
        """Distortions (k,) as they are, or their sum (1,) if all share a temperature, that of noise included."""
        if self.temperature.per_cluster:
            return distortion
        return (distortion.sum() + self._noise(stats)).expand(1)

    def noise_weight(self, stats: Stats) -> float:
        """Give the weight of the cluster of noise, 0 where only rounding is left of it."""
        left = float(stats.n - stats.weight.sum())
        return left if self.spec.noise is not None and left > 1e-12 * float(stats.n) else 0.0

    def _noise(self, stats: Stats) -> float:
        return (self.spec.noise or 0.0) * self.noise_weight(stats)

    def distortion(self, stats: Stats) -> float:
        """Give E, that of the cluster of noise included."""
        return float(stats.distortion.sum()) + self._noise(stats)

    def _cluster_weights(self, stats: Stats) -> Tensor:
        """Weights (k,) of the clusters, or (k + 1,) with that of noise."""
        if self.spec.noise is None:
            return stats.weight
        return torch.cat([stats.weight, stats.weight.new_tensor([self.noise_weight(stats)])])

    def entropy(self, params: Params, sums: PassStats) -> float:
        """Give H, Σ w (objective - Σ r logit); 0 where T is so low that only rounding is left of the difference."""
        stats = sums.stats
        b, rule = self.logit_offsets(params)
        logit_scale = float((stats.distortion / params.temperature).sum())
        outside = 0.0 if self.spec.noise is None else rule.outside * float(self._cluster_weights(stats)[-1])
        most = float(stats.n) * math.log(len(params.log_prior))
        found = logit_scale + float(stats.objective) - float(b @ stats.weight) - outside
        return min(max(0.0, found), most) if logit_scale * 1e-14 < most else 0.0

    def mean_entropy(self, params: Params, sums: PassStats) -> float:
        """Give the mean entropy of a row, in nats."""
        return self.entropy(params, sums) / float(sums.stats.n)

    def free_energy(self, params: Params, sums: PassStats) -> float:
        """Give F in this space; there is none where clusters differ in temperature."""
        return math.nan if self.temperature.per_cluster else -float(params.temperature[0] * sums.stats.objective)

    def update(self, params: Params, sums: PassStats) -> Params:
        """EM's M-step: the centers, and T and priors if learned, that are best at fixed responsibilities."""
        stats, frozen = sums.stats, self.spec.frozen
        centers = self.scaling.distance.embed(params.centers + em_step(params, stats))
        if frozen is not None:
            centers = torch.where(frozen[:, None], params.centers, centers)
        log_prior = params.log_prior
        if self.spec.learn_priors:
            log_prior = (self._cluster_weights(stats) / stats.n).clamp_min(MIN_PRIOR).log()
        return Params(centers, self._likeliest(centers, params, stats), log_prior)

    def _likeliest(self, centers: Tensor, params: Params, stats: Stats) -> Tensor:
        """Temperatures (k,) after a step to new centers; clusters without weight keep theirs."""
        if not self.temperature.learned:
            return params.temperature
        weights = stats.weight if self.temperature.per_cluster else stats.n[None]
        distortion = self._shared(distortion_after(centers, params, stats), stats)
        found = [
            self.temperature.update(self.scaling, t, e / w) if w > 0 else t
            for t, e, w in zip(
                params.temperature[self._which].tolist(), distortion.tolist(), weights.tolist(), strict=True
            )
        ]
        return params.temperature.new_tensor(found).expand_as(params.temperature)

    def pack(self, params: Params) -> Tensor:
        """Flatten a point."""
        parts = [params.centers.flatten()]
        if self.temperature.learned:
            parts.append(params.temperature[self._which].log())
        if self.spec.learn_priors:
            parts.append(params.log_prior)
        return torch.cat(parts)

    def unpack(self, vector: Tensor, like: Params) -> Params:
        """Make a point of a flat vector."""
        centers, rest = vector[: like.centers.numel()].view_as(like.centers), vector[like.centers.numel() :]
        temperature, log_prior = like.temperature, like.log_prior
        if self.temperature.learned:
            n = len(temperature[self._which])
            logs, rest = rest[:n], rest[n:]
            coldest = self.temperature.update(self.scaling, float(temperature[0]), 0.0)
            temperature = logs.clamp_max(400.0).exp().clamp_min(coldest).expand_as(temperature)
        if self.spec.learn_priors:
            log_prior = torch.log_softmax(rest, 0).clamp_min(math.log(MIN_PRIOR))
        return Params(self.scaling.distance.embed(centers), temperature, log_prior)


def each(of: Callable[[float], float], values: Tensor) -> Tensor:
    """Give a function's value at each of some numbers (m,)."""
    return values.new_tensor([of(value) for value in values.tolist()])
