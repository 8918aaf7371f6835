"""The interface of an objective: value, gradient and EM update, computed from Stats."""

from __future__ import annotations

__all__ = ["Objective"]

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from .._utils.few_numbers import (
    Numbers,
    as_array,
    at_least,
    at_most,
    exp,
    filled,
    from_array,
    inner,
    joined,
    log,
    quietly,
    repeated,
    sum_of,
    where,
)
from .._utils.one_thread import in_one_thread
from ..data.block import Block
from ..data.scaling import Scaling
from ..kernels import accumulate
from ..model.logits import Logits, make_logits
from ..model.m_step import MStep
from ..model.params import MIN_PRIOR, ModelSpec, Params, PassStats
from ..model.stats import Stats
from ..temperature import TemperatureRule

MIN_STATIONARITY = 1e-9  # relative decrease of the objective below which parameters are stationary, if ``tol`` is 0
MIN_LENGTH = 1e-6  # of steps, relative to the spread of all rows
MAX_UNTHREADED = 2**15  # numbers that PyTorch works on alone; its threads wait actively, and slow down the kernels
MIN_CURVATURE = 1e-300  # lower bound of a curvature, so that its inverse is finite
MAX_DISTORTION = 1e300  # of a row, at which the likeliest T is the largest one
MAX_LOG_TEMPERATURE = 400.0  # upper bound of log T after a step, so that T and sums of it are finite


class Objective(ABC):
    """An objective as a function of Params.

    For solvers that work on vectors, `pack` flattens Params: the centers, then log T if it is learned (one for all
    clusters or one for each), then the logits of the priors if they are learned.

    Parameters
    ----------
    scaling : Scaling
        Centering and scaling of the data.
    temperature : TemperatureRule
        Determines T from the data.
    spec : ModelSpec
        The variant of the model.
    """

    name: ClassVar[str]
    minimized_by_em: ClassVar[bool] = True  # whether the EM update lowers this objective
    has_gradient: ClassVar[bool] = True
    has_free_energy: ClassVar[bool] = True  # whether the free energy describes the same model
    patience: ClassVar[int] = 1  # number of consecutive updates without improvement after which a fit ends
    _last_m_step: MStep | None = None

    def __init__(self, scaling: Scaling, temperature: TemperatureRule, spec: ModelSpec | None = None) -> None:
        self.scaling, self.temperature = scaling, temperature
        self.spec = (spec or ModelSpec())._replace(per_cluster=temperature.per_cluster)

    @property
    def has_update(self) -> bool:
        """True if there is an EM update that lowers the objective."""
        return self.minimized_by_em and self.scaling.distance.has_update

    def accumulate(self, block: Block, params: Params) -> PassStats:
        """Compute the sums over a block's rows from whose totals value, gradient and update are computed."""
        beta, b, rule = self.logits(params)
        return PassStats(accumulate(block, params.centers, beta, b, self.scaling.distance, rule))

    def logits(self, params: Params) -> Logits:
        """Return the logits at given parameters."""
        return make_logits(params, self.spec, self.scaling.distance)

    @abstractmethod
    def value(self, params: Params, sums: PassStats) -> float:
        """Return the objective at given parameters, from the sums at these parameters."""

    @abstractmethod
    def tolerance_scale(self, sums: PassStats) -> float:
        """Return the scale that ``tol`` is relative to. It is not the objective, which may cross zero."""

    def is_at_minimum(self, value: float, sums: PassStats, tol: float) -> bool:
        """Return whether a value is close enough to the minimum to stop, for objectives whose minimum is known."""
        return False

    def is_solution(self, params: Params, sums: PassStats) -> bool:
        """Return whether parameters at which the value no longer improves are a solution."""
        return True

    def is_stationary(self, params: Params, sums: PassStats, tol: float) -> bool:
        """Return whether the gradient is so small that a step would hardly lower the objective, relative to ``tol``.

        The decrease is that of a quadratic model, whose curvatures are the inverse of the `preconditioner`. They are
        not known for a distance that is no function of the Euclidean one, for which the answer is always True.
        """
        if not self.scaling.distance.is_radial:
            return True
        inverse_curvature, before = self.preconditioner(params, sums), self.pack(params)
        after = before - inverse_curvature * self.gradient(params, sums)
        step = self.pack(self.unpack(after, params)) - before  # a temperature at its lower bound stays there
        decrease = 0.5 * float((step.square() / inverse_curvature).sum())
        return decrease <= max(tol, MIN_STATIONARITY) * self.tolerance_scale(sums)

    @abstractmethod
    def logit_scale(self, params: Params) -> float:
        """Return the factor from logits to the objective: T for the free energy, 1 for the likelihood."""

    @abstractmethod
    def in_data_units(self, value: float, n: float) -> float:
        """Convert the objective of rows of total weight n to the data's units."""

    def selection_value(self, params: Params, sums: PassStats) -> float:
        """Return the value by which restarts are compared; lower is better."""
        return self.value(params, sums)

    @quietly
    def gradient(self, params: Params, sums: PassStats) -> Tensor:
        """Return the gradient with respect to the vector of `pack`."""
        stats, logit_scale, m_step = sums.stats, self.logit_scale(params), self._m_step(params, sums.stats)
        factor = -2 * logit_scale * m_step.irls_weight / m_step.temperature
        of_centers = from_array(factor[:, None] * m_step.step)
        parts = [as_array(self._tangent(params, of_centers)).reshape(-1)]
        if self.temperature.learned:
            parts.append(self._temperature_gradient(m_step))
        if self.spec.learn_priors:
            priors, weights = params.log_prior.exp(), self._cluster_weights(stats)
            parts.append(as_array(logit_scale * (float(stats.n) * priors - weights)))
        return from_array(joined(parts))

    def _tangent(self, params: Params, gradient: Tensor) -> Tensor:
        """Project a gradient (k, d) onto the directions in which centers can move; it is 0 for frozen centers."""
        gradient = self.scaling.distance.tangent(params.centers, gradient)
        frozen = self.spec.frozen
        return gradient if frozen is None else gradient.masked_fill(frozen[:, None], 0.0)

    def _temperature_gradient(self, m_step: MStep) -> Numbers:
        """Return ∂NLL/∂log T: (k,) if each cluster has a temperature, otherwise (1,)."""
        distance, n_features = self.scaling.distance, self.scaling.n_features
        if self.temperature.per_cluster:
            means = as_array(distance.mean_distortions(m_step.params.temperature, n_features))
            return (as_array(m_step.stats.weight) * means - m_step.distortion) / m_step.temperature
        t = float(m_step.temperature[0])
        excess = m_step.n * distance.mean_distortion(t, n_features) - self._pooled_distortion(m_step)
        return filled(m_step.distortion, 1, excess / t)

    def _m_step(self, params: Params, stats: Stats) -> MStep:
        """Return the M-step, kept because each pass uses it several times."""
        if self._last_m_step is None or not self._last_m_step.is_of(params, stats):
            self._last_m_step = MStep(params, stats)
        return self._last_m_step

    @quietly
    def preconditioner(self, params: Params, sums: PassStats) -> Tensor:
        """Return inverse curvatures in the order of `pack`: they make a gradient step an EM update to first order."""
        m_step, logit_scale = self._m_step(params, sums.stats), self.logit_scale(params)
        irls_weight = at_least(m_step.irls_weight, torch.finfo(params.centers.dtype).tiny)
        parts = [repeated(0.5 / logit_scale * m_step.temperature / irls_weight, params.centers.shape[1])]
        if self.temperature.learned:
            if self.temperature.per_cluster:
                curvature = m_step.distortion / m_step.temperature
            else:
                t = float(m_step.temperature[0])
                curvature = filled(m_step.distortion, 1, self._pooled_distortion(m_step) / t)
            parts.append(1 / at_least(curvature, MIN_CURVATURE))
        if self.spec.learn_priors:
            curvature = as_array(logit_scale * m_step.n * params.log_prior.exp())
            parts.append(1 / at_least(curvature, MIN_CURVATURE))
        return from_array(joined(parts))

    def length_scales(self, params: Params, sums: PassStats) -> Tensor:
        """Return a suitable size of steps for the coordinates of `pack`.

        For a center, it is the spread of its rows in one feature, at most that of all rows; 1 for log T and the priors.
        """
        stats, distance = sums.stats, self.scaling.distance
        mean_distortion = stats.distortion / stats.weight.clamp_min(torch.finfo(stats.weight.dtype).tiny)
        convert = distance.to_squared if distance.is_radial else lambda d: d ** (2 / distance.degree)
        spread = (convert(mean_distortion) / params.centers.shape[1]).sqrt().clamp(MIN_LENGTH, 1.0)
        scales = spread.repeat_interleave(params.centers.shape[1])
        if not (self.temperature.learned or self.spec.learn_priors):
            return scales
        return torch.cat([scales, scales.new_ones(len(self.pack(params)) - len(scales))])

    @property
    def _temperature_index(self) -> slice:
        """The temperatures that are independent parameters: all, or only the first if clusters share one."""
        return slice(None) if self.temperature.per_cluster else slice(1)

    def _pooled_distortion(self, m_step: MStep) -> float:
        """Return the distortion of all clusters, and of the noise."""
        return m_step.total_distortion + self._noise_distortion(m_step.stats)

    def noise_weight(self, stats: Stats) -> float:
        """Return the weight of the noise cluster; 0 if it is no larger than rounding errors."""
        if self.spec.noise is None:
            return 0.0
        remainder = float(stats.n) - sum_of(stats.weight)
        return remainder if remainder > 1e-12 * float(stats.n) else 0.0

    def _noise_distortion(self, stats: Stats) -> float:
        return (self.spec.noise or 0.0) * self.noise_weight(stats)

    def distortion(self, stats: Stats) -> float:
        """Return the distortion E, including that of the noise cluster."""
        return sum_of(stats.distortion) + self._noise_distortion(stats)

    def _cluster_weights(self, stats: Stats) -> Tensor:
        """Return the cluster weights: (k,), or (k + 1,) with that of the noise cluster."""
        if self.spec.noise is None:
            return stats.weight
        return torch.cat([stats.weight, stats.weight.new_tensor([self.noise_weight(stats)])])

    @quietly
    def entropy(self, params: Params, sums: PassStats) -> float:
        """Return the entropy H = Σ w (lognorm - Σ r logit); 0 if T is so low that H is below rounding errors."""
        stats = sums.stats
        _, b, rule = self.logits(params)
        m_step = self._m_step(params, stats)
        scaled_distortion = float((m_step.distortion / m_step.temperature).sum())
        noise_logit = 0.0 if self.spec.noise is None else rule.noise_logit * self.noise_weight(stats)
        largest = m_step.n * math.log(params.log_prior.shape[0])
        if not scaled_distortion * 1e-14 < largest:
            return 0.0
        of_priors = inner(as_array(b), as_array(stats.weight))
        entropy = scaled_distortion + float(stats.objective) - of_priors - noise_logit
        return min(max(0.0, entropy), largest)

    def mean_entropy(self, params: Params, sums: PassStats) -> float:
        """Return the mean entropy of a row's memberships, in nats."""
        return self.entropy(params, sums) / float(sums.stats.n)

    def free_energy(self, params: Params, sums: PassStats) -> float:
        """Return the free energy F in the units of the scaled data; NaN if each cluster has a temperature."""
        return math.nan if self.temperature.per_cluster else -params.shared_temperature * float(sums.stats.objective)

    def update(self, params: Params, sums: PassStats) -> Params:
        """Return the result of an M-step: the best centers, and T and priors if learned, at fixed memberships."""
        is_large = params.centers.device.type == "cpu" and params.centers.numel() > MAX_UNTHREADED
        uses_pytorch = self.spec.frozen is not None or not self.scaling.distance.translates  # `where`, `retract`
        if is_large and uses_pytorch:
            return in_one_thread(lambda: self._update(params, sums))
        return self._update(params, sums)

    @quietly
    def _update(self, params: Params, sums: PassStats) -> Params:
        stats, frozen, m_step = sums.stats, self.spec.frozen, self._m_step(params, sums.stats)
        centers = self.scaling.distance.retract(from_array(m_step.new_centers))
        if frozen is not None:
            centers = torch.where(frozen[:, None], params.centers, centers)
        log_prior = params.log_prior
        if self.spec.learn_priors:
            weights = as_array(self._cluster_weights(stats))  # in float32 kernels, rounding changes their sum
            log_prior = from_array(log(at_least(weights / weights.sum(), MIN_PRIOR)))
        return Params(centers, self._temperature_update(centers, m_step), log_prior)

    def _temperature_update(self, centers: Tensor, m_step: MStep) -> Tensor:
        """Return the temperatures (k,) after a step to new centers; clusters without weight keep theirs."""
        t, n = m_step.temperature, m_step.n
        if not self.temperature.learned:
            return m_step.params.temperature
        distortion = m_step.distortion_after(as_array(centers))
        if not self.temperature.per_cluster:  # a single number takes less time as a float
            mean = (float(distortion.sum()) + self._noise_distortion(m_step.stats)) / (n or 1.0)
            updated = self.temperature.update(self.scaling, float(t[0]), mean)
            return from_array(filled(t, len(t), updated)) if n > 0 else m_step.params.temperature
        weight = as_array(m_step.stats.weight)
        has_weight = weight > 0
        means = from_array(distortion / where(has_weight, weight, 1.0))
        updates = as_array(self.temperature.updates(self.scaling, m_step.params.temperature, means))
        return from_array(where(has_weight, updates, t))

    def pack(self, params: Params) -> Tensor:
        """Flatten parameters to a vector."""
        parts = [as_array(params.centers).reshape(-1)]
        if self.temperature.learned:
            parts.append(log(as_array(params.temperature)[self._temperature_index]))
        if self.spec.learn_priors:
            parts.append(as_array(params.log_prior))
        return from_array(joined(parts))

    def unpack(self, vector: Tensor, like: Params) -> Params:
        """Convert a vector of `pack` back to parameters; those not learned are taken from ``like``."""
        (k, d), (_, temperature, log_prior), numbers = like.centers.shape, like, as_array(vector)
        centers, rest = from_array(numbers[: k * d].reshape(k, d)), numbers[k * d :]
        if self.temperature.learned:
            n = k if self.temperature.per_cluster else 1
            lowest, highest = (  # as those of the EM update, which would else raise the objective afterward
                self.temperature.update(self.scaling, like.shared_temperature, mean) for mean in (0.0, MAX_DISTORTION)
            )
            learned = at_most(at_least(exp(at_most(rest[:n], MAX_LOG_TEMPERATURE)), lowest), highest)
            temperature, rest = from_array(learned if n == k else filled(learned, k, float(learned[0]))), rest[n:]
        if self.spec.learn_priors:
            log_prior = torch.log_softmax(from_array(rest), 0).clamp_min(math.log(MIN_PRIOR))
        return Params(self.scaling.distance.retract(centers), temperature, log_prior)
