"""What solvers ask of an objective, in terms of Stats: value, gradient and EM's update."""

from __future__ import annotations

__all__ = ["LEAST", "Objective", "each"]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..data.block import Block
from ..data.scaling import Space
from ..kernels import accumulate
from ..model.assignment import Rule
from ..model.params import Params, Summary, Variant, distortion_after, em_step
from ..model.stats import Stats
from ..temperature import TemperatureRule

LEAST = 1e-300  # what a cluster's prior may fall to: its logarithm is to be finite


class Objective(ABC):
    """An objective over Params. Solvers see points as flat vectors: the centres, then what else is learned.

    That is log T, of all clusters or of each, and the logits of the priors.

    Parameters
    ----------
    space : Space
        The space the fit works in.
    temperature : TemperatureRule
        How T follows the data.
    variant : Variant
        Which member of the family is fitted.
    """

    name: str
    has_update = True  # whether EM's update lowers it
    has_gradient = True
    patience = 1  # how many updates in a row may bring no improvement before that is the end

    def __init__(self, space: Space, temperature: TemperatureRule, variant: Variant | None = None) -> None:
        self.space, self.temperature, self.variant = space, temperature, variant or Variant()

    def summarize(self, block: Block, params: Params) -> Summary:
        """Sum up a block at a point; the sums of all blocks give value, gradient and update."""
        b, rule = self.masses(params)
        return Summary(accumulate(block, params.centers, 1 / params.temperature, b, self.space.distance, rule))

    def masses(self, params: Params) -> tuple[Tensor, Rule]:
        """Give b (k,), and the rule with its logit of belonging to no cluster; b = 0 for equal priors."""
        bias = params.log_prior + math.log(len(params.log_prior))
        if self.variant.noise is None:
            return bias, self.variant.rule
        return bias[:-1], replace(
            self.variant.rule, outside=float(bias[-1] - self.variant.noise / params.temperature[0])
        )  # type: ignore[type-var]

    @abstractmethod
    def value(self, params: Params, summary: Summary) -> float:
        """Give the objective at a point."""

    @abstractmethod
    def resolution(self, summary: Summary) -> float:
        """Give what ``tol`` is relative to; the objective itself may cross zero and is none."""

    def is_met(self, value: float, summary: Summary, tol: float) -> bool:
        """Whether nothing can be gained beyond a value, which few objectives know."""
        return False

    def is_reached(self, params: Params, summary: Summary) -> bool:
        """Whether a point where nothing improves any more is what was looked for."""
        return True

    @abstractmethod
    def heat(self, params: Params) -> float:
        """Give what a logit of 1 is worth in this objective."""

    @abstractmethod
    def in_units(self, value: float, n: float) -> float:
        """Give a value, of rows of weight n in all, in the data's units."""

    def merit(self, params: Params, summary: Summary) -> float:
        """Give what restarts are compared by, lower being better."""
        return self.value(params, summary)

    def gradient(self, params: Params, summary: Summary) -> Tensor:
        """Give the gradient over the flat vector."""
        stats, heat = summary.stats, self.heat(params)
        centers = self._tangent(params, -2 * stats.pull[:, None] * em_step(params, stats))
        parts = [(centers / (params.temperature / heat)[:, None]).flatten()]
        if self.temperature.learned:
            parts.append(self._temperature_gradient(params, stats))
        if self.variant.learn_priors:
            parts.append(heat * (float(stats.n) * params.log_prior.exp() - self._cluster_weights(stats)))
        return torch.cat(parts)

    def _tangent(self, params: Params, gradient: Tensor) -> Tensor:
        """Keep of a gradient (k, d) what moves the centres that move within their space."""
        gradient = self.space.distance.tangent(params.centers, gradient)
        frozen = self.variant.frozen
        return gradient if frozen is None else gradient.masked_fill(frozen[:, None], 0.0)

    def _temperature_gradient(self, params: Params, stats: Stats) -> Tensor:
        """∂NLL/∂log T (k,) or (1,)."""

        def own(t: float) -> float:
            return self.space.distance.mean_distortion(t, len(self.space.shift))

        t = params.temperature
        if self.temperature.per_cluster:
            return (stats.weight * each(own, t) - stats.distortion) / t
        return t.new_tensor([(float(stats.n) * own(float(t[0])) - self.distortion(stats)) / float(t[0])])

    def preconditioner(self, params: Params, summary: Summary) -> Tensor:
        """Inverse curvatures over the flat vector with which a gradient step is, to first order, EM's update."""
        stats, heat = summary.stats, self.heat(params)
        pull = stats.pull.clamp_min(torch.finfo(params.centers.dtype).tiny)
        parts = [(0.5 / pull * (params.temperature / heat))[:, None].expand_as(params.centers).flatten()]
        if self.temperature.learned:
            parts.append(
                1 / (self._shared(stats.distortion, stats) / params.temperature[self._which]).clamp_min(1e-300)
            )
        if self.variant.learn_priors:
            parts.append(1 / (heat * float(stats.n) * params.log_prior.exp()).clamp_min(1e-300))
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
        return left if self.variant.noise is not None and left > 1e-12 * float(stats.n) else 0.0

    def _noise(self, stats: Stats) -> float:
        return (self.variant.noise or 0.0) * self.noise_weight(stats)

    def distortion(self, stats: Stats) -> float:
        """Give E, that of the cluster of noise included."""
        return float(stats.distortion.sum()) + self._noise(stats)

    def _cluster_weights(self, stats: Stats) -> Tensor:
        """Weights (k,) of the clusters, or (k + 1,) with that of noise."""
        if self.variant.noise is None:
            return stats.weight
        return torch.cat([stats.weight, stats.weight.new_tensor([self.noise_weight(stats)])])

    def entropy(self, params: Params, summary: Summary) -> float:
        """Give H, Σ w (objective - Σ r logit); 0 where T is so low that only rounding is left of the difference."""
        stats = summary.stats
        b, rule = self.masses(params)
        heat = float((stats.distortion / params.temperature).sum())
        outside = 0.0 if self.variant.noise is None else rule.outside * float(self._cluster_weights(stats)[-1])
        most = float(stats.n) * math.log(len(params.log_prior))
        found = heat + float(stats.objective) - float(b @ stats.weight) - outside
        return min(max(0.0, found), most) if heat * 1e-14 < most else 0.0

    def softness(self, params: Params, summary: Summary) -> float:
        """Give the mean entropy of a row, in nats."""
        return self.entropy(params, summary) / float(summary.stats.n)

    def free_energy(self, params: Params, summary: Summary) -> float:
        """Give F in this space; there is none where clusters differ in temperature."""
        return math.nan if self.temperature.per_cluster else -float(params.temperature[0] * summary.stats.objective)

    def update(self, params: Params, summary: Summary) -> Params:
        """EM's M-step: the centres, and T and priors if learned, that are best at fixed responsibilities."""
        stats, frozen = summary.stats, self.variant.frozen
        centers = self.space.distance.embed(params.centers + em_step(params, stats))
        if frozen is not None:
            centers = torch.where(frozen[:, None], params.centers, centers)
        log_prior = params.log_prior
        if self.variant.learn_priors:
            log_prior = (self._cluster_weights(stats) / stats.n).clamp_min(LEAST).log()
        return Params(centers, self._likeliest(centers, params, stats), log_prior)

    def _likeliest(self, centers: Tensor, params: Params, stats: Stats) -> Tensor:
        """Temperatures (k,) after a step to new centres; clusters without weight keep theirs."""
        if not self.temperature.learned:
            return params.temperature
        weights = stats.weight if self.temperature.per_cluster else stats.n[None]
        distortion = self._shared(distortion_after(centers, params, stats), stats)
        found = [
            self.temperature.update(self.space, t, e / w) if w > 0 else t
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
        if self.variant.learn_priors:
            parts.append(params.log_prior)
        return torch.cat(parts)

    def unpack(self, vector: Tensor, like: Params) -> Params:
        """Make a point of a flat vector."""
        centers, rest = vector[: like.centers.numel()].view_as(like.centers), vector[like.centers.numel() :]
        temperature, log_prior = like.temperature, like.log_prior
        if self.temperature.learned:
            n = len(temperature[self._which])
            logs, rest = rest[:n], rest[n:]
            coldest = self.temperature.update(self.space, float(temperature[0]), 0.0)
            temperature = logs.clamp_max(400.0).exp().clamp_min(coldest).expand_as(temperature)
        if self.variant.learn_priors:
            log_prior = torch.log_softmax(rest, 0).clamp_min(math.log(LEAST))
        return Params(self.space.distance.embed(centers), temperature, log_prior)


def each(of: Callable[[float], float], values: Tensor) -> Tensor:
    """Give a function's value at each of some numbers (m,)."""
    return values.new_tensor([of(value) for value in values.tolist()])
